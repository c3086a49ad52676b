"""Jobs on two hosts, with and without a shared folder: torchrun on two network namespaces."""

from __future__ import annotations

import os
import re
import signal
import sys

import pytest

import tracelet

pytest.importorskip("torch", reason="PyTorch is not installed")


def agent(hosts, jobs, host, nodes, program="train.py", **environ):
    """Start torchrun on a host."""
    return hosts.launch(
        host,
        jobs,
        *(sys.executable, "-m", "torch.distributed.run", f"--nnodes={nodes}", "--nproc-per-node=2"),
        *("--max-restarts=3", "--monitor-interval=0.1", "--rdzv-id=vision-7", "--rdzv-backend=c10d"),
        *(f"--rdzv-endpoint={hosts.addresses[0]}:29400", "--local-addr", hosts.addresses[host]),
        *("--rdzv-conf=last_call_timeout=1,keep_alive_interval=1", program),
        PYTHONUNBUFFERED="1",
        STEP_SECONDS="0.1",
        **environ,
    )


def finish(agents):
    """Wait for the agents. Return what the ranks printed when they started: run, rank, size, first step."""
    text = "".join(each.communicate(timeout=100)[0] for each in agents)
    assert [each.returncode for each in agents] == [0] * len(agents), text
    found = re.findall(r"STARTED (\S+) (\d+) (\d+) (\d+)", text)
    return [(run, int(rank), int(size), int(first)) for run, rank, size, first in found]


@pytest.mark.parametrize("victim", [0, 3], ids=["first host", "second host"])
def test_a_worker_killed_on_one_host_is_restarted_on_both_and_the_run_goes_on(hosts, jobs, victim):
    agents = [agent(hosts, jobs, host, "2") for host in (0, 1)]
    begun = [jobs.wait_for_file(f"begun-training-{rank}-0") for rank in range(4)]
    os.kill(int(begun[victim].read_text()), signal.SIGKILL)
    started = finish(agents)
    assert len(started) == 8
    assert len({run for run, *_ in started}) == 1
    [first] = {first for *_, first in started} - {0}
    assert 6 <= first < 30
    found = jobs.the_run()
    assert (found.ranks, found.outcome, found.steps) == (
        [0, 0, 1, 1, 2, 2, 3, 3],
        "finished",
        list(range(30)),
    )


def test_a_host_that_joins_later_joins_the_run(hosts, jobs):
    """torchrun restarts the workers of the first host, now as ranks of a larger job."""
    # With a shared store, torchrun 2.13 never gives its address to a host that joins.
    environ = {"STEPS": "80", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    agents = [agent(hosts, jobs, 0, "1:2", **environ)]
    for rank in range(2):
        jobs.wait_for_file(f"begun-training-{rank}-0")
    agents.append(agent(hosts, jobs, 1, "1:2", **environ))
    started = finish(agents)
    assert len({run for run, *_ in started}) == 1
    assert {size for _, _, size, first in started if first} == {4}
    assert len({first for *_, first in started}) == 2
    found = jobs.the_run()
    assert (sorted({*found.ranks}), found.outcome, found.steps) == ([0, 1, 2, 3], "finished", list(range(80)))


def test_hosts_without_a_shared_folder_deliver_into_one_lake(hosts, jobs, tmp_path):
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install 'tracelet[lake]'")
    lake = tmp_path / "lake"
    table = f'ranks = "all"\nactivate = ["no:system", "no:environment", "no:gpu"]\n[plugins.lake]\nurl = "{lake}"\n'
    agents = []
    for host in (0, 1):
        folder = jobs.path / f"host-{host}"
        folder.mkdir()
        (folder / "tracelet.toml").write_text('project = "vision"\n' + table)
        (folder / "train.py").write_text((jobs.path / "train.py").read_text())
        agents.append(agent(hosts, jobs, host, "2", f"{folder}/train.py"))
    started = finish(agents)
    assert {rank for _, rank, *_ in started} == {0, 1, 2, 3}
    [found] = tracelet.open_store(lake).runs()
    ranks = [process.rank for process in found.writers]
    assert (sorted(ranks), found.outcome) == ([0, 1, 2, 3], "finished")
    loss = found.metric("loss")
    assert (loss.ranks, len(loss)) == ([0, 1, 2, 3], 120)
    assert sorted(loss.iterations) == sorted(4 * list(range(30)))
