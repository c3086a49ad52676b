"""Ray Data over a lake: Ray's workers read the files that a run has written."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("pyarrow", reason="PyArrow is not installed")
pytest.importorskip("fsspec", reason="fsspec is not installed")

# On a busy machine: each process imports Ray.
pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("ray")]

PROGRAM = """
import json, os
import ray, tracelet
from tracelet.lake import ray_dataset

lake = os.path.join(os.getcwd(), "lake")
config = {"plugins": {"lake": {"url": lake}, "system": False, "environment": False}}
for number in (1, 2):
    with tracelet.start_run(f"run-{number}", run_id=f"run-{number}", project="digits", config=config) as run:
        for step in range(100):
            run.log({"loss": step * number, "accuracy": 0.5}, step=step)
        assert run.flush(timeout=90), run.status()

ray.init(logging_level="ERROR")
rows = ray_dataset(lake).to_pandas()
loss = rows[rows.name == "loss"].sort_values(["run", "step"])
found = [len(rows), sorted(set(rows.project)), loss.groupby("run").value.apply(list).to_dict()]
with open("found.json", "w") as file:  # Ray prints its workers' messages at any time, also after a line of the program
    json.dump(found, file)
"""


def test_ray_reads_every_point_of_a_lake(ray_jobs):
    ray_jobs.jobs.project.write("read.py", PROGRAM)
    ray_jobs.run("read.py")
    count, projects, loss = json.loads((ray_jobs.path / "found.json").read_text())
    assert (count, projects) == (400, ["digits"])
    assert loss == {f"run-{number}": [step * number for step in range(100)] for number in (1, 2)}
