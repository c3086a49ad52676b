"""wandb offline, compared with ``run.log`` of the same rows and ``run.finish()``, which waits for the file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import wandb
from bench_backends import Case

sys.path.append(str(Path(__file__).parents[2] / "backends" / "wandb"))
from run_files import WandbRun

QUIET = {"mode": "offline", "console": "off", "silent": True, "x_disable_stats": True, "x_disable_meta": True}


@contextmanager
def open_case(folder: Path) -> Iterator[Case]:
    """Keep wandb's own folders in the case's."""
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        os.environ[name] = str(folder / "wandb-own")
    far = folder / "far"

    def store(points: list[tuple[str, float, int, float]]) -> None:
        settings = wandb.Settings(reinit="create_new", **QUIET)
        run = wandb.init(project="bench", dir=str(folder), settings=settings)
        for name, value, step, when in points:
            run.log({name: value, "step": step, "_timestamp": when})
        run.finish()

    def count() -> int:
        ids = {path.stem.removeprefix("run-") for path in far.glob("wandb/*run-*/run-*.wandb")}
        rows = [row for id in ids for row in WandbRun(far, id).rows]
        return sum(sum(key.startswith("metric") for key in row) for row in rows)

    yield Case("wandb", {"mode": "offline", "dir": str(far), "isolation": "thread"}, store, count)
