"""The collector ``gpu`` against a small NVML compiled here, which answers, fails, hangs and lacks functions.

Each test is a program in a process of its own, with that library in ``LD_LIBRARY_PATH``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "plugins" / "gpu.md").read_text(encoding="utf-8")
COMPILER = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")

PRELUDE = """
    import json, os, sys, threading, time
    import pluggy
    from tracelet_builtin_plugins.collectors.gpu import GpuCollector
    from tracelet_hookspecs import specs

    def control(*lines):
        with open(os.environ["FAKE_NVML"] + ".new", "w") as file:
            file.writelines(f"{line}\\n" for line in lines)
        os.replace(file.name, os.environ["FAKE_NVML"])

    manager = pluggy.PluginManager("tracelet")
    manager.add_hookspecs(specs)
    manager.register(GpuCollector())

    def call(name, **arguments):
        return getattr(manager.hook, name)(**arguments)[0]

    def collect():
        return call("collect")["gpu"]

    def error_of(function):
        try:
            return str(function())
        except Exception as error:
            return f"{type(error).__name__}: {error}"

    def begin(**config):
        manager.hook.initialize(config=config)
        manager.hook.start()
"""


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Compile the library, and an older one, each in a folder of its own."""
    if COMPILER is None:
        pytest.skip("no C compiler to build the stand-in for libnvidia-ml.so.1 with")
    folders = {}
    for kind, flags in (("new", []), ("old", ["-DOLD_DRIVER"])):
        folders[kind] = tmp_path_factory.mktemp(f"nvml-{kind}")
        target = folders[kind] / "libnvidia-ml.so.1"
        argv = [
            COMPILER,
            "-Wall",
            "-Werror",
            "-shared",
            "-fPIC",
            *flags,
            "-o",
            str(target),
            str(HERE / "nvml.c"),
        ]
        subprocess.run(argv, check=True)
    return folders


Program = Callable[..., Any]


@pytest.fixture
def with_gpus(libraries: dict[str, Path], tmp_path: Path) -> Program:
    """Return a function that runs a program with the library, and returns what it prints as JSON."""
    pytest.importorskip("pynvml", reason="needs nvidia-ml-py")

    def run(body: str, *lines: str, driver: str = "new", timeout: float = 60) -> Any:
        control = tmp_path / "control"
        control.write_text("".join(f"{line}\n" for line in lines))
        return printed(
            body,
            {"LD_LIBRARY_PATH": str(libraries.get(driver, tmp_path)), "FAKE_NVML": str(control)},
            timeout=timeout,
        )

    return run


def printed(body: str, environ: dict[str, str], *, timeout: float = 60) -> Any:
    program = textwrap.dedent(PRELUDE) + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def pynvml_has(function: str) -> bool:
    return hasattr(pytest.importorskip("pynvml"), function)


def test_every_metric_with_its_unit_and_in_the_docs(with_gpus: Program, flat: Any) -> None:
    found = with_gpus(
        "control('count 2', f'process {os.getpid()} 100 30'); begin(); print(json.dumps(collect()))",
        "count 2",
    )
    assert found["0"] == {
        "utilization_percent": 87,
        "memory_busy_percent": 41,
        "memory_used_bytes": 400,
        "memory_total_bytes": 1000,
        "memory_percent": 40.0,
        "power_watts": pytest.approx(123.456),
        "power_limit_watts": 700.0,
        "energy_joules": 0.0,
        "temperature_celsius": 60 if pynvml_has("nvmlDeviceGetTemperatureV") else 55,
        "fan_percent": 30,
        "clock_sm_mhz": 1001,
        "clock_memory_mhz": 1002,
        "clock_graphics_mhz": 1000,
        "pcie_generation": 5,
        "pcie_width_lanes": 16,
        "pcie_rx_bytes_per_s": 11_000,
        "pcie_tx_bytes_per_s": 10_000,
        "ecc_corrected_errors": 0,
        "ecc_uncorrected_errors": 10,
        "throttle_power_cap": 1,
        "throttle_hw_slowdown": 0,
        "throttle_sync_boost": 0,
        "throttle_sw_thermal": 0,
        "throttle_hw_thermal": 0,
        "throttle_power_brake": 0,
        "process_memory_bytes": 100,
        "process_memory_percent": 10.0,
        "process_utilization_percent": 30,
        "name": "Fake H100",
        "uuid": "GPU-0",
    }
    assert found["1"]["uuid"] == "GPU-1"
    assert (found["driver_version"], found["cuda_version"]) == ("550.54.14", "12.4")
    for name in flat({"gpu": found}):
        assert f"`{name.replace('gpu/0', 'gpu/N').replace('gpu/1', 'gpu/N')}`" in PAGE, name


