"""What is logged while a backend cannot be started, because its service is down."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.any_python

BACKEND = """
    import tracelet

    class Down:
        @tracelet.hookimpl
        def start(self):
            raise ConnectionRefusedError("nobody answers")

        @tracelet.hookimpl
        def log_metric(self, name, value): ...
"""
PROGRAM = """
    import time
    import tracelet

    with tracelet.start_run() as run:
        for step in range(60):
            run.log_metric("loss", 1, step)
            time.sleep(0.05)
"""


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_an_outage_at_start_is_reported_once_in_one_line(project, isolation):
    project.write("down.py", BACKEND)
    project.write("train.py", PROGRAM)
    project.write("tracelet.toml", f'[plugins.Down]\nisolation = "{isolation}"\n')
    said = project.python("train.py", environ={"TRACELET_PLUGINS": "down"}).stderr
    assert said.count("start failed") == 1 + said.count("pending for")
    assert "Traceback" not in said
    assert "records pending for Down" in said
