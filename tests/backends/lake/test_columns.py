"""Points as columns become the same files, to the byte, as the same points one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tracelet.testing import RunDouble
from tracelet_builtin_plugins.backends.lake.objects import open_objects
from tracelet_builtin_plugins.backends.lake.writing import RunWriter
from tracelet_hookspecs import MetricColumns, MetricData, MetricType

pytest.importorskip("pyarrow")

POINTS = st.lists(
    st.tuples(
        st.sampled_from(["loss", "acc", "é", "a\ud800", "b"]),
        st.floats() | st.integers(-(2**70), 2**70),
        st.sampled_from([MetricType.SCALAR, MetricType.SYSTEM, MetricType.CUSTOM]),
        st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
        st.floats(0, 4e9),
        st.none() | st.sampled_from(["system", "gpu"]),
        st.integers(0, 2),
    ),
    min_size=1,
    max_size=30,
)


def with_ids(points: list[tuple[Any, ...]], first: int = 0) -> list[MetricData]:
    """Return points in the order of recording: a row has several, of one sequence number."""
    made, sequence, index = [], first, -1
    for *fields, step in points:
        sequence, index = (sequence, index + 1) if not step and made else (sequence + step, 0)
        made.append(MetricData(*fields, id=("w" * 32, sequence, index)))
    return made


class Lakes:
    """Two lakes with the same run, one for points and one for columns."""

    def __init__(self, folder: Path) -> None:
        self.folders = [folder / "points", folder / "columns"]
        self.writers = []
        for place in self.folders:
            run = RunDouble(place / "run")
            run.dir.mkdir(parents=True)
            run.started_at = 0.0
            run.ended_at = 0.0  # no live run, whose documents have the time of their writing
            objects = open_objects(str(place / "lake"), {}, run.dir)
            objects.begin()
            self.writers.append(RunWriter(objects, run))

    def event(self, payload: dict[str, Any]) -> None:
        for writer in self.writers:
            writer.store_event("writer", payload, 1.0, ("w" * 32, 0, 0))

    def store(self, points: list[MetricData]) -> None:
        self.writers[0].store_points(points)
        self.writers[1].store_columns(MetricColumns.from_points(points))

    def files(self) -> list[dict[str, bytes]]:
        return [
            {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
            for place in self.folders
        ]

    def check(self) -> None:
        points, columns = (
            {path: data for path, data in found.items() if path.startswith("lake/")} for found in self.files()
        )
        assert any("/metrics/" in path for path in points)
        assert points == columns
        assert self.writers[0].counts == self.writers[1].counts


@settings(
    max_examples=15,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(first=POINTS, second=POINTS, rank=st.none() | st.integers(0, 1))
def test_the_same_files_and_documents(
    tmp_path_factory: Any, first: list[tuple[Any, ...]], second: list[tuple[Any, ...]], rank: int | None
) -> None:
    lakes = Lakes(tmp_path_factory.mktemp("lakes"))
    lakes.event({"rank": rank} if rank is not None else {})
    batch = with_ids(first, 1)
    lakes.store(batch)
    lakes.store(with_ids(second, batch[-1].id[1] + 1))
    lakes.check()


def test_repeats_overlaps_and_late_points(tmp_path: Path) -> None:
    lakes = Lakes(tmp_path)
    points = with_ids([("loss", at / 2, MetricType.SCALAR, at, 1.0 + at, None, 1) for at in range(100)])
    late, rest = points[10], points[:10] + points[11:]
    lakes.store(rest[:50])
    lakes.store(rest[:50])  # a batch again
    lakes.store(rest[30:70])  # and another one, which overlaps
    lakes.store([late])
    lakes.store([points[80], points[75]])  # out of order
    lakes.check()
    assert sum("/metrics/" in path for path in lakes.files()[1]) == 4
