"""The loggers of Lightning and Transformers for W&B and MLflow, unchanged, under --shield."""

from __future__ import annotations

import json
from typing import Any

import pytest

import tracelet

LIGHTNING = """
    import json

    import lightning
    import torch
    from lightning.pytorch.loggers import MLFlowLogger, WandbLogger


    class Model(lightning.LightningModule):
        def __init__(self, lr=0.1):
            super().__init__()
            self.save_hyperparameters()
            self.layer = torch.nn.Linear(4, 1)
            self.losses = []

        def forward(self, x):
            return self.layer(x)

        def training_step(self, batch, _):
            loss = self(batch[0]).pow(2).mean()
            self.log("loss", loss)
            self.losses.append(float(loss))
            return loss

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), self.hparams.lr)


    torch.manual_seed(0)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.randn(16, 4)), batch_size=4)
    model = Model()
    wandb = WandbLogger(project="lightning", name="wandb", log_model=True)
    wandb.watch(model, log="all", log_freq=2)
    mlflow = MLFlowLogger(experiment_name="lightning", run_name="mlflow")
    quiet = {"enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(max_epochs=2, logger=[wandb, mlflow], log_every_n_steps=1, accelerator="cpu", **quiet)
    trainer.fit(model, data)
    print(json.dumps(model.losses))
"""

TRANSFORMERS = """
    import json

    import torch
    from transformers import Trainer, TrainingArguments


    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(2, 1)

        def forward(self, x=None, labels=None):
            out = self.layer(x)
            return {"loss": (out.squeeze(-1) - labels).pow(2).mean(), "logits": out}


    torch.manual_seed(0)
    data = [{"x": torch.randn(2), "labels": torch.randn(())} for _ in range(16)]
    args = TrainingArguments(
        "out", max_steps=4, logging_steps=1, report_to=["wandb", "mlflow"], run_name="small", use_cpu=True,
        per_device_train_batch_size=4, disable_tqdm=True, save_strategy="no",
    )
    trainer = Trainer(Model(), args, train_dataset=data)
    trainer.train()
    print(json.dumps([(row["step"], row["loss"]) for row in trainer.state.log_history if "loss" in row]))
"""


def run(project: Any, program: str) -> tuple[Any, list[Any]]:
    """Run a program under the shield; return what it printed last, and its runs, the oldest first."""
    project.write("train.py", program)
    off = ("-p", "no:system", "-p", "no:environment", "-p", "no:code", "-p", "no:console")
    done = project.tracelet("run", "-q", *off, "--shield", "wandb,mlflow", "train.py", timeout=170)
    return json.loads(done.stdout.strip().splitlines()[-1]), tracelet.open_store(project.path).runs()[::-1]


def points(record: Any, name: str) -> list[tuple[int, float]]:
    series = record.metric(name)
    return list(zip(map(int, series.iterations), map(float, series.values), strict=True))


def test_the_loggers_of_lightning(project: Any) -> None:
    pytest.importorskip("lightning")
    losses, records = run(project, LIGHTNING)
    found = {record.name: record for record in records}
    expected = [(step, pytest.approx(loss, rel=1e-6)) for step, loss in enumerate(losses)]
    assert len(losses) == 8
    assert points(found["wandb"], "loss") == expected
    assert points(found["mlflow"], "loss") == expected
    assert found["wandb"].params == {"lr": 0.1}
    assert found["mlflow"].params == {"lr": "0.1"}  # the logger hands over texts
    assert {record.project for record in records} == {"lightning"}
    media = [(one["name"], one["step"]) for one in found["wandb"].artifacts if one["media"] == "histogram"]
    assert [step for name, step in media if name == "gradients/layer.weight"] == [0, 2, 4, 6]
    assert [step for name, step in media if name == "parameters/layer.bias"] == [0, 2, 4, 6]
    [model] = [one for one in found["wandb"].artifacts if one["media"] is None]
    assert model["metadata"]["type"] == "model"


def test_the_callbacks_of_transformers(project: Any) -> None:
    pytest.importorskip("transformers")
    reported, records = run(project, TRANSFORMERS)
    first, second = sorted(records, key=lambda record: "train/loss" not in record.metrics())
    assert points(first, "train/loss") == [(step, loss) for step, loss in reported]
    assert points(second, "loss") == [(step, loss) for step, loss in reported]
    assert second.params["max_steps"] == 4
    assert first.params["max_steps"] == 4
