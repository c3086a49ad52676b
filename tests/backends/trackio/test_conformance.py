"""The promises of a backend, read back with Trackio's own storage class in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from tracelet.testing import BackendConformance, FarSide
from tracelet_builtin_plugins.backends.trackio import mapping

Read = Callable[..., Any]


class TestTrackio(BackendConformance):
    plugin = "trackio"
    time_resolution = 1e-5

    def config(self, folder_of_all: Path) -> dict[str, Any]:
        return {"dir": str(folder_of_all)}

    def read_back(self, run: Any, read: Read) -> FarSide:
        found = read(mapping.project_name(run.project), run.id)
        metrics: dict[str, list[Any]] = {}
        media: list[tuple[str, Any, str]] = []
        for row in found["logs"]:
            when = datetime.fromisoformat(row.pop("timestamp")).timestamp()
            step = row.pop("step")
            for name, value in row.items():
                if isinstance(value, dict):
                    media.append((name, step, value["_type"].removeprefix("trackio.")))
                else:
                    metrics.setdefault(name, []).append((step, value, when))
        config = found["config"] or {}
        return FarSide(
            metrics=metrics,
            params=config,
            tags=config.get("tracelet", {}).get("tags", {}),
            artifacts=found["artifacts"],
            media=media,
        )

    def far_name(self, name: str) -> str:
        return mapping.metric_key(name)

    def far_param(self, key: str, value: Any) -> tuple[str, Any]:
        return mapping.param_key(key), mapping.config_value(value)

    def far_media(self, name: str, step: int | None, kind: str) -> tuple[str, Any, str]:
        shown = {"figure": "image", "text": "markdown"}.get(kind, kind)
        return mapping.metric_key(name), step or 0, shown
