"""What one writer recorded, as the events of one or more folders: tags, steps that only increase, each record once.

The web server drops every point of a tag whose step is not below that of a later point. So a step that does not
increase goes to another folder, ``repeated-1`` and so on, where the points before it stay as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.tensorboard import crc32c, mapping, protobuf
from tracelet_builtin_plugins.backends.tensorboard.event_file import (
    EventFile,
    frame,
    frame_start,
    read_events,
)
from tracelet_builtin_plugins.backends.tensorboard.protobuf import bytes_field, int_field, read_varint, varint
from tracelet_builtin_plugins.naming import mark_of
from tracelet_hookspecs import MetricData, RecordId

__all__ = ["SCALARS", "WriterSeries"]

SCALARS: Final = "scalars"
LANES: Final = 64  # folders of one writer; what repeats more often goes to the last one

# Fields of the extra message, see docs/plugins/tensorboard.md.
SEQUENCE, INDEX, EXACT, SOURCE, NAME, NO_STEP = 1, 2, 3, 4, 5, 6
_NO_STEP_FLAG: Final = int_field(NO_STEP, 1)
_SUMMARY_KEY: Final = 5 << 3 | 2
_EXTRA_KEY: Final = varint(protobuf.EXTRA << 3 | 2)
_EXACT_KEY: Final = varint(EXACT << 3 | 1)

_DOUBLE: Final = struct.Struct("<d").pack
_FLOAT: Final = struct.Struct("<f")
_CRC: Final = struct.Struct("<I").pack

Owner = tuple[str, str, str]  # kind, name, source: what a tag belongs to


class Series:
    """One tag: what its events have in common, and the last step in each folder."""

    __slots__ = ("about", "lasts", "start", "state", "tag")

    def __init__(self, tag: str, owner: Owner, *, double: bool) -> None:
        _, name, source = owner
        self.tag = tag
        self.lasts: list[int] = []
        about = bytes_field(SOURCE, source.encode("utf-8", "surrogatepass")) if source else b""
        self.about = about + (
            bytes_field(NAME, name.encode("utf-8", "surrogatepass")) if name != tag else b""
        )
        # The summary comes first and its value last, so that the rest of it, checksum included, is computed once.
        if double:
            value = protobuf.summary_value(tag, protobuf.tensor_double(0.0), SCALARS)
        else:
            value = protobuf.summary_value(tag, protobuf.float_field(2, 0.0))
        self.start = bytes_field(5, value)[: -8 if double else -4]
        self.state = crc32c.extend(crc32c.EMPTY, self.start)

    def next_step(self) -> int:
        """Return the step of a point that has none. The first folder has the largest steps."""
        return self.lasts[0] + 1 if self.lasts else 0

    def place(self, step: int) -> int:
        """Return the folder for a step, by its number, and note the step."""
        lasts = self.lasts
        for lane, last in enumerate(lasts):
            if step > last:
                lasts[lane] = step
                return lane
        if len(lasts) < LANES:
            lasts.append(step)
        else:
            lasts[-1] = step
        return len(lasts) - 1

    def learn(self, lane: int, step: int) -> None:
        """Note an unsigned step that a file has."""
        step -= step >> 63 << 64
        lasts = self.lasts
        while lane >= len(lasts):
            lasts.append(step - 1)
        if step > lasts[lane]:
            lasts[lane] = step


class RecordSet:
    """The ids of a writer's records, a bit for each: a million records take a few hundred kilobytes.

    Sequences are those of a journal that may come from someone else, so that they may be far apart.
    """

    def __init__(self) -> None:
        self._pages: dict[tuple[int, int], int] = {}  # by index and sequence // 1024

    def add(self, sequence: int, index: int) -> bool:
        """Add a record; return whether it is new."""
        page, bit = (index, sequence >> 10), 1 << (sequence & 1023)
        found = self._pages.get(page, 0)
        if found & bit:
            return False
        self._pages[page] = found | bit
        return True


class WriterSeries:
    """The events of one writer, below one folder. After an exception, it has to be made again from the files."""

    def __init__(
        self, folder: Path, writer: str, started_at: float, *, double: bool = False, fsync: bool = False
    ) -> None:
        self.folder = folder
        self.repeats = 0
        self.latest = started_at
        self._about_file: tuple[Any, ...] = (writer, started_at)
        self._double = double
        self._fsync = fsync
        self._lanes: list[EventFile] = []
        self._series: dict[tuple[str, str | None], Series] = {}  # of points, by name and source
        self._tags: dict[str, tuple[Owner, Series]] = {}
        self._records = RecordSet()
        self._restore()

    def append_points(self, points: Sequence[MetricData]) -> int:
        """Append a batch of points, without those that are there already, and return how many were new."""
        is_new, known, double = self._records.add, self._series, self._double
        lanes: dict[int, list[bytes]] = {0: []}
        count = 0
        for point in points:
            identity = point.id
            if identity is not None and not is_new(identity[1], identity[2]):
                self.repeats += 1
                continue
            series = known.get((point.name, point.source)) or self._points_series(point.name, point.source)
            count += 1
            value, when, step = float(point.value), point.timestamp or 0.0, point.iteration
            extra = series.about
            if step is None:
                step, extra = series.next_step(), extra + _NO_STEP_FLAG
            if identity is not None:
                extra += b"\x08" + varint(identity[1])
                if identity[2]:
                    extra += b"\x10" + varint(identity[2])
            if double:
                data = _DOUBLE(value)
            else:
                try:
                    data = _FLOAT.pack(value)
                    if _FLOAT.unpack(data)[0] != value == value:
                        extra += _EXACT_KEY + _DOUBLE(value)
                except OverflowError:
                    data = _FLOAT.pack(mapping.nearest_float32(value))
                    extra += _EXACT_KEY + _DOUBLE(value)
            data += b"\x09" + _DOUBLE(when) + b"\x10" + varint(step)
            if extra:
                data += _EXTRA_KEY + varint(len(extra)) + extra
            lasts = series.lasts
            if lasts and step > lasts[0]:
                lasts[0], lane = step, 0
            else:
                lane = series.place(step)
            crc = _CRC(crc32c.mask(crc32c.extend(series.state, data)))
            size = frame_start(len(series.start) + len(data))
            (lanes.get(lane) or lanes.setdefault(lane, [])).extend((size, series.start, data, crc))
        for lane, parts in lanes.items():
            if parts:
                self._lane(lane).append(b"".join(parts))
        self.latest = max(self.latest, max((point.timestamp or 0.0 for point in points), default=0.0))
        return count

    def append_value(
        self,
        kind: str,
        name: str,
        content: bytes,
        *,
        step: int | None,
        wall_time: float | None,
        plugin: str = "",
        identity: RecordId | None,
    ) -> bool:
        """Append an image, histogram, text or sound, unless it is there already; return whether it was new."""
        if identity and not self._records.add(identity[1], identity[2]):
            self.repeats += 1
            return False
        series = self._tag((kind, name, ""), f"/{kind}")
        extra = series.about
        if step is None:
            step, extra = series.next_step(), extra + _NO_STEP_FLAG
        if identity:
            extra += int_field(SEQUENCE, identity[1]) + (
                int_field(INDEX, identity[2]) if identity[2] else b""
            )
        value = protobuf.summary_value(series.tag, content, plugin)
        when = self.latest if wall_time is None else wall_time
        self._lane(series.place(step)).append(frame(protobuf.event(when, step, value, extra)))
        return True

    def _lane(self, number: int) -> EventFile:
        while number >= len(self._lanes):
            at = len(self._lanes)
            folder = self.folder / f"repeated-{at}" if at else self.folder
            self._lanes.append(EventFile(folder, *self._about_file, fsync=self._fsync))
        return self._lanes[number]

    def _points_series(self, name: str, source: str | None) -> Series:
        series = self._tag((SCALARS, name, source or ""), f"@{source}" if source else f"/{SCALARS}")
        self._series[name, source] = series
        return series

    def _tag(self, owner: Owner, ending: str) -> Series:
        """Return the series of an owner: its name is the tag, unless that belongs to something else."""
        tag = mapping.tag_of(owner[1])
        while tag in self._tags and self._tags[tag][0] != owner:
            tag = mapping.free_tag(tag, ending, {})
            ending = mark_of(tag)
        if tag not in self._tags:
            self._tags[tag] = owner, Series(tag, owner, double=self._double)
        return self._tags[tag][1]

    def _restore(self) -> None:
        """Read what earlier processes have written: ids, tags, and the last step of each tag in each folder."""
        starts: dict[bytes, Series] = {}
        for number in range(LANES):
            for path in self._lane(number).earlier():
                for data in read_events(path):
                    if not self._learn_point(number, data, starts):
                        self._learn(number, data, starts)
            if number and not self._lane(number).folder.is_dir():
                break

    def _learn_point(self, lane: int, data: bytes, starts: Mapping[bytes, Series]) -> bool:
        """Read an event as :meth:`append_points` writes it, several times faster than any other, if it is one."""
        if data[0] != _SUMMARY_KEY:
            return False
        size, end = read_varint(data, 1)
        end += size
        series = starts.get(data[: end - (8 if self._double else 4)])
        if series is None:
            return False
        step, at = read_varint(data, end + 10)  # after the key and value of the time, and the key of the step
        series.learn(lane, step)
        if data[at : at + 3] == _EXTRA_KEY:
            _, at = read_varint(data, at + 3)
            at += len(series.about)
            if data[at : at + 2] == _NO_STEP_FLAG:
                at += 2
            if data[at : at + 1] == b"\x08":
                sequence, at = read_varint(data, at + 1)
                index = read_varint(data, at + 1)[0] if data[at : at + 1] == b"\x10" else 0
                self._records.add(sequence, index)
        return True

    def _learn(self, lane: int, data: bytes, starts: dict[bytes, Series]) -> None:
        found = dict(protobuf.fields(data))
        if 5 not in found:
            return
        extra = dict(protobuf.fields(found.get(protobuf.EXTRA, b"")))
        tag, kind = tag_and_kind(found[5])
        name = extra[NAME].decode("utf-8", "surrogatepass") if NAME in extra else tag
        owner = kind, name, extra.get(SOURCE, b"").decode("utf-8", "surrogatepass")
        series = self._tags.setdefault(tag, (owner, Series(tag, owner, double=self._double)))[1]
        starts[series.start] = series
        series.learn(lane, found.get(2, 0))
        self.latest = max(self.latest, struct.unpack("<d", found[1])[0])
        if SEQUENCE in extra:
            self._records.add(extra[SEQUENCE], extra.get(INDEX, 0))


def tag_and_kind(summary: bytes) -> tuple[str, str]:
    """Return the tag of a summary's value, and what it holds."""
    value = dict(protobuf.fields(dict(protobuf.fields(summary))[1]))
    kinds = {2: SCALARS, 4: "images", 5: "histograms", 6: "audio"}
    kind = next((kinds[number] for number in kinds if number in value), "")
    if not kind and 9 in value:
        plugin = dict(protobuf.fields(dict(protobuf.fields(value[9]))[1]))
        kind = plugin[1].decode()
    return value[1].decode(), kind
