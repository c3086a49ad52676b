"""Backends of every temper, for ``bench_delivery.py``."""

from __future__ import annotations

import threading
import time
from typing import Any

from tracelet.core.plugins import BackendPlugin, PluginMetadata


class Quick(BackendPlugin):
    """Takes batches and does nothing with them."""

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        return PluginMetadata(cls.__name__.lower(), "1", "backend")

    def initialize(self, config: object) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...

    def get_status(self) -> dict[str, int]:
        return {}

    def log_metric(self, name: str, value: object, iteration: int | None) -> None: ...
    def log_metrics(self, points: Any) -> None: ...
    def log_params(self, params: object) -> None: ...
    def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None: ...


class Columns(Quick):
    """Takes columns and does nothing with them."""

    def log_columns(self, columns: Any) -> None: ...


class Single(Quick):
    """Is called for every point."""

    log_metrics = None  # type: ignore[assignment]


class Slow(Single):
    """Takes 20 ms for a point."""

    def log_metric(self, name: str, value: object, iteration: int | None) -> None:
        time.sleep(0.02)


class Dead(Quick):
    """Cannot be reached."""

    def log_metrics(self, points: Any) -> None:
        raise ConnectionError("nobody answers")


class Hung(Quick):
    """Does not return."""

    def log_metrics(self, points: Any) -> None:
        threading.Event().wait()
