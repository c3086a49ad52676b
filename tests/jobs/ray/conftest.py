"""A cluster of Ray with two nodes, to which the tests' programs connect."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CLUSTER = """
import os, signal, sys
from ray.cluster_utils import Cluster

nodes = {"num_cpus": 2, "object_store_memory": 80 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={**nodes, "include_dashboard": False})
cluster.add_node(**nodes)
cluster.wait_for_nodes()
print(cluster.address, flush=True)
sys.stdin.read()  # until the tests end
cluster.shutdown()
"""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "CI": "1",
}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a cluster with two nodes of two CPUs each."""
    pytest.importorskip("ray", reason="Ray is not installed")
    log = tmp_path_factory.mktemp("ray") / "cluster.log"
    with open(log, "w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            env={**os.environ, **QUIET},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    address = next((line.strip() for line in lines if line.count(":") == 1 and " " not in line.strip()), None)
    assert address is not None, log.read_text()[-3000:]
    try:
        yield address
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(40)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


class RayJobs:
    """Programs that connect to the cluster, and what they recorded."""

    def __init__(self, jobs: Any, address: str) -> None:
        self.jobs = jobs
        self.path: Path = jobs.path
        data = str(self.path / ".tracelet")
        here = {"RAY_ADDRESS": address, "TRACELET_DIR": data, "STORAGE": str(self.path / "storage")}
        self.environ = {**jobs.project.environ, **QUIET, **here, "TRACELET_QUIET": "1"}

    def start(self, program: str, *arguments: str) -> subprocess.Popen[str]:
        """Start a program that is there already."""
        return subprocess.Popen(
            [sys.executable, program, *arguments],
            cwd=self.path,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, program: str, *arguments: str) -> str:
        """Run a program and return what it prints."""
        process = self.start(program, *arguments)
        try:
            text = process.communicate(timeout=300)[0]
        finally:
            process.kill()
        assert process.returncode == 0, text[-6000:]
        return text


@pytest.fixture
def ray_jobs(jobs: Any, cluster: str) -> RayJobs:
    """Return a project whose programs connect to the cluster."""
    return RayJobs(jobs, cluster)


@pytest.fixture
def recorded(ray_jobs: RayJobs) -> Callable[[], dict[str, Any]]:
    """Return a function that reads the runs of the project, by id."""
    import tracelet

    (ray_jobs.path / ".tracelet" / "runs").mkdir(parents=True)
    return lambda: {each.id: each for each in tracelet.open_store(ray_jobs.path).runs()}
