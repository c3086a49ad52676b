"""Artifacts and media as MLflow lays them out: its page shows images as such, and ``load_table`` finds tables."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.mlflow import mapping
from tracelet_builtin_plugins.backends.mlflow.external_run import ExternalRun

__all__ = ["send_artifact", "send_media"]

_PREVIEW: Final = 256  # pixels, as in MLflow
_LOGGED_TABLES: Final = "mlflow.loggedArtifacts"
_LOGGED_IMAGES: Final = "mlflow.loggedImages"


def send_artifact(run: ExternalRun, local_path: str, artifact_path: str | None) -> None:
    """Store a file, or a folder under its own name."""
    folder = "/".join(map(mapping.artifact_name, Path(artifact_path or "").parts)) or None
    source = Path(local_path)
    with _presentable(source) as named:
        if named.is_dir():
            run.send_file(str(named), f"{folder}/{named.name}" if folder else named.name)
        else:
            run.send_file(str(named), folder)


@contextmanager
def _presentable(source: Path) -> Iterator[Path]:
    """Yield a path to the same content in which MLflow accepts every name; usually the path itself."""
    if mapping.artifact_name(source.name) == source.name and not (source.is_dir() and _has_odd_name(source)):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="tracelet-mlflow-") as folder:
        copy = Path(folder, mapping.artifact_name(source.name))
        _link(source, copy)
        yield copy


def _has_odd_name(folder: Path) -> bool:
    return any(
        mapping.artifact_name(name) != name
        for _, folders, files in os.walk(folder)
        for name in [*folders, *files]
    )


def _link(source: Path, target: Path) -> None:
    """Make links to files, in folders of their own."""
    if not source.is_dir():
        target.symlink_to(source.resolve())
        return
    target.mkdir()
    for entry in source.iterdir():
        _link(entry, target / mapping.artifact_name(entry.name))


def send_media(
    run: ExternalRun, name: str, step: int | None, kind: str, path: str, metadata: Mapping[str, Any], id: Any
) -> None:
    """Store a media file: images and tables as MLflow does itself, all others as artifacts."""
    if kind == "image" and _send_image(run, name, step, path, metadata, id):
        return
    if kind == "table":
        _send_table(run, name, path)
        return
    send_artifact(run, path, metadata.get("artifact_path"))


def _send_image(
    run: ExternalRun, name: str, step: int | None, path: str, metadata: Mapping[str, Any], id: Any
) -> bool:
    """Store an image and its preview under the names that ``log_image`` uses; say whether that was possible."""
    try:
        from PIL import Image
    except ImportError:
        return False
    when = mapping.milliseconds(metadata.get("timestamp"))
    # From the record's id, so that a repeat replaces the file.
    unique = uuid.uuid5(uuid.NAMESPACE_OID, repr(id or (name, step, when)))
    stem = f"{mapping.image_key(name)}+step+{mapping.step_of(step)}+timestamp+{when}+{unique}"
    with tempfile.TemporaryDirectory(prefix="tracelet-mlflow-") as folder:
        try:
            with Image.open(path) as image:
                whole = Path(folder, f"{stem}.png")
                if image.format == "PNG":
                    shutil.copyfile(path, whole)
                else:
                    image.save(whole, "PNG")
                preview = image.convert("RGBA" if "A" in image.getbands() else "RGB")
                preview.thumbnail((_PREVIEW, _PREVIEW))
                preview.save(Path(folder, f"{stem}+compressed.webp"), "WEBP")
        except (OSError, ValueError, SyntaxError):
            return False  # SVG, for example
        run.send_file(folder, "images")
    run.send_tags({_LOGGED_IMAGES: "True"})
    return True


def _send_table(run: ExternalRun, name: str, path: str) -> None:
    """Store a table as MLflow's ``log_table`` does: JSON in the orientation "split", listed in a tag."""
    table = json.loads(Path(path).read_text(encoding="utf-8"))
    file = mapping.artifact_name(Path(path).name.removesuffix(".table.json")) + ".json"
    folder = "/".join(["tables", *map(mapping.artifact_name, Path(name).parts[:-1])])
    with tempfile.TemporaryDirectory(prefix="tracelet-mlflow-") as made:
        copy = Path(made, file)
        copy.write_text(
            json.dumps({"columns": table["columns"], "data": table["rows"]}, ensure_ascii=False),
            encoding="utf-8",
        )
        run.send_file(str(copy), folder)
    listed = json.loads(run.tags.get(_LOGGED_TABLES) or "[]")
    entry = {"path": f"{folder}/{file}", "type": "table"}
    longer = json.dumps([*listed, entry])
    if entry not in listed and len(longer) <= mapping.TAG_LIMIT:
        run.send_tags({_LOGGED_TABLES: longer})
