"""clearml offline, compared with ``report_scalar`` of ClearML's client in an offline session of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_backends import Case


@contextmanager
def open_case(folder: Path) -> Iterator[Case]:
    """Neither side needs a server. The client keeps one value per series and iteration only at import."""
    os.environ["CLEARML_CACHE_DIR"] = str(folder / "cache")
    from clearml import Task

    Task.set_offline(True)
    task = Task.init(
        "bench",
        "client",
        reuse_last_task_id=False,
        auto_connect_arg_parser=False,
        auto_connect_frameworks=False,
        auto_resource_monitoring=False,
        auto_connect_streams=False,
    )
    logger = task.get_logger()

    def store(points: list[tuple[str, float, int, float]]) -> None:
        for name, value, step, _ in points:
            logger.report_scalar(name, name, value, step)
        task.flush(wait_for_uploads=True)

    def count() -> int:
        return sum(
            len(json.loads(line))
            for path in folder.rglob("clearml-offline/metrics.jsonl")
            for line in path.read_text().splitlines()
        )

    yield Case("clearml", {"offline": True, "isolation": "thread"}, store, count)
    task.close()
