"""lake, compared with pyarrow, which writes the same rows as files of the same size into a folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_backends import Case

ROWS = 65_536  # in a file, as a batch of tracelet's


@contextmanager
def open_case(folder: Path) -> Iterator[Case]:
    """Use a folder; neither side needs a server."""
    import pyarrow
    import pyarrow.parquet

    done = [0]

    def store(points: list[tuple[str, float, int, float]]) -> None:
        done[0] += 1
        own = folder / f"client{done[0]}"
        own.mkdir()
        for start in range(0, len(points), ROWS):
            some = points[start : start + ROWS]
            names, values, steps, times = zip(*some, strict=True)
            columns = {"name": names, "step": steps, "value": values, "time": times}
            table = pyarrow.table({key: list(column) for key, column in columns.items()})
            pyarrow.parquet.write_table(table.sort_by("name"), own / f"{start}.parquet", compression="zstd")

    def count() -> int:
        files = (folder / "lake").rglob("metrics/*.parquet")
        return sum(pyarrow.parquet.read_metadata(path).num_rows for path in files)

    yield Case("lake", {"url": str(folder / "lake")}, store, count)
