"""The promises of a backend, read back with TensorBoard's own EventAccumulator."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tracelet.testing import BackendConformance, FarSide
from tracelet_builtin_plugins.backends.tensorboard import mapping

Read = Callable[[Path], Any]
SHOWN_AS = {"table": "text", "figure": "image"}


class TestTensorBoard(BackendConformance):
    plugin = "tensorboard"

    def config(self, tmp_path: Path) -> dict[str, Any]:
        return {"log_dir": str(tmp_path / "logs")}

    def read_back(self, run: Any, tmp_path: Path, read: Read) -> FarSide:
        folders = {path.parent for path in (tmp_path / "logs").rglob("events*") if run.id in str(path.parent)}
        metrics: dict[str, list[Any]] = {}
        media: list[tuple[str, int, str]] = []
        params: dict[str, Any] = {}
        tags: dict[str, Any] = {}
        for folder in sorted(folders):
            reader = read(folder)
            for tag in reader.Tags()["scalars"]:
                rows = [(event.step, event.value, event.wall_time) for event in reader.Scalars(tag)]
                metrics.setdefault(tag, []).extend(rows)
            media += media_of(reader)
            params.update(hparams_of(reader))
            tags.update(table_of(reader, "tracelet/tags"))
        return FarSide(metrics=metrics, params=params, tags=tags, media=media)

    def far_name(self, name: str) -> str:
        return mapping.tag_of(name)

    def far_value(self, value: float) -> float:
        return mapping.nearest_float32(value)

    def far_param(self, key: str, value: Any) -> tuple[str, Any]:
        return mapping.tag_of(key), mapping.hparam(value)

    def far_media(self, name: str, step: int | None, kind: str) -> tuple[str, Any, str]:
        return mapping.tag_of(name), step or 0, SHOWN_AS.get(kind, kind)


def media_of(reader: Any) -> list[tuple[str, int, str]]:
    found = [(tag, event.step, "image") for tag in reader.Tags()["images"] for event in reader.Images(tag)]
    for tag in reader.Tags()["histograms"]:
        found += [(tag, event.step, "histogram") for event in reader.Histograms(tag)]
    for tag in reader.Tags()["tensors"]:
        if reader.SummaryMetadata(tag).plugin_data.plugin_name == "text" and not tag.startswith("tracelet/"):
            found += [(tag, event.step, "text") for event in reader.Tensors(tag)]
    return found


def hparams_of(reader: Any) -> dict[str, Any]:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    if "_hparams_/session_start_info" not in reader.Tags()["tensors"]:
        return {}
    content = reader.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    values = HParamsPluginData.FromString(content).session_start_info.hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in values.items()}


def table_of(reader: Any, tag: str) -> dict[str, str]:
    if tag not in reader.Tags()["tensors"]:
        return {}
    text = reader.Tensors(tag)[-1].tensor_proto.string_val[0].decode()
    rows = re.findall(r"^\| (.*) \| (.*) \|$", text, re.MULTILINE)
    return dict(rows[2:])
