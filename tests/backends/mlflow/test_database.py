"""A database without a server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("mlflow", reason="needs MLflow: pip install 'tracelet[mlflow]'")

PROGRAM = """
import os, sys, tracelet
before = dict(os.environ), os.getcwd()
with tracelet.start_run("plain", strict=True) as run:
    for step in range(50):
        run.log({"loss": step}, step=step)
    open("model.bin", "w").write("weights")
    run.log_artifact("model.bin")
    assert run.flush(timeout=100), run.status()
assert (dict(os.environ), os.getcwd()) == before
assert "mlflow" not in sys.modules
"""


def test_by_default_it_is_at_the_root_of_the_project(project: Callable[..., Any]) -> None:
    from mlflow import MlflowClient

    here = project("")
    (here.folder / "deep").mkdir()
    here.run("import os\nos.chdir('deep')\n" + PROGRAM)
    client = MlflowClient(f"sqlite:///{here.folder}/mlflow.db")
    run = here.the_run(client)
    assert run.info.status == "FINISHED"
    assert [point.value for point in client.get_metric_history(run.info.run_id, "loss")] == list(range(50))
    [stored] = client.list_artifacts(run.info.run_id)
    assert (stored.path, stored.file_size) == ("model.bin", 7)
    assert (here.folder / "mlruns").is_dir()
    assert not (here.folder / "deep" / "mlruns").exists()


def test_the_environment_names_the_server(
    project: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    here = project("")
    uri = f"sqlite:///{here.folder}/other.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with here.record() as run:
        run.log({"loss": 1.0}, step=1)
    assert here.the_run(MlflowClient(uri)).data.metrics == {"loss": 1.0}
    assert not (here.folder / "mlflow.db").exists()


def test_the_names_in_the_table_are_used(project: Callable[..., Any]) -> None:
    from mlflow import MlflowClient

    here = project("")
    here.table = {"experiment": "other", "run_name": "given"}
    with here.record() as run:
        run.log({"loss": 1.0}, step=1)
    client = MlflowClient(f"sqlite:///{here.folder}/mlflow.db")
    [run] = client.search_runs([client.get_experiment_by_name("other").experiment_id])
    assert (run.info.run_name, run.data.metrics["loss"]) == ("given", 1.0)


def test_a_database_server_without_mlflow_in_between(postgres_dsn: str, project: Callable[..., Any]) -> None:
    pytest.importorskip("psycopg2", reason="MLflow needs psycopg2 for PostgreSQL")
    from mlflow import MlflowClient

    here = project(postgres_dsn)
    with here.record() as run:
        run.log({"loss": 1.0}, step=1)
        assert "pass" not in str(run.status())
    client = MlflowClient(postgres_dsn)
    assert here.the_run(client).data.metrics == {"loss": 1.0}


MANY = """
import sys, tracelet
quiet = {"system": False, "environment": False}
slow = {"deadlines": {"start": 150}, "start_timeout": 150, "finish_timeout": 100}  # eight imports of MLflow
with tracelet.start_run(sys.argv[1], config={"plugins": quiet, **slow}) as run:
    run.log_params({"number": sys.argv[1]})
    for step in range(200):
        run.log({"loss": step * int(sys.argv[1])}, step=step)
"""


@pytest.mark.parametrize("store", ["server", "database"])
def test_eight_processes_at_once_deliver_to_postgresql(
    store: str, request: pytest.FixtureRequest, project: Callable[..., Any]
) -> None:
    """Through one MLflow server, and each straight into the database, which none has set up yet."""
    from mlflow import MlflowClient

    pytest.importorskip("psycopg2", reason="MLflow needs psycopg2 for PostgreSQL")
    if store == "server":
        uri = request.getfixturevalue("postgres_mlflow").uri
    else:
        uri = request.getfixturevalue("postgres_dsn")
    here = project(uri)
    (here.folder / "many.py").write_text(MANY)
    words = [sys.executable, "many.py"]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [
        subprocess.Popen([*words, str(number)], cwd=here.folder, env=here.env, **output)
        for number in range(1, 9)
    ]
    said = [process.communicate(timeout=170)[0] for process in started]
    assert [process.returncode for process in started] == [0] * 8, said
    here.sync()  # what a process that could not set up the database has left
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(here.name)
    runs = client.search_runs([experiment.experiment_id])
    assert sorted(int(run.data.params["number"]) for run in runs) == list(range(1, 9))
    for run in runs:
        factor = int(run.data.params["number"])
        history = client.get_metric_history(run.info.run_id, "loss")
        assert sorted((point.step, point.value) for point in history) == [
            (at, at * factor) for at in range(200)
        ]
        assert run.info.status == "FINISHED"
