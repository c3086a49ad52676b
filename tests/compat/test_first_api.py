"""tracelet's first API: start_logging and stop_logging, Experiment, captures, and typed artifacts."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from shielded import PROGRAMS, files, points, records

from tracelet.compat.original.capture import describe_dataset, hyperparams_in
from tracelet.compat.original.settings import ExperimentConfig, backend_names, read_config, server_settings
from tracelet.errors import UsageError


def test_a_program_for_the_first_api(project: Any) -> None:
    shutil.copy(PROGRAMS / "first_api.py", project.path)
    done = project.python("first_api.py", timeout=120)
    first, second, third = records(project, "original")
    assert first.name == "first"
    assert first.params == {
        "learning_rate": 0.001,
        "batch_size": 32,
        "num_layers": 4,
        "dropout": 0.1,
        "hidden_size": 64,
        "optimizer/name": "adam",
        "seed": 7,
    }
    assert points(first, "loss") == [(0, 0.5), (1, 0.25), (2, 0.5 / 3)]
    assert points(first, "acc") == [(10, 0.9)]
    assert "jsonl" in first.status
    assert second.tags == {"a": "", "b": ""}
    assert json.loads(files(second)["net/settings.json"]) == {"a": [1, 2]}
    assert points(third, "x") == [(4, 1)]
    assert "has no artifact 'nets' (did you mean 'net'?)" in done.stdout
    assert "unknown type 'mdel' (did you mean 'model'?)" in done.stdout
    assert "experiment 'third' is not started; call experiment.start() first" in done.stdout
    assert "api_key: expected a backend that has one (wandb), found ['jsonl']" in done.stdout


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("lr", 0.1, True),
        ("LEARNING_RATE", 0.1, True),
        ("hidden_dim", 3, True),
        ("use_layers", True, True),
        ("optimizer", "adam", True),
        ("optimizer", object(), False),
        ("_lr", 0.1, False),
        ("num_epoch", 3, False),
        ("batch", 3, False),
        ("train_loss", 0.3, False),
        ("i", 1, False),
        ("path", "x", False),
        ("model_name", "x" * 300, False),
    ],
)
def test_which_variables_are_hyperparameters(name: str, value: Any, expected: bool) -> None:
    assert bool(hyperparams_in({name: value})) == expected


def test_data_sets_are_described() -> None:
    np = pytest.importorskip("numpy")
    pd = pytest.importorskip("pandas")
    array = describe_dataset(np.zeros((3, 4), dtype=np.float32))
    assert (array["size"], array["shape"], array["dtype"]) == (3, "3x4", "float32")
    frame = describe_dataset(pd.DataFrame({"a": [1], "b": [0.5]}))
    assert frame["columns"] == {"a": "int64", "b": "float64"}
    pairs = describe_dataset([(np.zeros((2, 2)), 1)] * 5)
    assert (pairs["size"], pairs["sample/0"]["shape"]) == (5, "2x2")

    class Loader:
        batch_size, dataset = 8, [1, 2, 3]

        def __len__(self) -> int:
            return 1

    described = describe_dataset(Loader())
    assert (described["batch_size"], described["batches"], described["data"]["size"]) == (8, 1, 3)


def test_backends_and_their_servers() -> None:
    assert backend_names("mlflow, WandB") == ["mlflow", "wandb"]
    assert backend_names(["aim"]) == ["aim"]
    assert backend_names(None) == []
    expected = {"plugins": {"mlflow": {"tracking_uri": "http://h"}, "wandb": {"base_url": "http://h"}}}
    assert server_settings(["mlflow", "wandb"], "http://h", None) == expected
    with pytest.raises(UsageError, match="backend_url: expected a backend that has one"):
        server_settings(["tensorboard"], "http://h", None)


def test_configurations() -> None:
    config = ExperimentConfig(track_system_metrics=False, track_environment=False, track_stdout=True)
    assert config.plugins() == ["no:environment", "no:system", "no:gpu", "console"]
    settings = ExperimentConfig(metrics_interval=5, enable_automagic=True).settings()
    assert settings == {"plugins": {"system": {"interval": 5.0}}, "automagic": True}
    with pytest.raises(UsageError, match=r"unknown key 'track_gti' \(did you mean 'track_git'\?\)"):
        read_config({"track_gti": True})
    with pytest.raises(UsageError, match="expected an ExperimentConfig or a mapping, found int"):
        read_config(3)
