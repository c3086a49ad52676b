"""The calls that record: numbers, parameters, tags, files and media.

docs/recording.md says what becomes of which input.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracelet.errors import NoActiveRunError, RecordingError
from tracelet.journal.writing.values import (
    DATE,
    EXACT,
    MAX_NAME,
    SIMPLE,
    as_number,
    as_step,
    flatten,
    rounded_whole,
    short,
)
from tracelet.run.media_calls import MediaCalls
from tracelet.run.refusals import Refusals

if TYPE_CHECKING:
    from tracelet.journal import Recorder

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
        refusals = Refusals(run_dir.name, recorder, strict=strict, quiet=not records)
        super().__init__(run_dir, recorder, refusals, records=records)
        self._point = recorder.point
        self._row = recorder.row
        self._is_mixed = False  # whether the latest row held tensors or the like: converted one by one

    # -- numbers --------------------------------------------------------------------------------------

    def log_metric(
        self,
        name: str,
        value: Any,
        iteration: int | None = None,
        *,
        step: int | None = None,
        timestamp: float | None = None,
    ) -> None:
        """Record one number: of Python, NumPy or PyTorch; NaN and infinities are kept exactly.

        ``step`` is the same as ``iteration``; if they differ, ``step`` counts, with a warning. Without either, the
        metric's steps count up by themselves, above the largest given so far. A value that is not a number is left
        out and reported. ``timestamp`` is the time that the value belongs to, in seconds since the epoch: now, unless
        it is given.

        Raises:
            RecordingError: the name is not a text, the step is not a whole number, or the value is a date.
            NoActiveRunError: the run has ended.
        """
        try:
            if timestamp is None and value.__class__ in SIMPLE:
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
        self._log_value(name, value, iteration if step is None else step, timestamp)
        if step is not None and iteration is not None and step != iteration:
            text = f"metric {short(name)}: found both iteration={short(iteration)} and step={short(step)}"
            self._refusals.report(
                str(name), "two steps", f"{text}; recorded at step {short(step)}; pass one of them"
            )

    def _log_value(self, name: Any, value: Any, step: Any, timestamp: Any) -> None:
        checked = self._check_name(name)
        if checked is None:
            return
        name = checked
        step = None if step is None else as_step(step, name)
        when = None if timestamp is None else _as_time(timestamp, name)
        if type(value) is int and -EXACT <= value <= EXACT and when is None:
            self._point(name, value, step)
            return
        try:
            number = as_number(value, name)
        except RecordingError as error:
            refused = error.with_traceback(None)
        else:
            if when is None:
                self._point(name, number, step)
            else:
                self._recorder.point_at(name, number, step, when)
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


def _as_time(timestamp: Any, name: str) -> float:
    """Return a time as seconds since the epoch. Raises RecordingError for what is none, such as a date."""
    from tracelet.journal.reading.valid_times import is_valid_time

    number = as_number(timestamp, name) if isinstance(timestamp, (int, float)) else -1.0
    if is_valid_time(number):
        return number
    raise RecordingError(
        f"metric {short(name)}: timestamp: expected seconds since 1970, found {short(timestamp)}"
    )
