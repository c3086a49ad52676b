"""The promises of a backend, kept with a real MLflow server and read back with ``MlflowClient``.

The plugin runs on a thread here: importing MLflow takes seconds, and each test would import it in a process of its own.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import pytest

from tracelet.testing import BackendConformance, FarSide
from tracelet_builtin_plugins.backends.mlflow import MlflowBackend, mapping
from tracelet_hookspecs import MetricData, PluginMetadata

pytest.importorskip("mlflow", reason="needs MLflow: pip install 'tracelet[mlflow]'")


class InThread(MlflowBackend):
    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        return attrs.evolve(MlflowBackend.get_metadata(), isolation="thread")


@pytest.mark.timeout(400)
@pytest.mark.xdist_group("mlflow on SQLite")
class TestMlflow(BackendConformance):
    plugin = InThread
    endpoint = "tracking_uri"
    may_import = ("numpy", "pandas")

    @pytest.fixture(autouse=True)
    def _import_first(self) -> None:
        importlib.import_module("mlflow")  # takes seconds, which a plugin's start should not have to wait for

    def config(self, sqlite_mlflow: Any) -> dict[str, Any]:
        return {"tracking_uri": sqlite_mlflow.uri}

    def read_back(self, run: Any, sqlite_mlflow: Any, tmp_path: Path) -> FarSide:
        client = sqlite_mlflow.client()
        experiments = [one.experiment_id for one in client.search_experiments()]
        found = client.search_runs(experiments, filter_string=f"tags.`tracelet.run_id` = '{run.id}'")
        if not found:
            return FarSide({}, {}, {}, {}, [])
        [there] = found
        metrics = {
            key: [
                (point.step, point.value, point.timestamp / 1000)
                for point in client.get_metric_history(there.info.run_id, key)
            ]
            for key in there.data.metrics
        }
        files = _files(client, there.info.run_id, Path(tmp_path, "back"))
        return FarSide(metrics, _latest_params(there.data), there.data.tags, files, _media(files))

    def far_name(self, name: str) -> str:
        return mapping.metric_key(name)

    def far_step(self, step: int | None) -> int:
        return mapping.step_of(step)

    def far_value(self, value: float) -> float:
        return mapping.number(value)

    def far_time(self, timestamp: float) -> float:
        return mapping.milliseconds(timestamp) / 1000

    def far_points(self, points: Sequence[MetricData]) -> dict[str, list[Any]]:
        """MLflow stores points of equal step, value and millisecond once."""
        return {name: _merged(rows) for name, rows in super().far_points(points).items()}

    def far_param(self, key: str, value: Any) -> tuple[str, str]:
        return mapping.metric_key(key), mapping.text(value)[:80_000]

    def far_tag(self, key: str, value: Any) -> tuple[str, str]:
        return mapping.tag_key(key), mapping.fit_text(mapping.text(value), mapping.TAG_LIMIT)

    def far_path(self, path: str) -> str:
        return "/".join(map(mapping.artifact_name, PurePosixPath(path).parts))

    def far_media(self, name: str, step: int | None, kind: str) -> tuple[str, int | None, str]:
        return (
            (mapping.image_key(name), mapping.step_of(step), kind) if kind == "image" else (name, step, kind)
        )


def _merged(rows: list[Any]) -> list[Any]:
    seen: dict[Any, Any] = {}
    for row in rows:
        key = tuple("nan" if isinstance(part, float) and math.isnan(part) else part for part in row)
        seen.setdefault(key, row)
    return list(seen.values())


def _latest_params(data: Any) -> Mapping[str, str]:
    """Return the parameters, with the latest value of one that has changed or is long."""
    params = dict(data.params)
    for key in params:
        parts = [
            data.tags.get(mapping.own_tag("param", key if n == 1 else f"{key}.{n}")) for n in range(1, 11)
        ]
        whole = "".join(part for part in parts if part is not None)
        if parts[0] is not None:
            params[key] = whole
    return params


def _files(client: Any, run_id: str, folder: Path) -> dict[str, bytes]:
    folder.mkdir(exist_ok=True)
    if not client.list_artifacts(run_id):
        return {}
    there = Path(client.download_artifacts(run_id, "", str(folder)))
    return {
        path.relative_to(there).as_posix(): path.read_bytes() for path in there.rglob("*") if path.is_file()
    }


def _media(files: Mapping[str, bytes]) -> list[tuple[Any, ...]]:
    media: list[tuple[Any, ...]] = []
    for path, content in files.items():
        top, _, rest = path.partition("/")
        if top == "images" and path.endswith(".png"):
            key, _, step, *_ = rest.split("+")
            media.append((key, int(step), "image", content))
        elif top == "tables":
            assert {"columns", "data"} == json.loads(content).keys()
            media.append((*_name_and_step(rest), "table"))
        elif top == "media":
            kind = _KINDS.get(rest.partition(".")[2], "other")
            media.append((*_name_and_step(rest), kind, content))
    return media


_KINDS = {"histogram.json": "histogram", "txt": "text", "png": "figure", "svg": "figure"}


def _name_and_step(path: str) -> tuple[str, int | None]:
    """Return the name and step of a media file: ``curve-5.png`` is ``curve`` at step 5."""
    stem = path.partition(".")[0]
    name, _, step = stem.rpartition("-")
    return (name, int(step)) if name and step.isdigit() else (stem, None)
