"""History from other trackers: runs that TensorBoard, W&B, MLflow and others have recorded, brought into the store.

``docs/importing.md`` describes what becomes of what.
"""

from __future__ import annotations

from tracelet.importers.importing import import_runs
from tracelet.importers.merging import ImportResult

__all__ = ["ImportResult", "import_runs"]
