"""Ray Train on two nodes: the workers of a job record one run."""

from __future__ import annotations

import re

import pytest

# On a busy machine: each worker imports Ray and PyTorch, twice.
pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("ray")]

PROGRAM = """
import os
import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

HERE = os.getcwd()
ray.init(logging_level="ERROR", runtime_env={"env_vars": {"TRACELET_DIR": os.environ["TRACELET_DIR"]}})


def loop(config):
    import os, signal, time
    import ray, tracelet
    from ray import train

    quiet = {"plugins": {"system": False, "environment": False}}
    with tracelet.start_run("trained", config=quiet) as run:
        first = 0 if run.last_step is None else run.last_step + 1
        node = ray.get_runtime_context().get_node_id()
        print("STARTED", run.id, run.job.rank, run.job.world_size, first, node, flush=True)
        for step in range(first, 20):
            run.log({"loss": 1 / (step + 1)}, step=step)
            if run.job.rank == 1 and first == 0 and step == 10:
                while not os.path.exists(config["begun"]):
                    time.sleep(0.05)
                os.kill(os.getpid(), signal.SIGKILL)
            if run.job.rank == 0 and first == 0 and step == 5:
                open(config["begun"], "w").close()
                time.sleep(60)  # as in a collective whose peer is gone
        train.report({"loss": 0.0})


TorchTrainer(
    loop,
    train_loop_config={"begun": HERE + "/begun"},
    scaling_config=ScalingConfig(num_workers=2, placement_strategy="SPREAD"),
    run_config=RunConfig(
        name="digits", storage_path=os.environ["STORAGE"], failure_config=FailureConfig(max_failures=1)
    ),
).fit()
"""


def started(text):
    """Return what the workers printed: (run, rank, size, first step, node)."""
    return re.findall(r"STARTED (\S+) (\d+) (\d+) (\d+) (\w+)", text)


def test_a_killed_worker_is_restarted_and_the_run_goes_on(ray_jobs, recorded):
    """Ray starts new workers for all ranks, on both nodes, with another rendezvous."""
    ray_jobs.jobs.project.write("train.py", PROGRAM)
    said = started(ray_jobs.run("train.py"))
    assert len({node for *_, node in said}) == 2
    assert {size for _, _, size, _, _ in said} == {"2"}
    assert len({run for run, *_ in said}) == 1
    [first] = {int(first) for _, _, _, first, _ in said} - {0}
    [record] = recorded().values()
    assert first == 6
    assert sorted(process.rank for process in record.writers) == [0, 0, 1, 1]
    assert sorted(map(int, record.metric("loss").iterations)) == list(range(20))
    assert record.outcome == "finished"
