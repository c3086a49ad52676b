"""mlflow, compared with ``MlflowClient.log_batch`` in requests of the largest size, at the same server on SQLite."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "backends"))
os.environ.update(
    MLFLOW_DISABLE_TELEMETRY="true",
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false",
    MLFLOW_CONFIGURE_LOGGING="false",
)

from bench_backends import Case
from mlflow.entities import Metric
from servers import MlflowServer

LARGEST = 1000  # metrics in a request


@contextmanager
def open_case(folder: Path) -> Iterator[Case]:
    """Start a server."""
    server = MlflowServer()
    try:
        server.start()
        client = server.client()
        experiment = client.create_experiment("the client itself")

        def store(points: list[tuple[str, float, int, float]]) -> None:
            run = client.create_run(experiment)
            for start in range(0, len(points), LARGEST):
                metrics = [
                    Metric(name, value, int(when * 1000), step)
                    for name, value, step, when in points[start : start + LARGEST]
                ]
                client.log_batch(run.info.run_id, metrics=metrics)

        def count() -> int:
            others = [
                one.experiment_id for one in client.search_experiments() if one.experiment_id != experiment
            ]
            return sum(
                len(client.get_metric_history(run.info.run_id, key))
                for run in client.search_runs(others)
                for key in run.data.metrics
            )

        yield Case("mlflow", {"tracking_uri": server.uri}, store, count)
    finally:
        server.close()