def test_later_samples_have_no_facts_and_energy_counts_from_the_first(with_gpus: Program) -> None:
    found = with_gpus("""
        begin()
        samples = [collect()]
        for counter in (9000, 1000, 3000):  # the driver is loaded again in between
            control(f"energy {counter}")
            samples.append(collect())
        print(json.dumps([samples[1].keys() == {"0"}, "uuid" in samples[1]["0"],
                          [sample["0"]["energy_joules"] for sample in samples]]))
    """, "energy 5000")  # fmt: skip
    assert found == [True, False, [0.0, 4.0, 4.0, 6.0]]


def test_an_old_driver_answers_by_the_older_functions(with_gpus: Program) -> None:
    found = with_gpus(
        "begin(); control(f'process {os.getpid()} 100 30'); print(json.dumps([collect(), call('get_status')]))",
        driver="old",
    )
    sample, status = found[0]["0"], found[1]
    assert sample["memory_used_bytes"] == 500
    assert sample["temperature_celsius"] == 55
    assert (sample["throttle_hw_thermal"], sample["throttle_power_cap"]) == (1, 1)
    known = pynvml_has("nvmlDeviceGetComputeRunningProcesses_v2")
    assert sample.get("process_memory_bytes") == (100 if known else None)
    assert "process_utilization_percent" not in sample
    assert status["failed_readings"] == {}


UNSUPPORTED = {
    "nvmlDeviceGetFanSpeed": ["fan_percent"],
    "nvmlDeviceGetTotalEccErrors": ["ecc_corrected_errors", "ecc_uncorrected_errors"],
    "nvmlDeviceGetUtilizationRates": ["utilization_percent", "memory_busy_percent"],
    "nvmlDeviceGetTotalEnergyConsumption": ["energy_joules"],
    "nvmlDeviceGetMigMode": [],
    "nvmlDeviceGetUUID": ["uuid"],
}


def test_what_a_device_does_not_support_is_absent_and_no_failure(with_gpus: Program) -> None:
    lines = [f"fail {symbol} {code}" for symbol, code in zip(UNSUPPORTED, [3, 3, 4, 3, 3, 3], strict=True)]
    first, status, later = with_gpus(
        "begin(); first = collect(); control(); print(json.dumps([first, call('get_status'), collect()]))",
        *lines,
    )
    absent = {name for names in UNSUPPORTED.values() for name in names}
    assert absent.isdisjoint(first["0"])
    assert len(first["0"]) > 20
    assert status == {"devices": 1, "lost": 0, "lost_devices": {}, "failed_readings": {}}
    assert absent.isdisjoint(later["0"])  # not asked again: it never will


def test_a_reading_that_fails_once_is_absent_once(with_gpus: Program) -> None:
    first, status, later, after = with_gpus("""
        begin()
        first, status = collect(), call("get_status")
        control()
        print(json.dumps([first, status, collect(), call("get_status")]))
    """, "fail nvmlDeviceGetPowerUsage 999", "fail nvmlDeviceGetFanSpeed 42")  # fmt: skip
    assert {"power_watts", "fan_percent"}.isdisjoint(first["0"])
    failed = {"power_watts": "Unknown Error", "fan_percent": "an error of the test's own"}
    assert status["failed_readings"] == {"0": failed}
    assert later["0"]["power_watts"] == pytest.approx(123.456)
    assert after["failed_readings"] == {}


@pytest.mark.parametrize(("code", "text"), [(15, "GPU is lost"), (16, "GPU requires restart")])
def test_a_lost_device_leaves_the_others_reporting(with_gpus: Program, code: int, text: str) -> None:
    found = with_gpus(f"""
        begin()
        collect()
        control("count 2", "fail nvmlDeviceGetUtilizationRates {code} 1")
        one_lost = [sorted(collect()), call("get_status")]
        control("count 2", "fail nvmlDeviceGetUtilizationRates {code}")
        none_left = [error_of(collect), call("get_status")]
        control("count 2")
        print(json.dumps([one_lost, none_left, sorted(collect()), call("get_status")]))
    """, "count 2")  # fmt: skip
    one_lost, none_left, back, status = found
    assert one_lost[0] == ["0"]
    assert one_lost[1] == {"devices": 1, "lost": 1, "lost_devices": {"1": text}, "failed_readings": {}}
    assert none_left[0].startswith("RuntimeError: no NVIDIA device answers any more")
    assert none_left[1]["devices"] == 0
    assert (back, status["lost"]) == (["0", "1"], 0)


