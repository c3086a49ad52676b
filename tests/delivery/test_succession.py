"""Jobs on hosts without a shared folder: on each host, the lowest rank delivers what is in that host's folder."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tracelet
from tracelet.journal import Follower, PointRecord, writers

pytestmark = pytest.mark.any_python

pq = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow: pip install 'tracelet[lake]'")

CONFIG = """
project = "vision"
ranks = "all"
activate = ["{backend}", "no:system", "no:environment", "no:gpu", "no:code"]
[plugins.lake]
url = "{lake}"
flush_seconds = 0.5
"""

#: A rank of a job. The limits that people never notice are shorter here.
RANK = """
import os, signal, sys, time
from pathlib import Path
import tracelet
from tracelet.run import succession

succession.PATIENCE, succession.LOOK = float(os.environ.get("PATIENCE", 60)), 0.1
succession.ENDING = float(os.environ.get("ENDING", succession.ENDING))
rank = int(os.environ["RANK"])
run = tracelet.start_run("ranks", params={"lr": 0.1})
for step in range(60):
    run.log({"loss": rank + step / 100, "acc": step}, step=step)
    if step == 30 and (file := os.environ.get("PAUSE")):
        Path(f"at-{rank}").write_text(str(os.getpid()))
        while not Path(file).exists():
            time.sleep(0.02)
        print("delivers", bool(run.status()["delivery"]), flush=True)
run.finish()
"""

RECORDER = """
import json, os
from tracelet.core.plugins import BackendPlugin, PluginMetadata


class Noting(BackendPlugin):
    @staticmethod
    def takes_one_process():
        return bool(os.environ.get("ONE_PROCESS"))

    @classmethod
    def get_metadata(cls):
        return PluginMetadata(name="noting", version="1", type="backend")

    def initialize(self, config): ...
    def start(self): ...
    def stop(self): ...
    def get_status(self):
        return {}

    def log_params(self, params): ...
    def log_artifact(self, local_path, artifact_path=None): ...

    def log_metrics(self, points):
        self.note(*(point.name for point in points))

    def run_started(self, run):
        self.note("run_started")

    def run_ended(self, run, outcome):
        self.note("run_ended " + outcome)

    def log_metric(self, name, value, iteration): ...

    def note(self, *words):
        with open("received.jsonl", "a") as file:
            file.writelines(json.dumps([os.getpid(), word]) + "\\n" for word in words)
