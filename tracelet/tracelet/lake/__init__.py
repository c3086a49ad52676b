"""Runs in object storage, as Parquet files: what the backend ``lake`` wrote, for reading.

``open_store("s3://bucket/prefix")`` reads a lake like a data folder. :func:`dataset` and :func:`ray_dataset` hand its
points to PyArrow and to Ray Data.
"""

from __future__ import annotations

from tracelet.lake.datasets import dataset, ray_dataset

__all__ = ["dataset", "ray_dataset"]
