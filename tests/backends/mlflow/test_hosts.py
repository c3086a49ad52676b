"""A job on two hosts without a shared folder, delivered to one MLflow server: one run there, with all ranks."""

from __future__ import annotations

import pytest
from backend_servers import run_ranks

pytest.importorskip("mlflow", reason="needs MLflow: pip install 'tracelet[mlflow]'")
pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("mlflow on SQLite")]

PROGRAM = """
import os, time, tracelet
rank = int(os.environ["RANK"])
run = tracelet.start_run("ranks", config={"finish_timeout": 120})
for step in range(50):
    run.log({f"loss/{rank}": step}, step=step)
if rank:
    time.sleep(5)  # the host without rank 0 ends last
run.finish()
"""


def test_there_is_one_run_and_rank_zero_ends_it(sqlite_mlflow, project):
    made = project(sqlite_mlflow.uri)
    config = (made.folder / "tracelet.toml").read_text()
    quiet = 'ranks = "all"\nplugins = ["no:system", "no:environment", "no:gpu", "no:code"]\n'
    ranks = []
    for rank, host in ((0, "one"), (2, "two")):
        folder = made.folder / host
        folder.mkdir()
        (folder / "tracelet.toml").write_text(quiet + config)
        job = {"TRACELET_RUN_ID": made.name, "WORLD_SIZE": "4", "RANK": str(rank), "LOCAL_RANK": "0"}
        ranks.append((folder, {**made.env, **job}))
    run_ranks(PROGRAM, ranks, seconds=300)
    client = sqlite_mlflow.client()
    run = made.the_run(client)
    assert run.info.status == "FINISHED"
    for rank in (0, 2):
        points = client.get_metric_history(run.info.run_id, f"loss/{rank}")
        assert [int(point.value) for point in points] == list(range(50))
