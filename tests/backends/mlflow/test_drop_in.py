"""An unchanged program for MLflow under --shield: the real MLflow delivers what it records, from its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mlflow", reason="needs mlflow: pip install 'tracelet[mlflow]'")

PROGRAM = """
import mlflow

mlflow.set_experiment("unchanged")
with mlflow.start_run(run_name="first"):
    mlflow.log_params({"lr": 0.1, "layers": [64, 32]})
    for step in range(50):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_text("hello", "notes/text.txt")
    mlflow.set_tag("release", "1.0")
print("drop-in", mlflow.start_run.__module__)
"""


@pytest.mark.parametrize("collectors", ["off", "on by default"])
def test_the_real_mlflow_delivers_what_the_drop_in_records(tmp_path: Path, collectors: str) -> None:
    """With collectors, there are records long before the program names its experiment."""
    from mlflow import MlflowClient

    late = "import time\ntime.sleep(3)\n" if collectors != "off" else ""
    (tmp_path / "train.py").write_text(late + PROGRAM)
    uri = f"sqlite:///{tmp_path / 'there.db'}"
    names = ("code", "console", "environment", "system") if collectors == "off" else ()
    off = "".join(f"[plugins.{name}]\nenabled = false\n" for name in names)
    (tmp_path / "tracelet.toml").write_text(
        f'finish_timeout = 120\n[plugins.mlflow]\ntracking_uri = "{uri}"\n{off}'
    )
    environ = {key: one for key, one in os.environ.items() if not key.startswith(("MLFLOW_", "TRACELET_"))}
    command = [sys.executable, "-m", "tracelet", "run", "-q", "train.py"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**environ, "TRACELET_SHIELD": "mlflow"},
        capture_output=True,
        text=True,
        timeout=170,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "drop-in tracelet.compat.mlflow.fluent" in done.stdout
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("unchanged")
    [run] = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(run.info.run_id, "loss")
    assert sorted((one.step, one.value) for one in history) == [(step, 1 / (step + 1)) for step in range(50)]
    assert {one.name for one in client.search_experiments()} == {"Default", "unchanged"}
    assert run.data.params == {"lr": "0.1", "layers": "[64, 32]"}
    assert run.data.tags["release"] == "1.0"
    assert [one.path for one in client.list_artifacts(run.info.run_id, "notes")] == ["notes/text.txt"]
