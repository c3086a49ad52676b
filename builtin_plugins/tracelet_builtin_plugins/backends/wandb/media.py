"""Artifacts and media as W&B's own types."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.wandb import mapping
from tracelet_builtin_plugins.backends.wandb.external_run import ExternalRun, load_wandb
from tracelet_builtin_plugins.naming import fit_name
from tracelet_hookspecs import RecordId

__all__ = ["fewer_bins", "send_artifact", "send_media"]

MAX_BINS: Final = 512
_REFUSED_MEDIA: Final = re.compile(r"^_|[^\w./ \-]|(?:^|(?<=/))\.{1,2}(?=/|$)|^/|/$|/(?=/)|^step$")
_MESHES: Final = (".obj", ".gltf", ".glb", ".babylon", ".stl", ".pts.json")


def send_artifact(run: ExternalRun, local_path: str, artifact_path: str | None, id: RecordId | None) -> None:
    """Store a file or folder as an artifact of its own."""
    wandb = load_wandb()
    source = Path(local_path)
    place = "/".join([*Path(artifact_path or "").parts, source.name])
    artifact = wandb.Artifact(
        mapping.artifact_name(f"{run.id}-{place}"),
        type="folder" if source.is_dir() else "file",
        metadata={"path": mapping.text(place)},
    )
    files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    base = source if source.is_dir() else source.parent
    for file in files:
        name = "/".join(map(mapping.file_name, file.relative_to(base).parts))
        # The run's folder keeps its files as they are, so that wandb needs no copy.
        artifact.add_file(str(file), name=name, policy="immutable", skip_cache=True)
    run.send_artifact(artifact, id)


def send_media(
    run: ExternalRun,
    name: str,
    step: int | None,
    kind: str,
    path: str,
    metadata: Mapping[str, Any],
    id: RecordId | None,
) -> None:
    """Log a media file in a row of its own; what W&B has no type for becomes an artifact."""
    if run.is_known(id):
        run.confirm([id] if id is not None else [])
        return
    try:
        value = value_of(kind, Path(path))
    except (OSError, ValueError, ImportError, TypeError, SyntaxError):
        value = None  # an SVG image, for example, or a package of wandb's that is not installed
    if value is None:
        send_artifact(run, path, metadata.get("artifact_path"), id)
        return
    row: dict[str, Any] = {fit_name(name, refused=_REFUSED_MEDIA, limit=150): value}
    if step is not None:
        row[mapping.STEP] = step
    if metadata.get("timestamp") is not None:
        row[mapping.TIME] = metadata["timestamp"]
    run.send_row(row, id)


def value_of(kind: str, path: Path) -> Any:
    """Return a media file as one of W&B's types, or ``None``."""
    wandb = load_wandb()
    if kind == "image" or (kind == "figure" and path.suffix == ".png"):
        return wandb.Image(str(path))
    if kind == "histogram":
        counts, edges = fewer_bins(*_histogram(path))
        return wandb.Histogram(np_histogram=(counts, edges))
    if kind == "table":
        table = json.loads(path.read_text(encoding="utf-8"))
        return wandb.Table(columns=table["columns"], data=table["rows"], allow_mixed_types=True)
    if kind == "text":
        escaped = html.escape(path.read_text(encoding="utf-8", errors="replace"))
        return wandb.Html(f"<pre>{escaped}</pre>", inject=False)
    if kind == "html":
        return wandb.Html(path.read_text(encoding="utf-8", errors="replace"), inject=False)
    if kind == "audio":
        return wandb.Audio(str(path))
    if kind == "video":
        return wandb.Video(str(path), format=path.suffix.lstrip("."))
    if kind == "mesh" and path.name.endswith(_MESHES):
        return wandb.Object3D(str(path))
    return None


def _histogram(path: Path) -> tuple[list[int], list[float]]:
    data = json.loads(path.read_text(encoding="utf-8"))
    return data["counts"], data["edges"]


def fewer_bins(counts: Sequence[int], edges: Sequence[float]) -> tuple[list[int], list[float]]:
    """Return a histogram of at most 512 bins: neighbours are added up."""
    group = -(-len(counts) // MAX_BINS) if counts else 1
    merged = [sum(counts[at : at + group]) for at in range(0, len(counts), group)]
    return merged, [*edges[: len(counts) : group], edges[-1]]
