"""wandb offline, compared with ``run.log`` of the same rows, until they are in the run's file."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import wandb
from bench_backends import Case

sys.path.append(str(Path(__file__).parents[2] / "backends" / "wandb"))
from run_files import WandbRun

QUIET = {
    "mode": "offline",
    "console": "off",
    "silent": True,
    "x_disable_stats": True,
    "x_disable_meta": True,
    "x_transaction_log_flush_interval": 0.05,
}


@contextmanager
def open_case(folder: Path) -> Iterator[Case]:
    """Keep wandb's own folders in the case's."""
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        os.environ[name] = str(folder / "wandb-own")
    far = folder / "far"

    settings = wandb.Settings(reinit="create_new", **QUIET)
    run = wandb.init(project="bench", dir=str(folder), settings=settings)
    done = [0]

    def store(points: list[tuple[str, float, int, float]]) -> None:
        for name, value, step, when in points:
            run.log({name: value, "step": step, "_timestamp": when})
        done[0] += 1
        run.config.update({"stored": f"batch {done[0]} of the benchmark"}, allow_val_change=True)
        mark = f"batch {done[0]} of the benchmark".encode()
        while mark not in Path(run.settings.sync_file).read_bytes()[-65_536:]:
            time.sleep(0.01)

    def count() -> int:
        ids = {path.stem.removeprefix("run-") for path in far.glob("wandb/*run-*/run-*.wandb")}
        rows = [row for id in ids for row in WandbRun(far, id).rows]
        return sum(sum(key.startswith("metric") for key in row) for row in rows)

    yield Case("wandb", {"mode": "offline", "dir": str(far)}, store, count)