def test_a_device_with_nothing_but_errors_to_say_is_lost(with_gpus: Program) -> None:
    keys, status = with_gpus("""
        begin()
        collect()
        control("count 2", "fail * 999 1")
        print(json.dumps([sorted(collect()), call("get_status")]))
    """, "count 2")  # fmt: skip
    assert keys == ["0"]
    assert status["lost_devices"] == {"1": "Unknown Error"}


def test_a_device_lost_from_the_start(with_gpus: Program) -> None:
    keys, status = with_gpus(
        "begin(); print(json.dumps([sorted(collect()), call('get_status')]))",
        "count 2",
        "fail nvmlDeviceGetHandleByIndex_v2 15 0",
    )
    assert "0" not in keys
    assert "1" in keys
    assert status["lost_devices"] == {"0": "GPU is lost"}


def test_only_the_devices_asked_for(with_gpus: Program) -> None:
    by_index, by_uuid, missing = with_gpus("""
        begin(devices=[1])
        by_index = sorted(key for key in collect() if key.isdigit())
        begin(devices=["GPU-0", "2"])
        by_uuid = sorted(key for key in collect() if key.isdigit())
        print(json.dumps([by_index, by_uuid, error_of(lambda: begin(devices=[0, 9]))]))
    """, "count 3")  # fmt: skip
    assert (by_index, by_uuid) == (["1"], ["0", "2"])
    assert missing == "RuntimeError: no NVIDIA device 9; there are: 0, 1, 2, GPU-0, GPU-1, GPU-2"


def test_options_leave_parts_out(with_gpus: Program) -> None:
    found = with_gpus(
        "begin(pcie_throughput=False, processes=False, mig=False); print(json.dumps(collect()))", "mig 2"
    )
    assert not [name for name in found["0"] if "bytes_per_s" in name or name.startswith(("process", "mig"))]


def test_the_share_of_own_processes_counts_children_and_nobody_else(with_gpus: Program) -> None:
    found = with_gpus("""
        import subprocess
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        control(f"process {os.getpid()} 100 30", f"process {child.pid} 50 20", "process 1 200 40",
                "process 4194303 9 999")
        begin()
        print(json.dumps([collect()["0"], collect()["0"]]))
        child.communicate(b"\\n")
    """)
    assert [sample["process_memory_bytes"] for sample in found] == [150, 150]
    assert found[0]["process_memory_percent"] == 15.0
    assert [sample["process_utilization_percent"] for sample in found] == [50, 0]  # nothing since the last


def test_foreign_process_numbers_are_not_taken_for_no_use(with_gpus: Program) -> None:
    found = with_gpus("""
        import tracelet_builtin_plugins.collectors.gpu as gpu
        control("process 1 200 40")
        samples = []
        for foreign in (True, False):
            gpu.pids_may_be_foreign = lambda: foreign
            begin()
            samples.append(collect()["0"].get("process_memory_bytes"))
        print(json.dumps(samples))
    """)
    assert found == [None, 0]


def test_mig_instances_report_their_own_memory(with_gpus: Program, flat: Any) -> None:
    found, status = with_gpus(
        "begin(); print(json.dumps([collect(), call('get_status')]))",
        "count 2",
        "mig 2",
        "fail nvmlDeviceGetUtilizationRates 3 0",
        "fail nvmlDeviceGetProcessUtilization 3 0",
    )
    assert found["0"]["mig"].keys() == {"0", "1"}
    assert found["0"]["mig"]["0"]["memory_percent"] == 25.0
    assert found["0"]["power_watts"] > 0
    assert "utilization_percent" not in found["0"]
    assert "mig" not in found["1"]
    assert status["failed_readings"] == {}
    for name in flat({"gpu": {"N": {"mig": {"M": found["0"]["mig"]["0"]}}}}):
        assert f"`{name}`" in PAGE, name


