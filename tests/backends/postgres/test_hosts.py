"""A job on two hosts without a shared folder: the lowest rank of each delivers what is in its host's folder."""

from __future__ import annotations

import os

from backend_servers import run_ranks

PROGRAM = """
import tracelet
run = tracelet.start_run("ranks", params={"lr": 0.1})
for step in range(100):
    run.log({"loss": 1 / (step + 1), "acc": step}, step=step)
run.finish()
"""
CONFIG = """
project = "vision"
ranks = "all"
plugins = ["no:system", "no:environment", "no:gpu", "no:code"]
[plugins.postgres]
dsn = "{dsn}"
"""


def test_every_rank_arrives_once_and_the_run_is_finished(tmp_path, sql, postgres_dsn):
    ranks = []
    for rank, host in ((0, "one"), (1, "one"), (2, "two"), (3, "two")):
        folder = tmp_path / host
        folder.mkdir(exist_ok=True)
        (folder / "tracelet.toml").write_text(CONFIG.format(dsn=postgres_dsn))
        job = {"TRACELET_RUN_ID": "job-1", "WORLD_SIZE": "4", "RANK": str(rank), "LOCAL_RANK": str(rank % 2)}
        ranks.append((folder, {**os.environ, **job}))
    run_ranks(PROGRAM, ranks, seconds=90)
    assert sql("SELECT id, outcome FROM tracelet.runs") == [("job-1", "finished")]
    assert sql("SELECT count(*), count(DISTINCT (series, writer, sequence, index)) FROM tracelet.points") == [
        (800, 800)
    ]
    assert sql("SELECT count(*) FROM tracelet.writers") == [(4,)]
