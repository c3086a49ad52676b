"""Record runs with a tracker, in its environment: ``feed.py NAME FOLDER RUNS METRICS POINTS``."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

Rows = Iterator[dict[str, float]]


def value(run: int, metric: int, step: int) -> float:
    """Return a point of a curve that looks like a training's."""
    return math.exp(-step * (run + 1) / 400) + math.sin(step * (metric + 1) * 0.7) / 20


def rows_of(run: int, metrics: int, points: int) -> Rows:
    """Yield the rows of a run: metrics by name."""
    names = [f"train/metric{number}" for number in range(metrics)]
    return ({one: value(run, i, step) for i, one in enumerate(names)} for step in range(points))


def main(name: str, folder: Path, runs: int, metrics: int, points: int) -> None:
    """Record runs of some metrics, each with some points."""
    folder.mkdir(parents=True, exist_ok=True)
    for run in range(runs):
        FEEDS[name](folder, f"run-{run}", rows_of(run, metrics, points))


def feed_tracelet(folder: Path, run: str, rows: Rows) -> None:
    """Record with tracelet."""
    import tracelet

    with tracelet.start_run(run, dir=folder, plugins=["no:system", "no:environment", "no:gpu"]) as recorded:
        for step, row in enumerate(rows):
            recorded.log(row, step=step)


def feed_mlflow(folder: Path, run: str, rows: Rows) -> None:
    """Record with MLflow, on SQLite, in batches of the largest size that it takes."""
    from mlflow import MlflowClient

    store_at_mlflow(MlflowClient(f"sqlite:///{folder}/mlflow.db"), "0", run, rows)


def store_at_mlflow(client: Any, experiment: str, run: str, rows: Iterable[dict[str, float]]) -> None:
    """Record a run with MLflow's client."""
    from mlflow.entities import Metric

    created = client.create_run(experiment, run_name=run)
    now = int(time.time() * 1e3)
    metrics = [
        Metric(name, number, now, step) for step, row in enumerate(rows) for name, number in row.items()
    ]
    for at in range(0, len(metrics), 1000):
        client.log_batch(created.info.run_id, metrics=metrics[at : at + 1000])
    client.set_terminated(created.info.run_id)


def feed_tensorboard(folder: Path, run: str, rows: Rows) -> None:
    """Record TensorBoard's event files."""
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder / run)) as writer:
        for step, row in enumerate(rows):
            for name, number in row.items():
                writer.add_scalar(name, number, step)


def feed_trackio(folder: Path, run: str, rows: Rows) -> None:
    """Record with Trackio."""
    os.environ["TRACKIO_DIR"] = str(folder)
    import trackio

    trackio.init(project="bench", name=run)
    for step, row in enumerate(rows):
        trackio.log(row, step=step)
    trackio.finish()


@cache
def open_aim(folder: Path) -> Any:
    """Open Aim's repository, once in the process: each time, Aim first migrates its database, which takes seconds."""
    from aim import Repo

    return Repo.from_path(str(folder), init=True)


def feed_aim(folder: Path, run: str, rows: Rows) -> None:
    """Record with Aim, a row in each call, without its own measurements of the system."""
    from aim import Run

    recorded = Run(
        repo=open_aim(folder),
        system_tracking_interval=None,
        log_system_params=False,
        capture_terminal_logs=False,
    )
    recorded.name = run
    for step, row in enumerate(rows):
        recorded.track(row, step=step)
    recorded.close()


FEEDS = {
    "tracelet": feed_tracelet,
    "mlflow": feed_mlflow,
    "tensorboard": feed_tensorboard,
    "trackio": feed_trackio,
    "aim": feed_aim,
}

if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:6]))
