"""Points as columns: what ``log_columns`` receives."""

from __future__ import annotations

import copy
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress, repeat
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from tracelet_hookspecs._records import MetricData, MetricType, RecordId

#: The step of a point without one, in :attr:`MetricColumns.steps`.
NO_STEP: Final = -(1 << 63)

_CODES: Final = {
    "key_indices": "I",
    "steps": "q",
    "times": "d",
    "values": "d",
    "sequences": "q",
    "indexes": "q",
}
_NOTHING: Final[Mapping[int, Any]] = MappingProxyType({})
_LARGEST: Final = (1 << 63) - 1


class MetricKey(NamedTuple):
    """What tells one metric of a process from another."""

    name: str
    type: MetricType
    source: str | None


class MetricColumns:
    """Points of one process in the order of recording, as columns of equal length.

    Each column is a read-only memoryview of 64-bit numbers (``key_indices``: 32-bit), so that NumPy
    (``numpy.asarray(columns.values)``) and PyArrow (``pyarrow.py_buffer(columns.values)``) use it without copying.

    ``writer`` identifies the process. ``keys`` are the distinct metrics, each a :class:`MetricKey`, and ``key_indices``
    says for each point which of them it belongs to; not each key needs to have a point. ``steps`` has ``NO_STEP`` for a
    point without a step. ``times`` are seconds since the epoch. Writer, sequence and index of a point are its id, see
    :meth:`id`. ``values`` are float64, as recorded. A processor may turn a value into an ``int``, and attach metadata:
    ``integers`` and ``metadata`` have these by place; nearly always both are empty.
    """

    __slots__ = (*_CODES, "integers", "keys", "metadata", "writer")

    key_indices: Any
    steps: Any
    times: Any
    values: Any
    sequences: Any
    indexes: Any

    def __init__(
        self,
        writer: str,
        keys: Iterable[MetricKey],
        *,
        key_indices: Any,
        steps: Any,
        times: Any,
        values: Any,
        sequences: Any,
        indexes: Any,
        integers: Mapping[int, int] | None = None,
        metadata: Mapping[int, Any] | None = None,
    ) -> None:
        """Make columns from arrays (or anything with the buffer protocol), which must not change afterwards."""
        self.writer = writer
        self.keys = tuple(keys)
        self.integers = MappingProxyType(integers) if integers else _NOTHING
        self.metadata = MappingProxyType(metadata) if metadata else _NOTHING
        given = (key_indices, steps, times, values, sequences, indexes)
        for name, column in zip(_CODES, given, strict=True):
            setattr(self, name, memoryview(column).toreadonly())

    @classmethod
    def from_points(cls, points: Iterable[MetricData]) -> MetricColumns:
        """Return points of one process as columns.

        Raises:
            ValueError: the points have no ids, or not all of the same process.
            OverflowError: a step does not fit 64 bits.
        """
        points = list(points)
        writers = {None if point.id is None else point.id[0] for point in points}
        if len(writers) > 1 or None in writers:
            raise ValueError("expected points with ids that are all of one writer")
        numbers: dict[MetricKey, int] = {}
        ids: list[Any] = [point.id for point in points]
        return cls(
            *(str(writers.pop()) if writers else "", numbers),
            key_indices=array("I", [numbers.setdefault(_key_of(point), len(numbers)) for point in points]),
            steps=array("q", [NO_STEP if point.iteration is None else point.iteration for point in points]),
            times=array("d", [point.timestamp or 0.0 for point in points]),
            values=array("d", [_as_float(point.value) for point in points]),
            sequences=array("q", [id[1] for id in ids]),
            indexes=array("q", [id[2] for id in ids]),
            integers={at: point.value for at, point in enumerate(points) if type(point.value) is int},
            metadata={at: point.metadata for at, point in enumerate(points) if point.metadata is not None},
        )

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.values)

    def __getitem__(self, places: slice) -> MetricColumns:
        """Return consecutive points, without copying them."""
        start, stop, step = places.indices(len(self))
        if step != 1:
            raise ValueError("expected a slice of consecutive points")

        def moved(given: Mapping[int, Any]) -> Mapping[int, Any]:
            return {at - start: value for at, value in given.items() if start <= at < stop}

        return self._with(lambda column, _: column[start:stop], moved)

    def where(self, mask: Sequence[Any]) -> MetricColumns:
        """Return the points for which ``mask``, which has an entry for each, is true."""

        def moved(given: Mapping[int, Any]) -> Mapping[int, Any]:
            return {
                at: given[place]
                for at, place in enumerate(compress(range(len(self)), mask))
                if place in given
            }

        return self._with(lambda column, code: array(code, compress(column, mask)), moved)

    def _with(
        self, choose: Callable[[Any, str], Any], moved: Callable[[Mapping[int, Any]], Mapping[int, Any]]
    ) -> MetricColumns:
        columns = {name: choose(getattr(self, name), code) for name, code in _CODES.items()}
        integers = moved(self.integers) if self.integers else None
        metadata = moved(self.metadata) if self.metadata else None
        return MetricColumns(self.writer, self.keys, **columns, integers=integers, metadata=metadata)

    def id(self, place: int) -> RecordId:
        """Return what identifies a point: the same each time that it is delivered."""
        return self.writer, self.sequences[place], self.indexes[place]

    def ids(self) -> list[RecordId]:
        """Return the ids of all points."""
        return list(zip(repeat(self.writer), self.sequences, self.indexes))

    def exact_values(self) -> Sequence[Any]:
        """Return the values, those as ``int`` that a processor has made integers."""
        if not self.integers:
            return self.values  # type: ignore[no-any-return]
        values: list[Any] = self.values.tolist()
        for place, value in self.integers.items():
            values[place] = value
        return values

    def points(self) -> list[MetricData]:
        """Return the points as new objects, as ``log_metrics`` receives them."""
        from tracelet_hookspecs._records import MetricData

        named = zip(*self.keys, strict=True) if self.keys else ((), (), ())
        names, types, sources = (map(each.__getitem__, self.key_indices) for each in named)
        steps = (
            self.steps
            if NO_STEP not in self.steps
            else [None if step == NO_STEP else step for step in self.steps]
        )
        ids = zip(repeat(self.writer), self.sequences, self.indexes)
        rows = (names, self.exact_values(), types, steps, self.times, sources, repeat(None), ids)
        points = list(map(MetricData, *rows))
        for place, given in self.metadata.items():
            points[place].metadata = copy.deepcopy(given)
        return points

    def __reduce__(self) -> Any:
        columns = {name: array(code, getattr(self, name).tobytes()) for name, code in _CODES.items()}
        more = {"integers": dict(self.integers), "metadata": dict(self.metadata)}
        return _restore, (self.writer, self.keys, {**columns, **more})

    def __repr__(self) -> str:
        return f"<MetricColumns of {self.writer}: {len(self)} points of {len(self.keys)} metrics>"


def _restore(writer: str, keys: tuple[MetricKey, ...], columns: dict[str, Any]) -> MetricColumns:
    return MetricColumns(writer, keys, **columns)


def _key_of(point: MetricData) -> MetricKey:
    return MetricKey(point.name, point.type, point.source)


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond the largest float
        return float("inf") if value > 0 else float("-inf")