"""


class Job:
    """Ranks by hand, each in the folder of its host."""

    def __init__(self, path: Path, backend: str = "lake") -> None:
        self.path, self.lake, self._ranks = path, path / "lake", []
        for host in ("one", "two"):
            folder = path / host
            folder.mkdir()
            (folder / "tracelet.toml").write_text(CONFIG.format(lake=self.lake, backend=backend))
            (folder / "train.py").write_text(RANK)
            (folder / "tracelet_plugins.py").write_text(RECORDER)

    def start(self, rank: int, host: str, **environ: str) -> subprocess.Popen[str]:
        job = {"TRACELET_RUN_ID": "job-1", "WORLD_SIZE": "4", "RANK": str(rank), "LOCAL_RANK": str(rank % 2)}
        process = subprocess.Popen(
            [sys.executable, "train.py"],
            cwd=self.path / host,
            env={**os.environ, **job, **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._ranks.append(process)
        return process

    def finish(self) -> str:
        """Wait for all ranks, and return what they printed."""
        texts = [process.communicate(timeout=90) for process in self._ranks]
        assert all(process.returncode in (0, -9) for process in self._ranks), texts
        return "".join(out + error for out, error in texts)

    def release(self) -> None:
        for host in ("one", "two"):
            (self.path / host / "go").touch()

    def wait_for(self, host: str, rank: int) -> int:
        file = self.path / host / f"at-{rank}"
        wait_until(lambda: file.exists() and file.read_text())
        return int(file.read_text())

    def journal(self, host: str) -> collections.Counter:
        found: collections.Counter = collections.Counter()
        run_dir = self.path / host / ".tracelet" / "runs" / "job-1"
        for writer in writers(run_dir) if run_dir.exists() else ():
            follower = Follower(run_dir, writer)
            while records := follower.read(1 << 16):
                found.update(
                    (writer, one.seq, one.index, one.name, one.value)
                    for one in records
                    if isinstance(one, PointRecord)
                )
        return found

    def rows(self) -> collections.Counter:
        files = sorted(self.lake.glob("project=*/run=*/metrics/*.parquet"))
        columns = ("writer", "sequence", "index", "name", "value")
        return collections.Counter(
            tuple(row[column] for column in columns)
            for file in files
            for row in pq.ParquetFile(file).read().to_pylist()
        )

    def ranks_in_lake(self) -> set[int]:
        files = self.lake.glob("project=*/run=*/metrics/*.parquet")
        return {row["rank"] for file in files for row in pq.ParquetFile(file).read(["rank"]).to_pylist()}

    def document(self) -> dict:
        [file] = self.lake.glob("runs/*/job-1.json")
        return json.loads(file.read_text())

    def received(self, host: str) -> list[str]:
        file = self.path / host / "received.jsonl"
        return [json.loads(line)[1] for line in file.read_text().splitlines()] if file.exists() else []


def wait_until(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.fixture
def job(tmp_path):
    made = Job(tmp_path)
    yield made
    for process in made._ranks:
        if process.poll() is None:
            process.kill()
            process.communicate()


def test_every_rank_of_two_hosts_arrives_once_in_one_lake(job):
    for rank in range(4):
        job.start(rank, "one" if rank < 2 else "two")
    job.finish()
    recorded = job.journal("one") + job.journal("two")
    assert job.rows() == recorded
    assert recorded.total() == 4 * 120
    document = job.document()
    assert (document["outcome"], document["params"]) == ("finished", {"lr": 0.1})
    assert {one["rank"]: one["state"] for one in document["writers"].values()} == dict.fromkeys(
        range(4), "ended"
    )
    assert document["metrics"]["loss"]["count"] == 240
    found = tracelet.open_store(job.lake).run("job-1")
    assert (found.outcome, sorted(one.rank for one in found.writers)) == ("finished", [0, 1, 2, 3])


def test_a_host_without_rank_zero_delivers_while_the_job_runs(job):
    job.start(0, "one", PAUSE="go", PATIENCE="0.5")
    for rank in (2, 3):
        job.start(rank, "two", PAUSE="go", PATIENCE="0.5")
        job.wait_for("two", rank)
    wait_until(lambda: job.ranks_in_lake() == {0, 2, 3})
    assert job.document()["outcome"] == "running"
    job.release()
    assert job.finish().count("delivers True") == 2  # of rank 0 and of rank 2
    assert job.rows() == job.journal("one") + job.journal("two")
    assert job.document()["outcome"] == "finished"


def test_the_next_rank_takes_over_from_one_that_is_killed(job):
    job.start(0, "one", PAUSE="go", PATIENCE="0.5")
    for rank in (2, 3):
        job.start(rank, "two", PAUSE="go", PATIENCE="0.5")
    job.wait_for("two", 3)
    victim = job.wait_for("two", 2)
    wait_until(lambda: 2 in job.ranks_in_lake())
    os.kill(victim, 9)
    job.release()
    job.finish()
    rows, recorded = job.rows(), job.journal("one") + job.journal("two")
    assert rows == recorded
    assert tracelet.open_store(job.lake).run("job-1").outcome == "killed"


def test_with_a_shared_folder_the_other_ranks_leave_delivery_to_rank_zero(job):
    for rank in range(3):
        job.start(rank, "one", PAUSE="go", PATIENCE="0.5")
        job.wait_for("one", rank)
    time.sleep(1.5)  # longer than they would wait for rank 0
    job.release()
    text = job.finish()
    assert (text.count("delivers True"), text.count("delivers False")) == (1, 2)
    assert job.rows() == job.journal("one")
    assert job.document()["outcome"] == "finished"


def test_a_rank_that_ends_long_after_rank_zero_delivers_the_rest(job):
    job.start(0, "one", ENDING="0.1").communicate(timeout=60)
    job.start(1, "one", PAUSE="go")
    job.wait_for("one", 1)
    job.release()
    job.finish()
    assert job.rows() == job.journal("one")
    assert {one["rank"] for one in job.document()["writers"].values()} == {0, 1}


def test_only_rank_zero_says_how_the_run_went(tmp_path):
    job = Job(tmp_path, "noting")
    job.start(0, "one").communicate(timeout=60)
    job.start(2, "two").communicate(timeout=60)
    job.finish()
    assert job.received("one")[0] == "run_started"
    assert "run_ended finished" in job.received("one")
    assert collections.Counter(job.received("two")) == {"run_started": 1, "loss": 60, "acc": 60}


def test_a_backend_that_takes_one_process_is_left_to_rank_zero_and_sync(tmp_path):
    job = Job(tmp_path, "noting")
    job.start(2, "two", ONE_PROCESS="1")
    assert "when the job has ended, run here: tracelet sync job-1" in job.finish()
    assert job.received("two") == []
    done = subprocess.run(
        [sys.executable, "-m", "tracelet", "sync", "job-1", "-p", "noting"],
        cwd=tmp_path / "two",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert collections.Counter(job.received("two")) == {"run_started": 1, "loss": 60, "acc": 60}
