"""Remote write of points as columns. Whatever is not ordinary is sent point by point."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from typing import Final, NamedTuple

from tracelet_builtin_plugins.backends.prometheus.column_samples import (
    ColumnSeries,
    encode_samples,
    series_of,
    shift_times,
)
from tracelet_builtin_plugins.backends.prometheus.mapping import INFO, SeriesKey
from tracelet_builtin_plugins.backends.prometheus.remote_write import REMEMBERED, SHIFT, RemoteWrite, Sample
from tracelet_builtin_plugins.backends.prometheus.wire import encode_sample, encode_series
from tracelet_hookspecs import MetricColumns

__all__ = ["ColumnWrite"]


class _Sent(NamedTuple):
    """Columns that were sent, and between which sequence numbers they are."""

    columns: MetricColumns
    first: int
    last: int


Planned = list[
    tuple[ColumnSeries, list[int]]
]  # the points of a series, and the times that they are sent with
_NOTHING: Final[Planned] = []


class ColumnWrite(RemoteWrite):
    """Sends columns. The state of the series is shared with points that are sent one by one."""

    _sent: tuple[_Sent, ...] = ()

    def store_columns(self, columns: MetricColumns) -> None:
        """Send points of one writer. Raises the server's refusal or an outage."""
        if not len(columns):
            return
        self._recall(columns.id(0))
        sent = _Sent(columns, min(columns.sequences), max(columns.sequences))
        planned = self._plan_series(sent)
        if not planned or not self._post_series(columns, planned):
            self._forget_columns()
            self.store(columns.points())
            return
        self.sent += len(columns)
        self._sent = (*self._sent, sent)
        if sum(len(one.columns) for one in self._sent) >= 2 * REMEMBERED:
            self._sent = self._sent[len(self._sent) // 2 :]

    def _plan_series(self, sent: _Sent) -> Planned:
        """Return the points of each series with times of their own; nothing if the columns are not ordinary."""
        if self._floor is not None or self._done or self._may_repeat(sent):
            return _NOTHING
        planned: Planned = []
        for series in series_of(sent.columns) or ():
            times = shift_times(series.times, self._last.get(series.key), SHIFT)
            if times is None:
                return _NOTHING
            planned.append((series, times))
        return planned

    def _may_repeat(self, sent: _Sent) -> bool:
        """Say whether some of these points may have been sent before, by this process or the one before it."""
        writer = sent.columns.writer
        end = self._times.ends.get(writer)
        if end is not None and sent.first <= end[0]:
            return True
        for one in self._sent:
            if one.columns.writer == writer and sent.first <= one.last and one.first <= sent.last:
                return True
        known = self._recent or self._older
        return bool(known) and any(id in self._recent or id in self._older for id in sent.columns.ids())

    def _forget_columns(self) -> None:
        """From now on, repeats of what was sent as columns are found point by point."""
        for one in self._sent:
            self._remember(one.columns.ids())
        self._sent = ()

    def _post_series(self, columns: MetricColumns, planned: Planned) -> bool:
        """Send a request with all points; return whether the server has taken all of them."""
        after: dict[SeriesKey, int] = {}
        parts = list(self._encode(planned, after))
        info = self._info(columns.writer, max(after.values()))
        if info is not None:
            key, sample = info
            after[key] = sample.when
            parts.append(encode_series(self._labels_of(key), encode_sample(sample.when, sample.value)))
        self._note(columns.id(0), columns.id(-1), after)
        if self._post_body(b"".join(parts)) is not None:
            return False
        for key, when in after.items():
            self._last[key] = max(when, self._last.get(key, when))
        return True

    def _encode(self, planned: Planned, after: dict[SeriesKey, int]) -> Iterator[bytes]:
        for series, times in planned:
            key, step_key = series.key, series.key._replace(is_step=True)
            after[key] = times[-1]
            if series.has_step is None:
                values, steps = encode_samples(times, [series.values, series.steps])
            else:
                [values] = encode_samples(times, [series.values])
                times = list(compress(times, series.has_step))
                steps = b"".join(encode_samples(times, [series.steps])) if times else b""
            yield encode_series(self._labels_of(key), values)
            if steps:
                after[step_key] = times[-1]
                yield encode_series(self._labels_of(step_key), steps)

    def _info(self, writer: str, when: int) -> tuple[SeriesKey, Sample] | None:
        found: dict[SeriesKey, list[Sample]] = {}
        self._add_info(found, writer, when)
        return next(((key, samples[0]) for key, samples in found.items() if key.kind == INFO), None)
