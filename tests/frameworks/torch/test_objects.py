"""Accelerate, Ignite and Stable-Baselines3: the objects in their own slots, beside the frameworks' own writers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

import tracelet

ACCELERATE = """
import json, torch, tracelet
from accelerate import Accelerator
from tracelet.integrations.accelerate import TraceletTracker

def train(tracker):
    torch.manual_seed(0)
    accelerator = Accelerator(cpu=True, log_with=[tracker, "tensorboard"], project_dir="events")
    accelerator.init_trackers("digits", config={"lr": 0.1, "batch": 4})
    model = torch.nn.Linear(2, 1)
    model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), 0.1))
    losses = []
    for step in range(3):
        optimizer.zero_grad()
        loss = model(torch.ones(4, 2)).square().mean()
        accelerator.backward(loss)
        optimizer.step()
        accelerator.log({"loss": loss.item(), "stage": "fit"}, step=10 * step)
        losses.append([10 * step, loss.item()])
    assert accelerator.get_tracker("tracelet", unwrap=True).outcome is None
    accelerator.end_training()
    accelerator.end_training()
    return losses

OFF = {"plugins": {"system": False, "environment": False}}
reported = train(TraceletTracker("started", tags=["small"], config=OFF))
assert tracelet.active_run() is None
with tracelet.start_run("joined", config={**OFF, "automagic": True}) as run:
    assert train(TraceletTracker()) == reported
    assert run.outcome is None
print(json.dumps(reported))
"""


def test_accelerate(record: Callable[..., Any], project: Any) -> None:
    pytest.importorskip("accelerate", reason="Accelerate is not installed")
    reported = [tuple(point) for point in record(ACCELERATE).printed]
    runs = {run.name: run for run in tracelet.open_store(project.path / ".tracelet").runs()}
    assert set(runs) == {"started", "joined"}
    for run in runs.values():
        loss = run.metric("loss")
        assert list(zip(loss.iterations, loss.values, strict=True)) == reported
        assert run.params.items() >= {"lr": 0.1, "batch": 4}.items()
        assert [each["name"] for each in run.artifacts] == ["stage"] * 3
        assert run.outcome == "finished"
    assert "small" in runs["started"].tags


IGNITE = """
import json, torch, tracelet
from ignite.engine import Engine, Events, create_supervised_evaluator
from ignite.handlers import global_step_from_engine
from ignite.handlers.tensorboard_logger import TensorboardLogger
from ignite.metrics import MeanSquaredError
from tracelet.integrations.ignite import OutputHandler, TraceletLogger

def train(logger):
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    data = [(torch.randn(4, 2), torch.ones(4, 1)) for _ in range(3)]
    reported = {"train/loss": [], "val/mse": []}

    def update(engine, batch):
        optimizer.zero_grad()
        loss = (model(batch[0]) - batch[1]).square().mean()
        loss.backward()
        optimizer.step()
        reported["train/loss"].append([engine.state.iteration, loss.item()])
        return {"loss": loss.item()}

    trainer = Engine(update)
    evaluator = create_supervised_evaluator(model, {"mse": MeanSquaredError()})

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine):
        evaluator.run(data)
        reported["val/mse"].append([engine.state.epoch, evaluator.state.metrics["mse"]])

    with logger, TensorboardLogger(log_dir="events") as own:
        own.attach_output_handler(trainer, Events.ITERATION_COMPLETED, tag="train", output_transform=lambda x: x)
        logger.attach_output_handler(trainer, Events.ITERATION_COMPLETED, tag="train", output_transform=lambda x: x)
        logger.attach(evaluator, OutputHandler("val", "all", global_step_transform=global_step_from_engine(trainer)),
                      Events.EPOCH_COMPLETED)
        logger.attach_opt_params_handler(trainer, Events.ITERATION_COMPLETED(every=3), optimizer)
        logger.log_params({"width": 2})
        trainer.run(data, max_epochs=2)
    logger.close()
    return reported

OFF = {"plugins": {"system": False, "environment": False}}
reported = train(TraceletLogger("started", config=OFF))
with tracelet.start_run("joined", config={**OFF, "automagic": True}):
    assert train(TraceletLogger()) == reported
try:
    with TraceletLogger("broken", config=OFF) as logger:
        logger.run.log_metric("x", 1)
        raise ValueError("no data")
