"""One face for several trackers, so that one measurement fits all. Run inside each tracker's own environment."""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Tracelet:
    """tracelet, no backend: the journal alone."""

    def __init__(self, folder: Path) -> None:
        os.environ["TRACELET_DIR"] = str(folder)
        os.environ["TRACELET_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        import tracelet

        self.folder = folder
        self.run = tracelet.start_run("bench", plugins=["no:system", "no:environment", "no:gpu"])
        self.log_metric = self.run.log_metric

    def one(self, name: str, value: float, step: int) -> None:
        self.log_metric(name, value, step)

    def many(self, metrics: dict[str, float], step: int) -> None:
        self.run.log(metrics, step)

    def finish(self) -> None:
        self.run.finish()

    @staticmethod
    def read(folder: Path, name: str) -> int:
        import tracelet

        [record] = tracelet.open_store(folder).runs()
        return len(record.metric(name).values)


class TensorBoardX:
    """TensorBoardX's event files."""

    def __init__(self, folder: Path) -> None:
        from tensorboardX import SummaryWriter

        self.writer = SummaryWriter(str(folder))

    def one(self, name: str, value: float, step: int) -> None:
        self.writer.add_scalar(name, value, step)

    def many(self, metrics: dict[str, float], step: int) -> None:
        for name, value in metrics.items():
            self.writer.add_scalar(name, value, step)

    def finish(self) -> None:
        self.writer.close()

    @staticmethod
    def read(folder: Path, name: str) -> int:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        events.Reload()
        return len(events.Scalars(name)) if name in events.Tags()["scalars"] else 0


class WandbOffline:
    """W&B in offline mode."""

    def __init__(self, folder: Path) -> None:
        os.environ["WANDB_MODE"] = "offline"
        os.environ["WANDB_SILENT"] = "true"
        import wandb

        folder.mkdir(parents=True, exist_ok=True)
        self.run = wandb.init(project="bench", dir=str(folder))

    def one(self, name: str, value: float, step: int) -> None:
        self.run.log({name: value}, step=step)

    def many(self, metrics: dict[str, float], step: int) -> None:
        self.run.log(metrics, step=step)

    def finish(self) -> None:
        self.run.finish()

    @staticmethod
    def read(folder: Path, name: str) -> int:
        from wandb.proto import wandb_internal_pb2

        [file] = folder.rglob("*.wandb")
        found = 0
        for data in leveldb_log(file.read_bytes()):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            found += sum((item.key or "/".join(item.nested_key)) == name for item in record.history.item)
        return found


def leveldb_log(data: bytes, header: int = 7, block: int = 32768) -> Iterator[bytes]:
    """Yield the whole records of W&B's file: LevelDB's log format behind a header of its own.

    Source of the format: https://github.com/google/leveldb/blob/main/doc/log_format.md
    """
    at, parts = header, b""
    while at + 7 <= len(data):
        if (left := block - at % block) < 7:  # too little for a record's head: the block's filling
            at += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        part = data[at + 7 : at + 7 + length]
        if not 1 <= kind <= 4 or len(part) < length:
            return  # the tail is torn
        at += 7 + length
        parts = part if kind in (1, 2) else parts + part  # whole, first | middle, last
        if kind in (1, 4):
            yield parts


class MlflowSqlite:
    """MLflow on SQLite."""

    def __init__(self, folder: Path) -> None:
        import mlflow

        folder.mkdir(parents=True, exist_ok=True)
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        self.mlflow = mlflow
        self.run = mlflow.start_run()

    def one(self, name: str, value: float, step: int) -> None:
        self.mlflow.log_metric(name, value, step=step)

    def many(self, metrics: dict[str, float], step: int) -> None:
        self.mlflow.log_metrics(metrics, step=step)

    def finish(self) -> None:
        self.mlflow.end_run()

    @staticmethod
    def read(folder: Path, name: str) -> int:
        import mlflow

        client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
        [run] = client.search_runs(["0"])
        return len(client.get_metric_history(run.info.run_id, name))


class Trackio:
    """Trackio's local SQLite."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["TRACKIO_DIR"] = str(folder)
        import trackio

        self.trackio = trackio
        with contextlib.redirect_stdout(io.StringIO()):
            trackio.init(project="bench", name="bench", embed=False)

    def one(self, name: str, value: float, step: int) -> None:
        self.trackio.log({name: value}, step=step)

    def many(self, metrics: dict[str, float], step: int) -> None:
        self.trackio.log(metrics, step=step)

    def finish(self) -> None:
        self.trackio.finish()

    @staticmethod
    def read(folder: Path, name: str) -> int:
        import json
        import sqlite3

        found = 0
        for file in folder.rglob("*.db"):
            with sqlite3.connect(file) as base:
                tables = {row[0] for row in base.execute("select name from sqlite_master where type='table'")}
                if "metrics" in tables:
                    for (text,) in base.execute("select metrics from metrics"):
                        found += name in json.loads(text)
        return found


ADAPTERS: dict[str, Any] = {
    "tracelet": Tracelet,
    "tensorboardX": TensorBoardX,
    "wandb": WandbOffline,
    "mlflow": MlflowSqlite,
    "trackio": Trackio,
}
