"""What the tests of real launchers share: a program that all of them start, and what was recorded of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tracelet

QUIET = 'plugins = ["no:system", "no:environment", "no:gpu"]\n'

#: A training that continues where it was: 30 steps, and a file that says it has begun. The tests decide how it ends.
TRAINING = """
import os, sys, time
import tracelet

name = sys.argv[1] if len(sys.argv) > 1 else "training"
steps, seconds = int(os.environ.get("STEPS", 30)), float(os.environ.get("STEP_SECONDS", 0))
with tracelet.start_run(name) as run:
    first = 0 if run.last_step is None else run.last_step + 1
    rank = run.job.rank if run.job else 0
    size = run.job.world_size if run.job else 1
    print("STARTED", run.id, rank, size, first, flush=True)
    for step in range(first, steps):
        run.log({"loss": 1 / (step + 1), "rank": rank}, step=step)
        if step == first + 5:
            open(f"begun-{name}-{rank}-{first}", "w").write(str(os.getpid()))
        time.sleep(seconds)
"""


class FoundRun(NamedTuple):
    """A run: its name, the ranks of all processes that joined it, its outcome, and the steps of its loss."""

    name: str
    ranks: list[int | None]
    outcome: str
    steps: list[int]


class Jobs:
    """A project with a training, and a reader of what it recorded."""

    def __init__(self, project: Any) -> None:
        self.project = project
        self.path: Path = project.path
        project.write("tracelet.toml", QUIET)
        project.write("train.py", TRAINING)

    def runs(self) -> dict[str, FoundRun]:
        """Return the runs by their ids."""
        return {each.id: self._found(each) for each in tracelet.open_store(self.path).runs()}

    def the_run(self) -> FoundRun:
        """Return the run. There must be no other."""
        [(_, found)] = self.runs().items()
        return found

    def _found(self, record: Any) -> FoundRun:
        ranks = sorted((process.rank for process in record.writers), key=str)
        steps = [int(step) for step in record.metric("loss").iterations] if "loss" in record.metrics() else []
        return FoundRun(record.name, ranks, record.outcome, sorted(steps))

    def wait_for_file(self, pattern: str, seconds: float = 60) -> Path:
        """Wait until the program has written a file, and return it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for path in self.path.glob(pattern):
                if path.read_text():
                    return path
            time.sleep(0.05)
        pytest.fail(
            f"no file {pattern} in {seconds} s; there are {sorted(p.name for p in self.path.iterdir())}"
        )


@pytest.fixture
def jobs(project: Any) -> Jobs:
    """Return a project with a training that launchers start."""
    return Jobs(project)


@pytest.fixture
def as_project() -> Callable[[Any], Jobs]:
    """Return what puts the training into a project that several tests share."""
    return Jobs