except ValueError:
    pass
print(json.dumps(reported))
"""


def test_ignite(record: Callable[..., Any], project: Any) -> None:
    pytest.importorskip("ignite", reason="PyTorch-Ignite is not installed")
    printed = record(IGNITE).printed
    expected = {name: [tuple(point) for point in points] for name, points in printed.items()}
    expected["lr/group_0"] = [(3, 0.1), (6, 0.1)]
    runs = {run.name: run for run in tracelet.open_store(project.path / ".tracelet").runs()}
    for name in ("started", "joined"):
        run = runs[name]
        found = {
            metric: list(zip(map(int, each.iterations), map(float, each.values), strict=True))
            for metric in run.metrics()
            if not metric.startswith("torch/")
            for each in [run.metric(metric)]
        }
        assert found == expected, name
        assert run.params.items() >= {"width": 2}.items()
        assert run.outcome == "finished"
    assert runs["broken"].outcome == "failed"


SB3 = """
import csv, json, warnings
warnings.simplefilter("ignore")
import numpy as np, torch, tracelet
from stable_baselines3 import PPO
from stable_baselines3.common.logger import CSVOutputFormat, Image, Logger, TensorBoardOutputFormat
from tracelet.integrations.stable_baselines3 import TraceletOutputFormat

def train(output):
    model = PPO("MlpPolicy", "CartPole-v1", n_steps=32, batch_size=16, n_epochs=1, seed=0, device="cpu")
    logger = Logger(None, [CSVOutputFormat("progress.csv"), output, TensorBoardOutputFormat("events")])
    model.set_logger(logger)
    model.learn(64, log_interval=1)
    logger.record("hidden", 1.0, exclude=("tracelet", "tensorboard"))
    logger.record("note", "text", exclude="csv")
    logger.record("picture", Image(np.zeros((3, 4, 5), np.uint8), "CHW"), exclude="csv")
    logger.record("weights", torch.arange(5.0), exclude="csv")
    logger.dump(64)
    with open("progress.csv") as file:
        rows = list(csv.DictReader(file))
    logger.close()
    logger.close()
    return rows

OFF = {"plugins": {"system": False, "environment": False}}
reported = [train(TraceletOutputFormat("started", config=OFF))]
with tracelet.start_run("joined", config={**OFF, "automagic": True}):
    reported.append(train(TraceletOutputFormat()))
print(json.dumps(reported))
"""


def test_stable_baselines3(record: Callable[..., Any], project: Any) -> None:
    pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is not installed")
    printed = record(SB3).printed
    runs = {run.name: run for run in tracelet.open_store(project.path / ".tracelet").runs()}
    for name, rows in zip(("started", "joined"), printed, strict=True):
        run = runs[name]
        assert len(rows) == 3
        for metric in rows[0]:
            if metric == "hidden":
                continue
            found = run.metric(metric)
            expected = [
                (int(row["time/total_timesteps"] or 64), float(row[metric])) for row in rows if row[metric]
            ]
            pairs = list(zip(map(int, found.iterations), map(float, found.values), strict=True))
            assert [pair[0] for pair in pairs] == [pair[0] for pair in expected], metric
            assert [pair[1] for pair in pairs] == pytest.approx([pair[1] for pair in expected], rel=1e-6)
        assert "hidden" not in run.metrics()
        assert {each["name"]: each["media"] for each in run.artifacts} == {
            "note": "text",
            "picture": "image",
            "weights": "histogram",
        }
        assert run.outcome == "finished"


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("lightning", "pip install lightning or pip install pytorch-lightning"),
        ("transformers", "pip install transformers"),
        ("accelerate", "pip install accelerate"),
        ("ignite", "pip install pytorch-ignite"),
        ("stable_baselines3", "pip install stable-baselines3"),
    ],
)
def test_a_missing_framework_is_named(project: Any, module: str, package: str) -> None:
    block = {"lightning": ["lightning", "pytorch_lightning"]}.get(module, [module])
    names = "; ".join(f"sys.modules['{name}'] = None" for name in block)
    program = f"import sys; {names}; import tracelet.integrations.{module}"
    done = project.run(sys.executable, "-c", program, status=1)
    assert f"tracelet.integrations.{module} needs" in done.stderr
    assert package in done.stderr
