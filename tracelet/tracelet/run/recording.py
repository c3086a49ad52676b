"""The calls that record: numbers, parameters, tags, files and media.

docs/recording.md says what becomes of which input.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.errors import NoActiveRunError, RecordingError
from tracelet.journal.writing.metric_table import check_name
from tracelet.journal.writing.values import (
    DATE,
    EXACT,
    LONG_NAME,
    MAX_NAME,
    SIMPLE,
    as_number,
    as_step,
    flatten,
    plain_name,
    rounded_whole,
    short,
)
from tracelet.layout import media_type
from tracelet.run.media_calls import MediaCalls
from tracelet.run.refusals import Refusals

if TYPE_CHECKING:
    from tracelet.journal import Recorder
    from tracelet.run.artifacts import ArtifactStore
    from tracelet.run.media.media_folder import MediaFolder
    from tracelet.run.run_files import WrittenFiles

_LISTING: Final = 4 << 20  # bytes of JSON that one event holds of an artifact's list of files
_NAMED: Final = 5  # entries of a folder that a warning names
_LISTED: Final = 1000  # entries of a folder that are recorded as missing

# Reading the number of a loss that has a gradient, or of a masked element, does no harm.
for _text in ("Converting a tensor with requires_grad", "Warning: converting a masked element to nan"):
    warnings.filterwarnings("ignore", _text, UserWarning, r"tracelet\.journal\.")
# Nor does a sum of NumPy's numbers that overflows: it only says which path a row takes.
warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"tracelet\.run\.recording$")


class Recording(MediaCalls):
    """What a program calls in its loop. Each call appends to the journal and returns.

    What cannot be recorded never ends the program: it is left out, counted by reason and reported once, and the
    rest of the call is recorded. A strict run raises. Only a call that is plainly wrong raises in every run: a name
    that is not a text, a step that is not a whole number, a path with nothing there.
    """

    def __init__(
        self, run_dir: Path, recorder: Recorder, *, records: bool = True, strict: bool = False
    ) -> None:
        self.dir = run_dir
        self._recorder = recorder
        self._records = records
        self._point = recorder.point
        self._row = recorder.row
        self._refusals = Refusals(run_dir.name, recorder, strict=strict, quiet=not records)
        self._is_mixed = False  # whether the latest row held tensors or the like: converted one by one
        self._files: _RunFolders | None = None

    # -- numbers --------------------------------------------------------------------------------------

    def log_metric(
        self, name: str, value: Any, iteration: int | None = None, *, step: int | None = None
    ) -> None:
        """Record one number: of Python, NumPy or PyTorch; NaN and infinities are kept exactly.

        ``step`` is the same as ``iteration``; if they differ, ``step`` counts, with a warning. Without either, the
        metric's steps count up by themselves, above the largest given so far. A value that is not a number is left
        out and reported.

        Raises:
            RecordingError: the name is not a text, the step is not a whole number, or the value is a date.
            NoActiveRunError: the run has ended.
        """
        try:
            if value.__class__ in SIMPLE:
                if step is None:
                    self._point(name, value, iteration)
                    return
                if iteration is None:
                    self._point(name, value, step)
                    return
        except NoActiveRunError:
            raise
        except Exception:  # noqa: S110 - the value, the name and the step are looked at more closely
            pass
        self._log_value(name, value, iteration if step is None else step)
        if step is not None and iteration is not None and step != iteration:
            text = f"metric {short(name)}: found both iteration={short(iteration)} and step={short(step)}"
            self._refusals.report(
                str(name), "two steps", f"{text}; recorded at step {short(step)}; pass one of them"
            )

    def _check_name(self, name: Any) -> str | None:
        """Return a name as a plain text, or None if it is too long to be recorded."""
        check_name(name)
        try:
            return plain_name(name)
        except RecordingError as error:
            if error.reason != LONG_NAME:
                raise
            refused = error.with_traceback(None)
        self._refusals.add(name[:200], refused)
        return None

    def _log_value(self, name: Any, value: Any, step: Any) -> None:
        checked = self._check_name(name)
        if checked is None:
            return
        name = checked
        step = None if step is None else as_step(step, name)
        if type(value) is int and -EXACT <= value <= EXACT:
            self._point(name, value, step)
            return
        try:
            number = as_number(value, name)
        except RecordingError as error:
            refused = error.with_traceback(None)
        else:
            self._point(name, number, step)
            self._report_rounding(name, value, number)
            return
        if refused.reason == DATE:
            raise refused
        self._refusals.add(name, refused)

    def log(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record many numbers at one step, as one record. Nested mappings are flattened with ``/``.

        Values that are not numbers are left out and reported; the others are recorded.

        Raises:
            RecordingError: it is not a mapping, or the step is not a whole number.
            NoActiveRunError: the run has ended.
        """
        if not self._is_mixed:
            try:
                # One step in C looks at all values: a sum of floats is a float, and one that is too large to be sure
                # that whole numbers are exact is looked at more closely.
                values: Any = metrics.values()
                total: Any = sum(values, 0.0)
                if total.__class__ is not float and total.__class__ in SIMPLE:
                    total = float(total)
                if total.__class__ is float and -EXACT < total < EXACT:
                    self._row(metrics, step)
                    return
            except NoActiveRunError:
                raise
            except Exception:
                self._is_mixed = True
        self._log_values(metrics, step)

    def _log_values(self, metrics: Any, step: Any) -> None:
        step = None if step is None else as_step(step)
        if self._log_plain_row(metrics, step):
            return
        refused: list[tuple[str, RecordingError]] = []
        flat = flatten(metrics, lambda name, error: refused.append((name, error)))
        numbers: dict[str, float] = {}
        for name, value in flat.items():
            try:
                numbers[name] = as_number(value, name)
            except RecordingError as error:
                refused.append((name, error.with_traceback(None)))
        if numbers:
            self._row(numbers, step)
        for name, number in numbers.items():
            self._report_rounding(name, flat[name], number)
        self._refusals.add_all(refused)

    def _log_plain_row(self, metrics: Any, step: Any) -> bool:
        """Record a row of ordinary names and numbers, ints among them; say whether it is one."""
        self._is_mixed = True
        if type(metrics) is not dict:
            return False
        for name, value in metrics.items():
            kind = type(value)
            if type(name) is not str or not 0 < len(name) <= MAX_NAME:
                return False
            if kind not in SIMPLE and not (kind is int and -EXACT <= value <= EXACT):
                return False
        self._is_mixed = False
        self._row(metrics, step)
        return True

    def _report_rounding(self, name: str, value: Any, number: float) -> None:
        whole = rounded_whole(value, number)
        if whole is not None:
            text = f"metric {name!r}: {whole} is recorded as {number:.0f}: a float64 holds whole numbers up to 2**53"
            self._refusals.report(name, "rounded", f"{text} exactly; log a larger one as a text or parameter")

    # -- parameters and tags --------------------------------------------------------------------------

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters; nested mappings are flattened with ``/``. A later value replaces an earlier one.

        Raises:
            RecordingError: they are neither a mapping nor an object that represents one.
            NoActiveRunError: the run has ended.
        """
        from tracelet.run.parameters import flatten_parameters

        refused: list[tuple[str, RecordingError]] = []
        self._record_values("params", flatten_parameters(params, refused))
        self._refusals.add_all(refused)

    def set_tags(self, tags: Mapping[str, Any] | Sequence[str] | str) -> None:
        """Record tags: a mapping, names alone, or one name.

        Raises:
            RecordingError: they are none of these.
            NoActiveRunError: the run has ended.
        """
        from tracelet.run.parameters import name_tags

        refused: list[tuple[str, RecordingError]] = []
        self._record_values("tags", name_tags(tags, refused))
        self._refusals.add_all(refused)

    def _record_values(self, kind: str, values: dict[str, Any]) -> None:
        from tracelet.run.parameters import split_by_size
        from tracelet.secrets import mask_recorded, report_masked

        masked = mask_recorded(values)
        for part in split_by_size(masked.values):
            self._recorder.event(kind, {kind: part})
        report_masked(masked.hidden, "tag" if kind == "tags" else "parameter")

    # -- files ----------------------------------------------------------------------------------------

    def log_artifact(self, local_path: str | os.PathLike[str], artifact_path: str | None = None) -> None:
        """Copy a file or folder into the run. ``artifact_path`` is the folder among its artifacts to put it in.

        A second artifact of the same name becomes another version; the first one is not changed. What a folder holds
        and cannot be kept (a named pipe, a file that may not be read) is reported, and the rest is kept.

        Raises:
            RecordingError: there is nothing at the path, or ``artifact_path`` leads outside.
            NoActiveRunError: the run has ended.
        """
        if not self._records:
            return
        self._recorder.check_open()
        refused = None
        try:
            record = self._folders.artifacts.add(local_path, artifact_path)
        except RecordingError as error:
            if error.reason not in _OF_THE_FILE:
                raise
            refused = error.with_traceback(None)
        except OSError as error:
            refused = _lost(f"artifact {str(local_path)[:200]}", error)
        if refused is not None:
            self._refusals.add(str(local_path), refused)
            return
        self._record_artifact({**record, "media": None, "step": None})

    def _record_artifact(self, record: dict[str, Any]) -> None:
        missing = record.pop("missing", [])
        if missing:
            record["missing"], record["missing_count"] = missing[:_LISTED], len(missing)
        first, *more = _listings(record["files"])
        listed = {"file_count": len(record["files"])} if more else {}
        self._recorder.event("artifact", {**record, **listed, "files": first})
        for files in more:
            self._recorder.event("artifact_files", {"path": record["path"], "files": files})
        if missing:
            named = ", ".join(f"{one['path']} ({one['reason']})" for one in missing[:_NAMED])
            rest = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            text = f"artifact {record['name']!r}: kept without {named}{rest}"
            self._refusals.add(
                record["name"], RecordingError(text, reason="artifact: files missing"), len(missing)
            )
        if any(file.get("changed") for file in record["files"]):
            text = f"artifact {record['name']!r}: files changed while they were copied; log them when they are complete"
            self._refusals.report(record["name"], "changed", text)

    # -- media ----------------------------------------------------------------------------------------

    def log_text(self, name: str, text: str, step: int | None = None) -> None:
        """Record a text. Raises as :meth:`log_image`."""
        self._log_medium("text", name, step, lambda: (_encode_text(text), ".txt", {}))

    def log_table(
        self, name: str, rows: Any, columns: Sequence[str] | None = None, step: int | None = None
    ) -> None:
        """Record a table: rows, mappings, a mapping of columns, or a DataFrame. Raises as :meth:`log_image`."""
        from tracelet.run.media.table_rows import check_columns, table_json

        chosen = check_columns(columns)
        self._log_medium("table", name, step, lambda: (table_json(rows, chosen), ".table.json", {}))

    def log_histogram(
        self, name: str, values: Any, step: int | None = None, *, bins: int | Sequence[float] = 64
    ) -> None:
        """Record how numbers are distributed: ``bins`` is the number of bins, or their edges.

        Raises as :meth:`log_image`.
        """
        from tracelet.run.media.histograms import check_bins, histogram_json

        edges = check_bins(bins)
        self._log_medium(
            "histogram", name, step, lambda: (histogram_json(values, edges), ".histogram.json", {})
        )

    def log_image(self, name: str, image: Any, step: int | None = None) -> None:
        """Record an image: a path, encoded bytes, a Pillow image, or an array (height, width[, 1 | 3 | 4]).

        What is not an image is left out and reported, as a metric that is not a number.

        Raises:
            RecordingError: the name is not a text, or the step is not a whole number.
            NoActiveRunError: the run has ended.
        """
        from tracelet.run.media.images import image_bytes

        self._log_medium("image", name, step, lambda: image_bytes(image))

    def log_figure(self, name: str, figure: Any, step: int | None = None) -> None:
        """Record a figure of Matplotlib (as PNG) or Plotly (as JSON). Raises as :meth:`log_image`."""
        from tracelet.run.media.figures import figure_bytes

        self._log_medium("figure", name, step, lambda: (*figure_bytes(figure), {}))

    def _log_medium(
        self, kind: str, name: Any, step: Any, encode: Callable[[], tuple[bytes, str, dict[str, Any]]]
    ) -> None:
        checked = self._check_name(name)
        if checked is None:
            return
        name = checked
        step = None if step is None else as_step(step, name)
        if not self._records:
            return
        self._recorder.check_open()
        label = f"{kind} {name[:200]!r}"
        try:
            data, suffix, facts = encode()
            file = self._folders.media.write(name, step, suffix, data)
        except RecordingError as error:
            refused = RecordingError(f"{label}: {error}", reason=error.reason)
        except OSError as error:
            refused = _lost(label, error)
        except Exception as error:  # from the object's own code, or a library's
            text = f"{label}: it cannot be read: {type(error).__name__}: {error}"
            refused = RecordingError(text, reason=f"{kind}: unreadable")
        else:
            self._recorder.event("artifact", _medium(media_type(kind), name, step, file, facts))
            return
        self._refusals.add(label, refused)

    # -- the run's folder -----------------------------------------------------------------------------

    @property
    def _folders(self) -> _RunFolders:
        if self._files is None:
            self._files = _RunFolders(self.dir)
        return self._files

    def _sync_files(self) -> None:
        """Wait until the disk has the artifacts and media that were logged: before the events that name them."""
        if self._files is not None:
            self._files.written.sync()


class _RunFolders:
    """Where artifacts and media go."""

    def __init__(self, run_dir: Path) -> None:
        from tracelet.run.artifacts import ArtifactStore
        from tracelet.run.media.media_folder import MediaFolder
        from tracelet.run.run_files import WrittenFiles

        self.written: WrittenFiles = WrittenFiles(run_dir)
        self.artifacts: ArtifactStore = ArtifactStore(run_dir, self.written)
        self.media: MediaFolder = MediaFolder(run_dir, self.written)


_OF_THE_FILE: Final = frozenset({"unreadable file"})  # why a file is left out, while the call is right


def _lost(what: str, error: OSError) -> RecordingError:
    """Return the error for what the disk did not take."""
    from tracelet.safe_files import UnsafeFileError

    is_unsafe = isinstance(error, UnsafeFileError)
    reason = "no folder of the run" if is_unsafe else (error.strerror or type(error).__name__).lower()
    return RecordingError(f"{what} is not recorded: {error}", reason=f"file: {reason}")


def _encode_text(text: Any) -> bytes:
    if isinstance(text, (bytes, bytearray)):
        return bytes(text)
    plain = str.__str__(text) if isinstance(text, str) else str(text)
    return plain.encode("utf-8", "backslashreplace")


def _medium(
    kind: str, name: str, step: int | None, file: dict[str, Any], facts: dict[str, Any]
) -> dict[str, Any]:
    record = {
        "path": file["path"],
        "artifact_path": str(Path(file["path"]).parent),
        "name": name,
        "media": kind,
        "step": step,
        "files": [file],
    }
    return {**record, "metadata": facts} if facts else record


def _listings(files: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield a list of files in parts that fit into one event each."""
    part: list[dict[str, Any]] = []
    size = 0
    for file in files:
        size += len(json.dumps(file)) + 2
        if size > _LISTING and part:
            yield part
            part, size = [], 0
        part.append(file)
    yield part
