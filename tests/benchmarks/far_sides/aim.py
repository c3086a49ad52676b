"""aim, compared with ``Run.track`` of Aim itself. Both write some thousand points per second: ``--points 10000``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_backends import Case


@contextmanager
def open_case(folder: Path) -> Iterator[Case]:
    """Use two repositories, one for each side."""
    from aim.sdk.index_manager import RepoIndexManager
    from aim.sdk.repo import Repo
    from aim.sdk.run import Run

    ours, theirs = folder / "ours", folder / "theirs"
    for path in (ours, theirs):
        path.mkdir()
        Repo(str(path), init=True)
    client = Repo.from_path(str(theirs))

    def store(points: list[tuple[str, float, int, float]]) -> None:
        run = Run(repo=client, system_tracking_interval=None, capture_terminal_logs=False)
        for name, value, step, _ in points:
            run.track(value, name, step)
        run.close()

    def count() -> int:
        repo = Repo(str(ours))
        chunks = ours / ".aim" / "meta" / "chunks"
        hashes = [path.name for path in chunks.iterdir()] if chunks.exists() else []
        for each in hashes:
            RepoIndexManager(repo).index(each)
        repo.container_pool.clear()
        runs = [repo.get_run(each) for each in hashes]
        return sum(len(metric.data.items_list()[0]) for run in runs for metric in run.metrics())

    yield Case("aim", {"repo": str(ours), "isolation": "thread"}, store, count)
