"""The promises of a backend, kept offline and read back from wandb's own files.

The plugin runs on a thread here: importing wandb takes seconds, and each test would import it in a process of its own.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import pytest

from tracelet.testing import BackendConformance, FarSide
from tracelet_builtin_plugins.backends.wandb import WandbBackend, mapping
from tracelet_builtin_plugins.naming import fit_name
from tracelet_hookspecs import PluginMetadata

pytest.importorskip("wandb", reason="needs wandb: pip install 'tracelet[wandb]'")

KINDS = {"image-file": "image", "table-file": "table", "histogram": "histogram", "html-file": "text"}


class InThread(WandbBackend):
    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        return attrs.evolve(WandbBackend.get_metadata(), isolation="thread")


class TestWandb(BackendConformance):
    plugin = InThread
    may_import = ("numpy", "pandas")
    limits = {
        "global_state": "wandb sets WANDB_SERVICE, so the plugin has a process of its own by default",
    }

    @pytest.fixture(autouse=True)
    def _wandbs_own_folders(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
            monkeypatch.setenv(name, str(tmp_path / "wandb-own"))
        monkeypatch.delenv("WANDB_SERVICE", raising=False)  # of this process; programs have their own

    def config(self, tmp_path: Path) -> dict[str, Any]:
        return {"mode": "offline", "dir": str(tmp_path / "far")}

    def read_back(self, run: Any, tmp_path: Path, wandb_run: Any) -> FarSide:
        there = wandb_run(tmp_path / "far", run.id)
        metrics: dict[str, list[Any]] = {}
        media = []
        for row in there.rows:
            kinds = {key: kind for key, kind in row.items() if key.endswith("/_type")}
            media += [
                (key.removesuffix("/_type"), row.get("step"), KINDS[kind]) for key, kind in kinds.items()
            ]
            for name, value in row.items():
                if not kinds and not name.startswith("_") and name != "step":
                    metrics.setdefault(name, []).append((row.get("step"), value, row["_timestamp"]))
        config = there.config
        return FarSide(metrics, config, config.get("tags", {}), _files(there), media)

    def far_name(self, name: str) -> str:
        return mapping.metric_name(name)

    def far_param(self, key: str, value: Any) -> tuple[str, Any]:
        return mapping.config_key(key), value

    def far_path(self, path: str) -> str:
        return "/".join(map(mapping.file_name, PurePosixPath(path).parts))

    def far_media(self, name: str, step: int | None, kind: str) -> tuple[str, int | None, str]:
        return fit_name(name, refused=_none(), limit=150), step, "image" if kind == "figure" else kind


def _none() -> Any:
    import re

    return re.compile("(?!)")


def _files(there: Any) -> dict[str, bytes]:
    """Return the files of the artifacts by their path among the run's artifacts; a later version counts."""
    import json

    files = {}
    for artifact in there.of_type("artifact"):
        place = json.loads(artifact.metadata or "{}").get("path")
        if place is None:
            continue  # wandb keeps tables as artifacts of its own, too
        for entry in artifact.manifest.contents:
            path = place if artifact.type == "file" else f"{place}/{entry.path}"
            files[path] = Path(entry.local_path).read_bytes()
    return files
