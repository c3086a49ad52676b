"""Transformers: the trainer's own history is what is recorded, by the callback, by the capture, and once by both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tracelet

pytest.importorskip("transformers", reason="Transformers is not installed")
pytest.importorskip("accelerate", reason="Accelerate is not installed")

#: A tiny model on synthetic text, trained three times in one process.
TRAINING = """
import copy, json, os, pickle, warnings
warnings.simplefilter("ignore")
os.environ["HF_HUB_OFFLINE"] = "1"
import torch, tracelet
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed
from tracelet.integrations.transformers import TraceletCallback

def train(folder, *callbacks):
    set_seed(0)
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    ids = torch.randint(0, 20, (16, 5))
    data = [{"input_ids": row, "labels": int(row[0] > 9)} for row in ids]
    arguments = TrainingArguments(
        folder, num_train_epochs=2, logging_steps=1, eval_strategy="epoch", save_strategy="epoch", use_cpu=True,
        per_device_train_batch_size=8, report_to="tensorboard", disable_tqdm=True, dataloader_pin_memory=False,
        metric_for_best_model="eval_loss", load_best_model_at_end=True,
    )
    os.environ["TENSORBOARD_LOGGING_DIR"] = folder + "/events"
    trainer = Trainer(BertForSequenceClassification(config), arguments, train_dataset=data, eval_dataset=data,
                      callbacks=list(callbacks))
    trainer.train()
    trainer.predict(data)
    return trainer.state.log_history

OFF = {"plugins": {"system": False, "environment": False}}
MAGIC = {**OFF, "automagic": True}
reported = {}
with tracelet.start_run("object", config=OFF):
    callback = TraceletCallback(log_model=True)
    reported["object"] = train("object", callback)
    assert pickle.loads(pickle.dumps(callback)).run is copy.deepcopy(callback).run is tracelet.active_run()
with tracelet.start_run("capture", config=MAGIC):
    reported["capture"] = train("capture")
with tracelet.start_run("both", config=MAGIC):
    reported["both"] = train("both", TraceletCallback)
print()
print(json.dumps(reported))
"""


def series_of(history: list[dict[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Return the trainer's history as series, by the names of its reporters."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in history:
        for name, value in row.items():
            if name != "step":
                label = f"eval/{name[5:]}" if name.startswith("eval_") else f"train/{name}"
                found.setdefault(label, []).append((row["step"], value))
    return found


def test_series_are_those_of_the_trainers_history(record: Callable[..., Any], project: Any) -> None:
    printed = record(TRAINING).printed
    runs = {run.name: run for run in tracelet.open_store(project.path / ".tracelet").runs()}
    assert set(runs) == {"object", "capture", "both"}
    for name, run in runs.items():
        expected = series_of(printed[name])
        assert {"train/loss", "train/learning_rate", "eval/loss", "train/train_runtime"} <= set(expected)
        found = {
            metric: list(zip(map(int, each.iterations), map(float, each.values), strict=True))
            for metric in run.metrics()
            if not metric.startswith(("torch/", "test/", "train/best_metric"))
            for each in [run.metric(metric)]
        }
        assert found == expected, name
        assert len(run.metric("test/loss").values) == 1
        assert run.params["num_train_epochs"] == 2
        assert run.params["model/hidden_size"] == 8
        assert not [each for each in run.artifacts if each["media"]]
        kept = [each["name"] for each in run.artifacts]
        assert kept == (["checkpoint-2", "checkpoint-4"] if name == "object" else [])
