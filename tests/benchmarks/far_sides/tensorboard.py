"""tensorboard, compared with ``add_scalar`` of TensorBoard's own writer, which is faster than that of tensorboardX."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_backends import Case


@contextmanager
def open_case(folder: Path) -> Iterator[Case]:
    """Use a folder as log directory; neither side needs a server."""
    from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary import Writer

    log_dir, done = folder / "logs", [0]

    def store(points: list[tuple[str, float, int, float]]) -> None:
        done[0] += 1
        writer = Writer(str(folder / f"client{done[0]}"))
        for name, value, step, when in points:
            writer.add_scalar(name, value, step, wall_time=when)
        writer.close()

    def count() -> int:
        return sum(
            bool(Event.FromString(data).summary.value)
            for path in log_dir.rglob("events*")
            if ".0-run." not in path.name
            for data in RawEventFileLoader(str(path)).Load()
        )

    yield Case("tensorboard", {"log_dir": str(log_dir)}, store, count)
