"""Lightning: what its own logger writes is what is recorded, by the logger, by the capture, and once by both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("lightning", reason="Lightning is not installed")

#: A tutorial-sized training, four times in one process: importing Lightning takes longer than all of them.
TRAINING = """
import csv, json, os, pickle, sys, warnings, logging
warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
import numpy as np, torch, tracelet
import lightning as L
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch.utils.data import DataLoader, TensorDataset
from tracelet.integrations.lightning import TraceletLogger

class Digits(L.LightningModule):
    def __init__(self, lr=0.1, width=8):
        super().__init__()
        self.save_hyperparameters()
        self.net = torch.nn.Sequential(torch.nn.Linear(4, width), torch.nn.ReLU(), torch.nn.Linear(width, 2))

    def loss(self, batch):
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def training_step(self, batch, index):
        loss = self.loss(batch)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, index):
        self.log("val_loss", self.loss(batch))

    def test_step(self, batch, index):
        self.log("test_loss", self.loss(batch))

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), self.hparams.lr)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)]

def train(folder, *loggers, fail=False):
    L.seed_everything(0, verbose=False)
    x = torch.randn(32, 4)
    data = DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=8)
    own = CSVLogger(folder, flush_logs_every_n_steps=1)
    trainer = L.Trainer(
        max_epochs=2, log_every_n_steps=2, logger=[own, TensorBoardLogger(folder), *loggers], accelerator="cpu",
        callbacks=[LearningRateMonitor(), ModelCheckpoint(folder + "/saved", save_last=True)],
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=folder,
    )
    trainer.fit(Digits(), data, data)
    trainer.test(ckpt_path=None, model=trainer.model, dataloaders=data, verbose=False)
    with open(own.experiment.metrics_file_path) as file:
        rows = list(csv.DictReader(file))
    return rows

OFF = {"plugins": {"system": False, "environment": False}}
MAGIC = {**OFF, "automagic": True}
reported = {}
with tracelet.start_run("object", config=OFF):
    reported["object"] = train("object", TraceletLogger(log_model=True))
with tracelet.start_run("capture", config=MAGIC):
    reported["capture"] = train("capture")
with tracelet.start_run("both", config=MAGIC):
    logger = TraceletLogger(log_model="all")
    reported["both"] = train("both", logger)
    assert logger.experiment is tracelet.active_run()
    assert pickle.loads(pickle.dumps(logger)).experiment is tracelet.active_run()
own = TraceletLogger("alone", tags={"team": "vision"}, config=OFF)  # no run is active
reported["alone"] = train("alone", own)
first = own.experiment
own.finalize("success"); own.finalize("success")
assert first.outcome is None
own.finalize("failed"); own.finalize("failed")
assert first.outcome == "failed"
from lightning.pytorch.trainer.connectors.logger_connector.logger_connector import _LoggerConnector
assert not hasattr(_LoggerConnector.log_metrics, "__wrapped__")
print(json.dumps(reported))
"""


def series_of(rows: list[dict[str, str]]) -> dict[str, list[tuple[int, float]]]:
    """Return what Lightning's own logger wrote, as series."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if name != "step" and value:
                found.setdefault(name, []).append((int(row["step"]), float(value)))
    return found


def test_series_are_those_of_lightnings_own_logger(record: Callable[..., Any], project: Any) -> None:
    printed = record(TRAINING).printed
    import tracelet

    runs = {run.name: run for run in tracelet.open_store(project.path / ".tracelet").runs()}
    assert set(runs) == {"object", "capture", "both", "alone"}
    for name, run in runs.items():
        expected = series_of(printed[name])
        assert {"train_loss_step", "train_loss_epoch", "val_loss", "test_loss", "lr-SGD"} <= set(expected)
        found = {
            metric: list(zip(map(int, each.iterations), map(float, each.values), strict=True))
            for metric in run.metrics()
            if not metric.startswith("torch/")
            for each in [run.metric(metric)]
        }
        assert set(found) == set(expected), name
        for metric in found:
            points = found[metric]
            assert [step for step, _ in points] == [step for step, _ in expected[metric]], (name, metric)
            assert [value for _, value in points] == pytest.approx(
                [value for _, value in expected[metric]], rel=1e-6
            )
        assert run.params.items() >= {"lr": 0.1, "width": 8}.items(), name
    assert runs["alone"].outcome == "failed"
    assert runs["alone"].tags == {"team": "vision"}
    assert len(runs["capture"].metric("torch/lr").values) == 8
    kept = {name: [each["name"] for each in run.artifacts] for name, run in runs.items()}
    assert kept["capture"] == kept["alone"] == []
    assert sorted(kept["object"])[-1] == "last.ckpt"
    assert len(kept["object"]) == 2
    assert len(kept["both"]) >= 2
