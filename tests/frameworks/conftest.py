"""What the tests of all frameworks share: a program that is run for real, and what was recorded of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import tracelet

#: One line that turns a program into one that records.
START = "import tracelet; tracelet.start_run(config={'plugins': {'system': False, 'environment': False}})\n"


class Recorded:
    """A run, and what the program printed."""

    def __init__(self, record: Any, out: str, err: str) -> None:
        self.record, self.out, self.err = record, out, err

    def series(self, *names: str) -> dict[str, list[tuple[int, float]]]:
        """Return the points of metrics: of all that the program's framework reported, or of these."""
        listed = names or [
            name for name in self.record.metrics() if self.record.metric(name).type != "system"
        ]
        found = {name: self.record.metric(name) for name in listed}
        return {
            name: list(zip(map(int, each.iterations), map(float, each.values), strict=True))
            for name, each in found.items()
        }

    @property
    def printed(self) -> Any:
        """The JSON that the program printed last."""
        return json.loads(self.out.strip().splitlines()[-1])


@pytest.fixture
def record(project: Any) -> Callable[..., Recorded]:
    """Return a function that runs a program and returns what was recorded.

    ``options`` are those of ``tracelet run``; without any, Python runs the program. Without a source, it is one that is
    there already.
    """
    quiet = ("-q", "-p", "no:console", "-p", "no:code", "-p", "no:system", "-p", "no:environment")

    def run(source: str | None = None, *options: str, name: str = "train.py", **given: Any) -> Recorded:
        if source is not None:
            project.write(name, source)
        given.setdefault("timeout", 170)
        if options:
            done = project.tracelet("run", *quiet, *options, name, **given)
        else:
            done = project.python(name, **given)
        newest = max(tracelet.open_store(project.path / ".tracelet").runs(), key=lambda each: each.started_at)
        return Recorded(newest, done.stdout, done.stderr)

    return run
