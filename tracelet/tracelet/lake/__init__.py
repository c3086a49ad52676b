"""Runs in object storage, as Parquet files: what the backend ``lake`` wrote, for reading.

``open_store("s3://bucket/prefix")`` reads a lake like a data folder. :func:`dataset` and :func:`ray_dataset` hand its
points to PyArrow and to Ray Data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracelet.lake.datasets import dataset, ray_dataset

__all__ = ["dataset", "ray_dataset"]


def __getattr__(name: str) -> Any:
    if name in __all__:  # loaded when they are first used
        from tracelet.lake import datasets

        return getattr(datasets, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
