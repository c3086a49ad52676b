"""The calls that record: numbers, parameters, tags, files and media."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelet.errors import UsageError
from tracelet.run import artifacts, media

if TYPE_CHECKING:
    from tracelet.journal import Recorder

log = logging.getLogger("tracelet.run")

# To log a loss that has a gradient is what everybody does, and reading its number does no harm.
warnings.filterwarnings(
    "ignore", "Converting a tensor with requires_grad", UserWarning, r"tracelet\.journal\."
)


class Recording:
    """What a program calls in its loop. Each call appends to the journal and returns."""

    def __init__(self, run_dir: Path, recorder: Recorder, *, records: bool = True) -> None:
        self.dir = run_dir
        self._recorder = recorder
        self._records = records
        self._point = recorder.point
        self._row = recorder.row

    def log_metric(
        self, name: str, value: Any, iteration: int | None = None, *, step: int | None = None
    ) -> None:
        """Record one number: of Python, NumPy or PyTorch; NaN and infinities are kept exactly.

        ``step`` is the same as ``iteration``. Without either, the metric's steps count up by themselves, above
        the largest given so far. Raises ``TypeError`` or ``ValueError`` for what is no number or no whole step.
        """
        self._point(name, value, iteration if step is None else step)

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record many numbers at one step, as one record. Nested mappings are flattened with ``/``."""
        self._row(metrics, step)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters; nested mappings are flattened with ``/``. A later value replaces an earlier one."""
        self._recorder.event("params", {"params": _plain(params)})

    def set_tags(self, tags: Mapping[str, Any] | Sequence[str]) -> None:
        """Record tags: a mapping, or names alone."""
        given = tags if isinstance(tags, Mapping) else dict.fromkeys(tags, "")
        self._recorder.event("tags", {"tags": _plain(given)})

    def log_artifact(self, local_path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Copy a file or folder into the run. ``artifact_path`` is the folder among its artifacts to put it in."""
        if not self._records:
            return
        try:
            record = artifacts.copy_artifact(Path(local_path).expanduser(), self.dir, artifact_path)
        except OSError as error:
            self._lost(f"artifact {local_path}", error)
            return
        self._recorder.event("artifact", {**record, "media": None, "step": None})

    def log_text(self, name: str, text: str, step: int | None = None) -> None:
        """Record a text."""
        self._medium("text", name, step, str(text).encode(), ".txt")

    def log_table(
        self, name: str, rows: Any, columns: Sequence[str] | None = None, step: int | None = None
    ) -> None:
        """Record a table: rows, mappings, a mapping of columns, or a DataFrame."""
        data = media.table_json(rows, columns)
        self._medium("custom", name, step, data, ".table.json")

    def log_histogram(
        self, name: str, values: Any, step: int | None = None, *, bins: int | Sequence[float] = 64
    ) -> None:
        """Record how numbers are distributed: ``bins`` is the number of bins, or their edges."""
        self._medium("histogram", name, step, media.histogram_json(values, bins), ".histogram.json")

    def log_image(self, name: str, image: Any, step: int | None = None) -> None:
        """Record an image: a path, encoded bytes, a Pillow image, or an array (height, width[, 1 | 3 | 4])."""
        data, suffix = media.image_bytes(image)
        self._medium("image", name, step, data, suffix)

    def log_figure(self, name: str, figure: Any, step: int | None = None) -> None:
        """Record a figure of Matplotlib (as PNG) or Plotly (as JSON)."""
        data, suffix = media.figure_bytes(figure)
        self._medium("figure", name, step, data, suffix)

    def _medium(self, kind: str, name: str, step: int | None, data: bytes, suffix: str) -> None:
        if not self._records:
            return
        file = media.media_file(self.dir, name, step, suffix)
        try:
            media.write(file, data)
        except OSError as error:
            self._lost(f"{kind} {name!r}", error)
            return
        described = artifacts.describe_file(file, self.dir)
        self._recorder.event(
            "artifact",
            {
                "path": described["path"],
                "artifact_path": str(Path(described["path"]).parent),
                "name": name,
                "media": kind,
                "step": step,
                "files": [described],
            },
        )

    def _lost(self, what: str, error: OSError) -> None:
        """Tell of something that the disk did not take. The training goes on."""
        log.error("run %s: %s is not recorded: %s", self.dir.name, what, error)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON can hold them, flat, secrets masked."""
    from tracelet.journal import flatten
    from tracelet.secrets import mask_recorded, report_masked

    if not isinstance(values, Mapping):
        raise UsageError(f"expected a mapping of names to values, found {type(values).__name__}")
    flat = {str(name): _json_value(value) for name, value in flatten(values).items()}
    masked = mask_recorded(flat)
    report_masked(masked.hidden)
    return masked.values


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "size", 1) == 1:
        return _json_value(item())
    return str(value)