def test_without_driver_device_or_package_it_is_not_available_and_says_why(with_gpus: Program) -> None:
    ask = "print(json.dumps([GpuCollector.is_available(), error_of(begin)]))"
    assert with_gpus(ask, driver="none") == [
        "no NVIDIA driver: NVML Shared Library Not Found",
        "RuntimeError: no NVIDIA driver: NVML Shared Library Not Found",
    ]
    available, error = with_gpus(ask, "fail nvmlInitWithFlags 9")
    assert available == "no NVIDIA driver: Driver Not Loaded"
    assert error == "RuntimeError: no NVIDIA driver: Driver Not Loaded"
    available, error = with_gpus(ask, "count 0")
    assert available == "no NVIDIA device"
    assert error == "RuntimeError: no NVIDIA device; there are: none"
    available, error = with_gpus("sys.modules['pynvml'] = None\n" + ask)
    assert available == "the Python package nvidia-ml-py is missing; install tracelet[gpu]"
    assert error == f"RuntimeError: {available}"


INITIALIZED = "__import__('pynvml').nvmlLib.fake_initialized()"


def test_nvml_is_open_from_start_to_stop_and_no_longer(with_gpus: Program) -> None:
    assert with_gpus(f"""
        counts = []
        available = GpuCollector.is_available()
        counts.append({INITIALIZED})
        begin(); collect(); collect()
        counts.append({INITIALIZED})
        manager.hook.stop(); manager.hook.stop()
        counts.append({INITIALIZED})
        control("count 0")
        error_of(begin)
        counts.append({INITIALIZED})
        print(json.dumps([available, counts]))
    """) == [True, [0, 1, 0, 0]]  # fmt: skip


def test_it_is_opened_again_when_another_part_of_the_program_shut_it_down(with_gpus: Program) -> None:
    assert with_gpus(f"""
        import pynvml
        begin(); collect()
        pynvml.nvmlShutdown()
        found = collect()["0"]["fan_percent"]
        print(json.dumps([found, {INITIALIZED}]))
    """) == [30, 1]  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_opens_it_for_itself(with_gpus: Program) -> None:
    assert with_gpus(f"""
        begin(); collect()
        reading, writing = os.pipe()
        if not os.fork():
            before = {INITIALIZED}
            manager.hook.stop()  # not its to close
            kept = {INITIALIZED}
            fan = collect()["0"]["fan_percent"]
            os.write(writing, json.dumps([before, kept, {INITIALIZED}, fan]).encode())
            os._exit(0)
        os.wait()
        in_child = json.loads(os.read(reading, 1000))
        print(json.dumps([in_child, collect()["0"]["fan_percent"], {INITIALIZED}]))
    """) == [[1, 1, 2, 30], 30, 1]  # fmt: skip


def test_a_driver_that_hangs_holds_up_no_other_thread(with_gpus: Program) -> None:
    alive, ticks = with_gpus("""
        begin(); collect()
        control("hang nvmlDeviceGetPowerUsage")
        stuck = threading.Thread(target=collect, daemon=True)
        stuck.start()
        ticks, end = 0, time.monotonic() + 0.5
        while time.monotonic() < end:
            ticks += 1
        print(json.dumps([stuck.is_alive(), ticks]), flush=True)
        os._exit(0)
    """)
    assert alive
    assert ticks > 1000


def test_here_for_real(tmp_path: Path) -> None:
    pynvml = pytest.importorskip("pynvml", reason="needs nvidia-ml-py")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        pytest.skip(f"no NVIDIA device here: {error}")
    pynvml.nvmlShutdown()
    first, second, cost, status = printed("""
        begin()
        first = collect()
        begun, used = time.perf_counter(), time.process_time()
        second = collect()
        cost = [time.perf_counter() - begun, time.process_time() - used]
        print(json.dumps([first, second, cost, call("get_status")]))
    """, {})  # fmt: skip
    print(
        json.dumps(
            {"first": first, "second": second, "wall and CPU seconds": cost, "status": status}, indent=1
        )
    )
    device = next(value for key, value in first.items() if key.isdigit())
    assert device["memory_total_bytes"] > 1_000_000_000
    assert 0 <= device["memory_percent"] <= 100
    assert status["lost"] == 0


def test_runs_on_a_machine_without_devices_leave_no_thread_behind(project: Any) -> None:
    project.write("tracelet.toml", 'plugins = ["no:system", "no:environment"]')
    project.write(
        "train.py",
        """
        import sys, threading, time
        sys.modules["pynvml"] = None
        import tracelet
        for number in range(3):
            with tracelet.start_run() as run:
                run.wait_started()
        end = time.monotonic() + 20
        while time.monotonic() < end and any("plugin gpu" in each.name for each in threading.enumerate()):
            time.sleep(0.01)
        print([each.name for each in threading.enumerate() if "plugin" in each.name])
        """,
    )
    done = project.python("train.py")
    assert done.stdout == "[]\n", done.stderr
