"""Embeddings as points in a plane, for the page to draw: the first two principal components."""

from __future__ import annotations

import io
import zipfile
from typing import Any, Final

from tracelet.errors import StoreError

_MOST_POINTS: Final = 2000
_MOST_DIMENSIONS: Final = 4096
_MOST_BYTES: Final = 256 << 20  # unpacked: a small file may claim to be huge


def flatten_embedding(data: bytes) -> dict[str, Any]:
    """Return ``x``, ``y``, ``labels``, ``total`` and ``dimensions`` of an ``.npz`` file; the first points of many.

    Raises :class:`ValueError` if it is no such file, :class:`StoreError` if NumPy is missing.
    """
    try:
        import numpy
    except ImportError:
        raise StoreError(
            "the page needs NumPy to draw embeddings; run: pip install 'tracelet[numpy]'"
        ) from None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(one.file_size for one in packed.infolist()) > _MOST_BYTES:
                raise ValueError(f"more than {_MOST_BYTES >> 20} MiB of vectors; download it")
        with numpy.load(io.BytesIO(data), allow_pickle=False) as parts:
            vectors = parts["vectors"]
            names = [name for name in parts.files if name == "labels" or name.startswith("label.")]
            labels = parts[names[0]] if names else None
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise ValueError(f"no embedding: {error}") from None
    if vectors.ndim != 2 or vectors.dtype.kind not in "biuf":
        raise ValueError(f"no embedding: vectors of shape {vectors.shape} of {vectors.dtype}")
    shown = vectors[:_MOST_POINTS, :_MOST_DIMENSIONS].astype("float64")
    shown[~numpy.isfinite(shown)] = 0.0
    plane = _project(numpy, shown)
    return {
        "x": plane[:, 0].tolist(),
        "y": plane[:, 1].tolist(),
        "labels": None if labels is None else [str(one) for one in labels[:_MOST_POINTS].tolist()],
        "total": len(vectors),
        "dimensions": int(vectors.shape[1]),
    }


def _project(numpy: Any, vectors: Any) -> Any:
    """Return two coordinates for each vector: as they are, or along the two directions in which they differ most."""
    dimensions = vectors.shape[1]
    if dimensions <= 2:
        return numpy.pad(vectors, ((0, 0), (0, 2 - dimensions)))
    centered = vectors - vectors.mean(axis=0)
    left, sizes, _ = numpy.linalg.svd(centered, full_matrices=False)
    plane = numpy.zeros((len(vectors), 2))
    count = min(2, len(sizes))
    plane[:, :count] = left[:, :count] * sizes[:count]
    return plane
