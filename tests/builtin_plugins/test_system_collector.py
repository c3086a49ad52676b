"""The collector ``system`` on this machine, with real processes, files and sockets."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tracelet_builtin_plugins.collectors.system import SystemCollector
from tracelet_builtin_plugins.collectors.system.machine import container_memory, hardware
from tracelet_builtin_plugins.collectors.system.processes import Processes

PAGE = (Path(__file__).parents[2] / "docs" / "plugins" / "system.md").read_text(encoding="utf-8")
BUSY = "import time; end = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
IDLE = "import time; time.sleep(60)"


@contextmanager
def child(program: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def sample_twice(hooks: Any, between: float = 0.3) -> dict[str, Any]:
    hooks.collect()
    time.sleep(between)
    return dict(hooks.collect()["system"])


def test_everything_is_there_plausible_and_in_the_docs(
    started: Any, flat: Callable[..., dict[str, Any]]
) -> None:
    hooks = started(SystemCollector(), per_disk=True, per_interface=True, disks=["/"], top_n=2)
    found = flat({"system": sample_twice(hooks)})
    of_machine = {
        n: v for n, v in found.items() if n.endswith("percent") and n.split("/")[1] not in ("process", "top")
    }
    assert all(0 <= percent <= 100 for percent in of_machine.values()), of_machine
    assert found["system/memory/used_bytes"] > 0
    assert found["system/disk/free_bytes"] > 0
    assert found["system/process/rss_bytes"] > 1_000_000
    assert found["system/process/threads"] >= 1
    assert found["system/process/fds"] >= 3
    assert found["system/process/children/count"] >= 0
    for name in found:
        assert documented(name) in PAGE, name
    if sys.platform == "linux":
        assert {"cpu", "load", "memory", "disk", "network", "process"}.isdisjoint(
            hooks.get_status()["absent"]
        )


def documented(name: str) -> str:
    parts = name.split("/")
    for place, placeholder in (("core", "N"), ("device", "NAME"), ("interface", "NAME"), ("top", "N")):
        if place in parts[:-1]:
            parts[parts.index(place) + 1] = placeholder
    if parts[1:3] == ["disk", "root"]:
        parts[2] = "PATH"
    return f"`{'/'.join(parts)}`"


def test_rates_are_absent_at_the_first_sample(started: Any, flat: Callable[..., dict[str, Any]]) -> None:
    names = flat(started(SystemCollector()).collect()).keys()
    assert not [name for name in names if name.endswith(("_per_s", "cpu_percent"))]
    assert "system/cpu/percent" not in names
    assert "system/memory/percent" in names


def test_a_busy_process_shows_and_a_core_never_exceeds_its_whole(started: Any) -> None:
    hooks = started(SystemCollector())
    hooks.collect()
    used, start = time.process_time(), time.monotonic()
    while time.process_time() - used < 0.3:
        pass
    found = hooks.collect()["system"]
    share = 100 * 0.3 / (time.monotonic() - start)
    assert 0.5 * share <= found["process"]["cpu_percent"] <= 110
    assert len(found["cpu"]["core"]) == psutil.cpu_count()
    assert found["cpu"]["percent"] > 0


def test_children_and_grandchildren_count_and_one_that_ends_is_forgotten(started: Any) -> None:
    nested = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {IDLE!r}]).wait()"
    hooks = started(SystemCollector(), sections=["process"])
    before = hooks.collect()["system"]["process"]["children"]["count"]
    with child(BUSY), child(nested) as parent:
        deadline = time.monotonic() + 20
        while not psutil.Process(parent.pid).children() and time.monotonic() < deadline:
            time.sleep(0.02)
        grandchildren = psutil.Process(parent.pid).children()
        found = sample_twice(hooks)["process"]["children"]
        assert found["count"] == before + 3
        assert found["rss_bytes"] > 3_000_000
        assert found["threads"] >= 3
        assert found["cpu_percent"] > 0
        for grandchild in grandchildren:
            grandchild.kill()
    assert hooks.collect()["system"]["process"]["children"]["count"] == before


def test_a_child_that_ends_between_listing_and_reading_is_left_out() -> None:
    with child(IDLE) as process:
        gone = process.pid
    processes = Processes(psutil)
    assert processes._usages([os.getpid(), gone], {}, processes._family_rates).keys() == {os.getpid()}


def test_processes_that_have_ended_take_no_memory() -> None:
    processes = Processes(psutil)
    for _ in range(3):
        with child(IDLE):
            processes.family()
            assert len(processes._family_rates._before) > 1
    processes.family()
    alive = {os.getpid(), *(process.pid for process in psutil.Process().children(recursive=True))}
    assert {pid for pid, _ in processes._family_rates._before} <= alive


def test_without_the_kernels_lists_psutil_finds_the_same_children() -> None:
    processes = Processes(psutil)
    with child(IDLE) as process:
        quick = processes._descendants(os.getpid())
        processes._kernel_lists_children = False
        assert sorted(processes._descendants(os.getpid())) == sorted(quick)
        assert process.pid in quick


def test_the_busiest_process_is_on_top_and_named_once(started: Any) -> None:
    with child(BUSY) as busy:
        hooks = started(SystemCollector(), sections=["load"], top_n=500)
        first = sample_twice(hooks, 0.5)["top"]
        ranks = [entry["cpu_percent"] for _, entry in sorted(first.items(), key=lambda item: int(item[0]))]
        assert ranks == sorted(ranks, reverse=True)
        mine = next(entry for entry in first.values() if entry["pid"] == busy.pid)
        assert "python" in mine["name"]
        assert mine["cpu_percent"] > 0
    assert all("name" in entry for entry in first.values())


def test_each_path_named_has_its_own_space(started: Any, tmp_path: Path) -> None:
    found = started(SystemCollector(), sections=["disk"], disks=[str(tmp_path), "/"]).collect()["system"][
        "disk"
    ]
    for space in (found, found[str(tmp_path).strip("/")], found["root"]):
        assert space["used_bytes"] > 0
        assert 0 <= space["percent"] <= 100


def test_a_section_that_cannot_be_measured_is_absent_and_told(started: Any, tmp_path: Path) -> None:
    path = tmp_path / "unmounted"
    path.mkdir()
    hooks = started(SystemCollector(), disks=[str(path)])
    path.rmdir()
    found = sample_twice(hooks)
    assert "read_bytes_per_s" in found.get("disk", {"read_bytes_per_s": "no disks here"})
    assert "free_bytes" not in found.get("disk", {})
    assert "FileNotFoundError" in hooks.get_status()["absent"]["disk"]


linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")


@linux
def test_a_container_that_hides_some_of_proc_loses_only_those(
    started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stat", "meminfo"):
        (tmp_path / name).write_bytes(Path("/proc", name).read_bytes())
    hooks = started(SystemCollector(), sections=["cpu", "memory", "network"])
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    assert hooks.collect()["system"].keys() == {"memory"}
    assert hooks.get_status()["absent"].keys() == {"network"}


@linux
def test_only_when_nothing_can_be_measured_it_is_an_error(
    started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = started(SystemCollector(), sections=["cpu", "memory"])
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="nothing could be measured"):
        hooks.collect()
    assert hooks.get_status()["absent"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize(
    ("config", "message"),
    [({"sections": ["cpu", "gpus"]}, "sections: .* found 'gpus'"), ({"top_n": -1}, "top_n: .* found -1")],
)
def test_a_wrong_configuration_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SystemCollector().initialize(config)


def test_hardware_is_what_the_kernel_says_else_all_but_the_known_virtual_ones(tmp_path: Path) -> None:
    names = ["lo", "eth0", "docker0"]
    assert hardware(names, str(tmp_path)) == ["eth0", "docker0"]
    (tmp_path / "eth0" / "device").mkdir(parents=True)
    assert hardware(names, str(tmp_path)) == ["eth0"]
    assert hardware(["loop0", "dm-0", "zram0", "nvme0n1", "sda"], str(tmp_path)) == ["nvme0n1", "sda"]


def test_container_memory_is_that_of_the_nearest_group_with_a_limit(tmp_path: Path) -> None:
    proc, root = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text("1:name=x:/other\n0::/pod/job\n")
    group = root / "pod" / "job"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    assert container_memory(proc, root) == {}
    (root / "pod" / "memory.max").write_text("1000\n")
    (root / "pod" / "memory.current").write_text("600\n")
    (root / "pod" / "memory.stat").write_text("anon 1\ninactive_file 100\n")
    assert container_memory(proc, root) == {
        "memory_used_bytes": 500,
        "memory_limit_bytes": 1000,
        "memory_percent": 50.0,
    }
