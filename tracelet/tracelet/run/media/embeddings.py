"""Embeddings: vectors with labels and pictures, as a compressed file of NumPy."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from tracelet.errors import RecordingError
from tracelet.run.media.arrays import as_array, numpy


def embedding_bytes(vectors: Any, labels: Any, images: Any) -> tuple[bytes, str, dict[str, Any]]:
    """Return an embedding as an ``.npz`` file, its suffix, and its size.

    The file has ``vectors`` of shape (number, dimensions) as they were given. ``labels`` is one text for each vector,
    or a mapping of columns, which become ``label.NAME``. ``images`` is an array with one picture for each vector.

    Raises:
        RecordingError: the shapes do not match, or NumPy is missing.
    """
    np = numpy()
    if np is None:
        raise _refuse("vectors", "no NumPy; run: pip install 'tracelet[numpy]'")
    table = as_array(vectors)
    if table.ndim != 2 or not table.size or table.dtype.kind not in "biuf":
        raise _refuse("vectors", f"an array of shape {table.shape} of {table.dtype}")
    parts: dict[str, Any] = {"vectors": table}
    for name, column in _columns(labels):
        parts[f"label.{name}" if name else "labels"] = np.array([str(each) for each in column])
    if images is not None:
        parts["images"] = as_array(images)
    for name, part in parts.items():
        if len(part) != len(table):
            raise _refuse(name, f"{len(part)} for {len(table)} vectors")
    file = io.BytesIO()
    np.savez_compressed(file, **parts)
    return file.getvalue(), ".npz", {"vectors": table.shape[0], "dimensions": table.shape[1]}


def _columns(labels: Any) -> list[tuple[str, Sequence[Any]]]:
    if labels is None:
        return []
    if isinstance(labels, Mapping):
        return [(str(name), list(column)) for name, column in labels.items()]
    return [("", list(labels))]


def _refuse(what: str, found: str) -> RecordingError:
    return RecordingError(
        f"log_embedding: {what}: expected one row for each of the vectors (number, dimensions), found {found}",
        reason="embedding: not an embedding",
    )
