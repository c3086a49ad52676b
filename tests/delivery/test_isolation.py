"""Backends in processes of their own: what happens there stays there."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tracelet import hookimpl
from tracelet.core.plugins import PluginInfo, PluginMetadata, PluginState
from tracelet.delivery import Delivery, sync
from tracelet.delivery.process import plugin_process as processes
from tracelet.journal import read_events
from tracelet.secrets import SecretStr

PLUGINS = """
    import ctypes, json, os, threading, time
    from tracelet.core.plugins import BackendPlugin, PluginMetadata, ProcessorPlugin

    class Base:
        def initialize(self, config):
            if config.get("fails") == "initialize":
                raise ValueError(f"no good: {config.get('token')}")

        def start(self):
            if self.config.get("fails") == "start":
                raise RuntimeError("cannot start")

        def stop(self): ...

        def get_status(self):
            return {"own": os.getpid()}

    class Backend(Base, BackendPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata("backend", "1", "backend", isolation="process")

        def write(self, *what):
            with open(self.config["file"], "a") as file:
                file.writelines(json.dumps(each) + "\\n" for each in what)

        def run_started(self, run):
            print("a plugin may print", flush=True)
            run.set_tags({"from": "there"})
            run.log_metric("there/metric", 1.5, 3)
            self.write(["run", run.id, os.getpid()])

        def run_ended(self, run, outcome):
            self.write(["ended", outcome])

        def log_params(self, params):
            self.write(["params", params])

        def log_artifact(self, local_path, artifact_path=None):
            self.write(["artifact", local_path])

        def log_metric(self, name, value, iteration): ...

        def log_metrics(self, points):
            trouble = self.config.get("trouble", {})
            values = [point.value for point in points if not point.name.startswith("there/")]
            at = trouble.get("at", 0)
            if trouble and at in values and not os.path.exists(self.config["file"] + ".done"):
                if not trouble.get("always"):
                    open(self.config["file"] + ".done", "w").close()
                getattr(self, trouble["kind"])()
            self.write(*(["point", value] for value in values))

        def crash(self):
            ctypes.string_at(0)

        def leave(self):
            os._exit(3)

        def hang(self):
            threading.Event().wait()

        def hog(self):
            ctypes.PyDLL(None).sleep(60)

    class Doubling(Base, ProcessorPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata("doubling", "1", "processor")

        def process_metric(self, metric):
            metric.value *= 2
            return metric
"""


class Isolated:
    """A stage on which the backend is in a process of its own."""

    def __init__(self, stage, path: Path) -> None:
        self.stage = stage
        self.module = path / "isolated_plugins.py"
        self.module.write_text(textwrap.dedent(PLUGINS))
        self.output = path / "output"
        self.offer()

    def offer(self, **tables) -> None:
        self.stage.configure(tables, deadlines={"log": 0.5})
        for name, cls in (("backend", "Backend"), ("doubling", "Doubling")):
            info = PluginInfo(PluginMetadata.from_outside(name), str(self.module), cls)
            self.stage.manager.plugins[name] = info

    @property
    def info(self) -> PluginInfo:
        return self.stage.manager.plugins["backend"]

    def start(self, *before: str, **config) -> bool:
        config = {"file": str(self.output), **config}
        names = [*before, "backend"]
        started = self.stage.manager.start_plugins(dict.fromkeys(names, config))
        if started["backend"]:
            self.stage.delivery.add("backend")
        return started["backend"]

    def lines(self) -> list:
        with contextlib.suppress(FileNotFoundError):
            return [json.loads(line) for line in self.output.read_text().splitlines()]
        return []

    def values(self) -> list[float]:
        return [value for kind, value, *_ in self.lines() if kind == "point"]

    @property
    def pid(self) -> int:
        return self.stage.status()["process"]


@pytest.fixture
def isolated(stage, tmp_path):
    return Isolated(stage, tmp_path)


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_everything_arrives_and_nothing_of_it_runs_here(isolated, stage):
    assert isolated.start()
    stage.writer.event("params", {"params": {"lr": 0.5}})
    values = stage.log(5000)
    stage.flush()
    assert isolated.values() == values
    assert ["params", {"lr": 0.5}] in isolated.lines()
    stage.wait_for(lambda: stage.status()["state"] == "idle")
    status = stage.status()
    assert (status["delivered"], status["pending"]) == (5001, 0)
    assert status["process"] != os.getpid()
    told = stage.manager.get_status()["plugins"]["backend"]
    assert told["status"]["own"] == status["process"]
    assert told["costs"]["log_metrics"]["calls"] > 0
    pid = isolated.pid
    assert stage.delivery.finish(5) == {}
    assert stage.manager.stop_plugin("backend")
    assert not is_running(pid)
    stage.verified()


def test_the_other_hooks_are_passed_on_and_what_it_records_comes_back(isolated, stage):
    class Run:
        id, name, project, dir, started_at = "run-1", "first", "p", stage.run_dir, 0.0

        def set_tags(self, tags):
            stage.writer.event("tags", {"tags": tags})

        def log_metric(self, *point):
            stage.writer.point(*point)

    stage.delivery = Delivery(stage.manager, Run(), stage.run_dir, settings=stage.settings)
    assert isolated.start()
    handle = stage.manager.handle("backend")
    handle.call("run_started", run=Run())
    handle.call("run_ended", run=Run(), outcome="finished")
    assert isolated.lines()[-2:] == [["run", "run-1", isolated.pid], ["ended", "finished"]]
    stage.wait_for(lambda: stage.writer.recorded == 1)
    tags = [event.payload for event in read_events(stage.run_dir) if event.type == "tags"]
    assert tags == [{"tags": {"from": "there"}}]


@pytest.mark.parametrize("kind", ["crash", "leave"])
def test_after_a_crash_it_is_started_again(isolated, stage, kind):
    values = stage.log(1000)
    assert isolated.start(trouble={"kind": kind, "at": 300})
    stage.flush()
    assert stage.status()["restarts"] == 1
    assert sorted(set(isolated.values())) == values
    assert isolated.info.state is PluginState.ACTIVE


def test_three_crashes_rest_it_and_what_is_due_is_kept(isolated, stage):
    values = stage.log(1000)
    assert isolated.start(trouble={"kind": "crash", "at": 300, "always": True})
    stage.wait_for(lambda: stage.status()["state"] == "resting")
    assert isolated.info.state is PluginState.ERROR
    assert "SIGSEGV, 3 times within 5 minutes" in stage.status()["error"]
    assert stage.status()["restarts"] == 2
    assert not stage.delivery.flush(5)
    due = stage.delivery.finish(1)
    assert due
    stage.close()
    isolated.offer()
    with stage.manager as manager:
        manager.initialize_plugin("backend", {"file": str(isolated.output)})
        (result,) = sync(stage.run_dir, manager, ["backend"], settings=stage.settings)
    assert result.complete, result
    assert sorted(set(isolated.values())) == values
    stage.verified()


def test_killed_from_outside_while_somebody_waits(isolated, stage):
    assert isolated.start()
    stage.log(100)
    stage.flush()
    os.kill(isolated.pid, signal.SIGKILL)
    values = stage.log(200)
    stage.flush()
    assert sorted(set(isolated.values())) == sorted(values)


def test_a_hang_is_an_error_there_too(isolated, stage):
    stage.log(10)
    assert isolated.start(trouble={"kind": "hang"})
    stage.wait_for(lambda: stage.status()["state"] == "resting")
    assert isolated.info.state is PluginState.ERROR
    assert "still running" in isolated.info.error
    assert stage.delivery.finish(1) == {"backend": "10 records"}
    began = time.monotonic()
    stage.manager.stop_plugin("backend")
    assert time.monotonic() - began < 5


def test_one_that_holds_its_interpreter_is_ended_and_the_training_goes_on(isolated, stage, monkeypatch):
    monkeypatch.setattr(processes, "_SILENCE_ALLOWED", 3.0)  # a loaded machine imports slowly
    values = stage.log(10)
    assert isolated.start(trouble={"kind": "hog"})
    began = time.monotonic()
    stage.wait_for(lambda: stage.status()["restarts"] == 1, 20)
    assert time.monotonic() - began < 10
    stage.wait_for(lambda: stage.status()["pending"] == 0)
    assert isolated.values() == values


@pytest.mark.parametrize("step", ["initialize", "start"])
def test_a_failure_names_what_happened_there_and_shows_no_secret(isolated, stage, step):
    assert not isolated.start(fails=step, token=SecretStr("hunter2hunter2"))
    info = isolated.info
    assert info.state is PluginState.ERROR
    assert f"plugin 'backend': {step} failed: " in info.error
    assert "isolated_plugins.py" in info.traceback
    assert "hunter2" not in info.error + info.traceback


def test_secrets_are_not_on_its_command_line(isolated, stage):
    assert isolated.start(token=SecretStr("hunter2hunter2"))
    command = Path(f"/proc/{isolated.pid}/cmdline").read_bytes()
    environment = Path(f"/proc/{isolated.pid}/environ").read_bytes()
    assert b"backend" in command
    assert b"hunter2" not in command + environment


def test_routes_and_processors_go_along(isolated, stage):
    isolated.offer(backend={"metrics": ["loss"]})
    assert isolated.start("doubling")
    stage.log(3)
    stage.writer.point("other", 5)
    stage.flush()
    assert isolated.values() == [0, 2, 4]
    assert stage.status()["excluded"] == 1


def test_a_processor_that_cannot_go_along_is_told(isolated, stage):
    from tracelet.core.plugins import ProcessorPlugin

    class Local(ProcessorPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata("local", "1", "processor")

        def initialize(self, config): ...
        def start(self): ...
        def stop(self): ...
        def get_status(self):
            return {}

        def process_metric(self, metric):
            return metric

    stage.add(Local, deliver=False)
    assert isolated.start()
    stage.wait_for(lambda: stage.status()["state"] == "resting")
    assert "plugin 'local': expected one that another process can import" in stage.status()["error"]


def test_a_plugin_that_exists_here_only_is_told(stage, backend):
    stage.configure({"backend": {"isolation": "process"}})
    stage.manager.register_plugin(backend())
    assert stage.manager.start_plugins(["backend"]) == {"backend": False}
    assert "register its class" in stage.manager.plugins["backend"].error


def test_stopped_and_started_again(isolated, stage):
    assert isolated.start()
    values = stage.log(10)
    stage.flush()
    stage.delivery.remove("backend")
    first = isolated.info
    stage.manager.stop_plugin("backend")
    values += stage.log(10, start=10)
    assert isolated.start()
    assert isolated.info is first
    stage.flush()
    assert isolated.values() == values


def test_a_changed_configuration_is_taken_up(isolated, stage):
    isolated.offer(backend={"metrics": ["a"]})
    assert isolated.start()
    stage.writer.row({"a": 1, "b": 2})
    stage.flush()
    stage.manager.config.tables["backend"]["metrics"] = ["b"]
    pid = isolated.pid
    stage.delivery.reconfigure("backend")
    stage.writer.row({"a": 3, "b": 4})
    stage.flush()
    assert isolated.values() == [1, 4]
    assert isolated.pid == pid


def test_stopped_and_started_with_another_configuration_it_goes_on(isolated, stage, tmp_path):
    assert isolated.start()
    values = stage.log(10)
    stage.flush()
    stage.manager.stop_plugin("backend")
    assert stage.status()["state"] == "resting"
    values += stage.log(10, start=10)
    elsewhere = tmp_path / "elsewhere"
    assert stage.manager.start_plugins({"backend": {"file": str(elsewhere)}}) == {"backend": True}
    stage.wait_for(lambda: stage.status()["pending"] == 0)
    there = [json.loads(line)[1] for line in elsewhere.read_text().splitlines()]
    assert isolated.values() + there == values
    stage.verified()


def test_wrappers_that_stay_behind_are_told(isolated, stage, caplog):
    class Watching:
        @hookimpl(wrapper=True)
        def log_metrics(self, points):
            return (yield)

    stage.manager.register_plugin(Watching(), name="watching")
    assert stage.manager.start_plugins({"watching": {}}) == {"watching": True}
    assert isolated.start()
    assert "plugin 'watching': its wrapper of log_metrics does not reach backend 'backend'" in caplog.text


def test_in_a_program_with_many_open_files(isolated, stage, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1200:
        pytest.skip(f"this system lets a program have {hard} files open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1200), hard))
    try:
        with contextlib.ExitStack() as open_files:
            for _ in range(1050):
                open_files.enter_context(open(os.devnull))
            assert isolated.start(), isolated.info.error
            values = stage.log(100)
            stage.flush()
            stage.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert isolated.values() == values


TRAIN = """
    import os, sys, time
    import tracelet

    with tracelet.start_run("isolated", config={"finish_timeout": 5}) as run:
        run.wait_started(30)  # status() itself waits for a second
        print(run.status()["delivery"]["backend"]["process"], flush=True)
        for step in range(2000):
            run.log_metric("loss", step, step)
        if "fork" in sys.argv and os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        if "wait" in sys.argv:
            print("waiting", flush=True)
            time.sleep(60)
        raise SystemExit
"""


@pytest.fixture
def training(project, tmp_path):
    project.write("tracelet_plugins.py", PLUGINS.replace('"doubling"', '"other"'))
    project.write("train.py", TRAIN)
    table = f'[plugins.backend]\nfile = "{tmp_path / "output"}"\nisolation = "process"\n'
    project.write(
        "tracelet.toml", 'plugins = ["no:other", "no:system", "no:environment", "no:gpu"]\n' + table
    )
    return project


def test_a_whole_run(training, tmp_path):
    done = training.python("train.py")
    pid = int(done.stdout.split()[0])
    assert not is_running(pid)
    lines = [json.loads(line) for line in (tmp_path / "output").read_text().splitlines()]
    assert [line[1] for line in lines if line[0] == "point"] == [float(step) for step in range(2000)]
    assert {line[2] for line in lines if line[0] == "run"} == {pid}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
def test_it_ends_with_the_run(training, how):
    process = subprocess.Popen(
        [sys.executable, "train.py", "wait", *(["fork"] if how is signal.SIGKILL else [])],
        cwd=training.path,
        env=training.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    pid = int(process.stdout.readline())
    assert process.stdout.readline() == "waiting\n"
    assert is_running(pid)
    try:
        process.send_signal(how)
        process.wait(10)
        end = time.monotonic() + 10
        while is_running(pid):
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the forked child, which sleeps
        process.stdout.close()


COMPANIONS = """
    import json, os
    import tracelet
    from tracelet.core.plugins import BackendPlugin, FrameworkPlugin, PluginMetadata

    class Life:
        def initialize(self, config): ...
        def start(self): ...
        def stop(self): ...
        def get_status(self): return {}
        def log_params(self, params): ...
        def log_artifact(self, local_path, artifact_path=None): ...
        def log_metric(self, name, value, iteration): ...

    class Pool(Life, FrameworkPlugin):
        started = []

        @classmethod
        def get_metadata(cls):
            return PluginMetadata("pool", "1", "framework")

        def start(self):
            self.started.append(os.getpid())

    class Units:
        @tracelet.hookspec(firstresult=True)
        def unit_of(self, name): ...

    class Sink(Life, BackendPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata("sink", "1", "backend", dependencies=["pool"], isolation="process")

        def addhooks(self, pluginmanager):
            pluginmanager.add_hookspecs(Units)
            self.hooks = pluginmanager.hook

        def start(self):
            if os.path.exists("down"):
                raise ConnectionError("nobody answers")

        def write(self, *what):
            with open("got.jsonl", "a") as file:
                file.write(json.dumps(what) + "\\n")

        def log_metrics(self, points, run):
            units = [self.hooks.unit_of(name=point.name) for point in points]
            self.write("points", units, Pool.started == [os.getpid()], run.name)

        def run_changed(self, run, changes):
            self.write("changed", changes["name"], run.name)

        def run_ended(self, run):
            self.write("ended", run.name)

    class Natural:
        @tracelet.hookimpl
        def unit_of(self, name):
            return "nat" if name == "loss" else None
"""


@pytest.fixture
def companions(project):
    project.write("tracelet_plugins.py", COMPANIONS)
    project.write("tracelet.toml", 'plugins = ["no:system", "no:environment", "no:gpu"]\n')
    project.got = lambda: [json.loads(line) for line in (project.path / "got.jsonl").read_text().splitlines()]
    return project


def test_dependencies_and_own_hooks_go_along_and_the_final_name_is_known(companions):
    companions.write(
        "train.py",
        """
        import tracelet

        with tracelet.start_run("first") as run:
            run.log({"loss": 1.0}, step=0)
            run.flush()
            run.rename("second")
            run.flush()
        """,
    )
    companions.python("train.py")
    assert companions.got() == [
        ["points", ["nat"], True, "first"],
        ["changed", "second", "second"],
        ["ended", "second"],
    ]


def test_an_outage_at_the_start_of_an_isolated_backend_is_waited_out(companions):
    companions.write(
        "train.py",
        """
        import os, tracelet

        open("down", "w").close()
        with tracelet.start_run("first") as run:
            run.wait_started(20)
            run.log({"loss": 1.0}, step=0)
            assert not run.flush(timeout=0.5)
            status = run.status()["delivery"]["sink"]
            assert (status["state"], status["pending"]) == ("retrying", 1), status
            os.unlink("down")
            assert run.flush(timeout=20), run.status()["delivery"]
        """,
    )
    companions.python("train.py")
    assert companions.got() == [["points", ["nat"], True, "first"], ["ended", "first"]]


def test_a_dependency_that_cannot_go_along_is_refused_with_the_reason(companions):
    companions.write(
        "tracelet_plugins.py", COMPANIONS.replace('"pool", "1", "framework"', '"other", "1", "framework"')
    )
    companions.write(
        "train.py",
        """
        import tracelet
        from tracelet.core.plugins import FrameworkPlugin, PluginMetadata

        class Pool(FrameworkPlugin):
            def get_metadata(self): return PluginMetadata("pool", "1", "framework")
            def initialize(self, config): ...
            def start(self): ...
            def stop(self): ...
            def get_status(self): return {}

        with tracelet.start_run("first", plugins=[Pool()]) as run:
            run.wait_started(20)
            print(run.status()["plugins"]["sink"]["error"])
        """,
    )
    done = companions.python("train.py")
    assert "isolation = \"process\" takes its dependency 'pool' along, but" in done.stdout
    assert "is an object (Pool), which cannot be sent there" in done.stdout


def test_nothing_in_the_current_folder_is_imported(training, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for name in ("json", "os", "tracelet", "site", "pickle", "threading"):
        (folder / f"{name}.py").write_text("open('imported', 'a').write(__name__)")
    done = subprocess.run(
        [sys.executable, str(training.path / "train.py")],
        cwd=folder,
        env={**training.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "output").read_text().splitlines()) >= 2000
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        f"{name}.py" for name in ("json", "os", "tracelet", "site", "pickle", "threading")
    )


def test_a_program_that_closes_all_descriptors_keeps_its_files_and_gets_everything(training, tmp_path):
    training.write(
        "train.py",
        """
        import os, tracelet

        with tracelet.start_run("isolated", config={"finish_timeout": 20}) as run:
            run.wait_started(30)
            run.log_metric("loss", -1, -1)
            run.flush(timeout=20)
            os.closerange(3, 256)
            files = [open(f"mine-{number}", "w+b", buffering=0) for number in range(100)]
            for step in range(2000):
                run.log_metric("loss", step, step)
            run.flush(timeout=20)
        for file in files:
            file.write(b"checkpoint")
            assert os.fstat(file.fileno()).st_size == 10, "somebody else wrote to it"
        """,
    )
    training.python("train.py")
    lines = [json.loads(line) for line in (tmp_path / "output").read_text().splitlines()]
    assert {line[1] for line in lines if line[0] == "point"} == {float(step) for step in range(-1, 2000)}
