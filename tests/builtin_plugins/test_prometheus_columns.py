"""Remote write sends the same samples of points as columns as it sends of the points one by one."""

from __future__ import annotations

import struct
import tempfile
from array import array
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet_builtin_plugins.backends.prometheus.column_samples import encode_samples, shift_times
from tracelet_builtin_plugins.backends.prometheus.column_write import ColumnWrite
from tracelet_builtin_plugins.backends.prometheus.mapping import SeriesKey
from tracelet_builtin_plugins.backends.prometheus.remote_write import REMEMBERED
from tracelet_builtin_plugins.backends.prometheus.sent_times import SentTimes
from tracelet_builtin_plugins.backends.prometheus.wire import encode_sample
from tracelet_builtin_plugins.http_client import HttpStatusError, Response
from tracelet_hookspecs import MetricColumns, MetricData, MetricType

OTHER_NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF4 << 48 | 1))[0]
USUAL = st.floats(1.7e9, 1.7e9 + 50)
POINTS = st.lists(
    st.tuples(
        st.sampled_from(["loss", "acc", "b/c"]),
        st.floats() | st.integers(-(2**70), 2**70) | st.just(OTHER_NAN),
        st.sampled_from([MetricType.SCALAR, MetricType.SYSTEM]),
        st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
        USUAL | st.sampled_from([0.0, 1.7e9 - 100_000, 1.7e9 + 16.384, 5e9]),
        st.none() | st.sampled_from(["system", "gpu"]),
    ),
    max_size=20,
)


class Server:
    """Takes requests in place of a Prometheus; ``refusals`` are answered first."""

    url = "http://localhost"

    def __init__(self) -> None:
        self.samples: dict[bytes, list[tuple[int, bytes]]] = {}
        self.requests = 0
        self.refusals: list[Exception] = []

    def request(self, method: str, body: bytes, headers: Any) -> None:
        self.requests += 1
        if self.refusals:
            raise self.refusals.pop()
        for series in fields(body):
            labels = b"|".join(data for number, data in parts(series) if number == 1)
            kept = self.samples.setdefault(labels, [])
            for number, sample in parts(series):
                if number == 2:
                    assert sample[0] == 9
                    assert sample[9] == 16
                    when = sum((byte & 127) << 7 * at for at, byte in enumerate(sample[10:]))
                    kept.append((when, sample[1:9]))


def parts(data: bytes) -> list[tuple[int, bytes]]:
    """Return the fields of a message, all of which have a length."""
    found, at = [], 0
    while at < len(data):
        number, size, shift, at = data[at] >> 3, 0, 0, at + 1
        while True:
            size |= (data[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if data[at - 1] < 128:
                break
        found.append((number, data[at : at + size]))
        at += size
    return found


def fields(data: bytes) -> list[bytes]:
    return [contents for _, contents in parts(data)]


def label(key: SeriesKey) -> bytes:
    text = "/".join(map(str, key)).encode()
    return b"\x0a" + bytes([len(text)]) + text


class Both:
    """Two writers of the same run: one gets points, the other columns."""

    def __init__(self, folder: Path) -> None:
        self.servers = [Server(), Server()]
        self.writers = []
        for name, server in zip("pc", self.servers, strict=True):
            (folder / name).mkdir(exist_ok=True)
            self.writers.append(ColumnWrite(server, bytes, label, SentTimes(folder / name)))  # type: ignore[arg-type]

    def store(self, points: list[MetricData]) -> None:
        self.writers[0].store(points)
        self.writers[1].store_columns(MetricColumns.from_points(points))

    def check(self) -> None:
        one, other = self.writers
        assert self.servers[0].samples == self.servers[1].samples
        assert (one.sent, one.left_out) == (other.sent, other.left_out)
        assert one._last == other._last


def with_ids(points: list[tuple[Any, ...]], first: int) -> list[MetricData]:
    return [MetricData(*point, id=("w" * 32, at, 0)) for at, point in enumerate(points, first)]


@settings(deadline=None)
@given(first=POINTS, second=POINTS, repeated=st.integers(0, 5))
def test_the_same_samples(first: list[tuple[Any, ...]], second: list[tuple[Any, ...]], repeated: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        both = Both(Path(folder))
        batch = with_ids(first, 0)
        both.store(batch)
        both.store([*batch[len(batch) - repeated :], *with_ids(second, len(batch))])
        both.check()
        again = Both(Path(folder))  # another process, to which a part is delivered again
        again.store([*batch[len(batch) // 2 :], *with_ids(second, len(batch))])
        again.check()


def usual(count: int, first: int = 0) -> list[MetricData]:
    points = [
        (f"m{at % 3}", at / 2, MetricType.SCALAR, at, 1.7e9 + (first + at) * 1e-4, None)
        for at in range(count)
    ]
    return with_ids(points, first)


def test_a_usual_batch_is_one_request_and_a_repeat_none(tmp_path: Path) -> None:
    both = Both(tmp_path)
    for at in range(3):
        both.store(usual(1000, at * 1000))
    both.store(usual(3000))
    both.store([*usual(50), *usual(100, 3000)])
    both.check()
    assert both.servers[1].requests == 4
    assert both.writers[1].sent == 3100


def test_only_the_latest_columns_are_remembered(tmp_path: Path) -> None:
    writer = Both(tmp_path).writers[1]
    for at in range(40):
        writer.store_columns(MetricColumns.from_points(usual(4096, at * 4096)))
    assert REMEMBERED <= sum(len(one.columns) for one in writer._sent) <= 2 * REMEMBERED


def test_a_refusal_is_looked_into_point_by_point(tmp_path: Path) -> None:
    both = Both(tmp_path)
    both.store(usual(10))
    for server in both.servers:
        server.refusals = [HttpStatusError(server.url, Response(400, {}, b"out of order sample"))]
    both.store(usual(50, 10))
    both.check()
    assert both.writers[1].sent == 60


def test_an_outage_is_raised_and_the_next_attempt_sends_the_same(tmp_path: Path) -> None:
    both = Both(tmp_path)
    both.store(usual(10))
    both.servers[1].refusals = [ConnectionError("down"), ConnectionError("down")]
    columns = MetricColumns.from_points(usual(50, 10))
    for _ in range(2):
        with pytest.raises(ConnectionError):
            both.writers[1].store_columns(columns)
    both.store(usual(50, 10))
    both.check()
    assert both.servers[1].requests == 4


@given(
    times=st.lists(st.integers(1 << 35, (1 << 42) - 1), min_size=1, max_size=30).map(sorted),
    data=st.data(),
)
def test_samples_are_encoded_alike(times: list[int], data: st.DataObject) -> None:
    values = data.draw(st.lists(st.floats(), min_size=len(times), max_size=len(times)))
    [found] = encode_samples(times, [array("d", values)])
    assert found == b"".join(encode_sample(when, value) for when, value in zip(times, values, strict=True))


@given(
    times=st.lists(st.integers(0, 50), min_size=1),
    last=st.none() | st.integers(0, 50),
    most=st.integers(0, 60),
)
def test_times_are_shifted_as_one_by_one(times: list[int], last: int | None, most: int) -> None:
    expected: list[int] = []
    for when in times:
        last = when if last is None or when > last else last + 1
        expected.append(last)
    found = shift_times(times, None if not expected else _before(times, expected), most)
    is_near = all(shifted - when <= most for when, shifted in zip(times, expected, strict=True))
    assert found == (expected if is_near else None)


def _before(times: list[int], expected: list[int]) -> int | None:
    """Return the last time before these that leads to the expected ones."""
    return expected[0] - 1 if expected[0] != times[0] else None
