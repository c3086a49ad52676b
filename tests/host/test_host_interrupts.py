"""Ctrl-C is the user's program's to hear, while the host waits and when a plugin raises it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from tracelet.core.plugins import PluginState, hookimpl

SLOW = """
from tracelet.core.plugins import CollectorPlugin, PluginMetadata
import time

class Slow(CollectorPlugin):
    @classmethod
    def get_metadata(cls): return PluginMetadata("slow", "1", "collector")
    def initialize(self, config): self.may("initialize")
    def start(self): self.may("start")
    def stop(self): self.may("stop")
    def get_status(self): return self.may("get_status") or {}
    def collect(self): return {}
    def may(self, step):
        if step == STEP:
            print("in it", flush=True)
            time.sleep(60)
"""

DRIVE = """
import sys, time
from tracelet.core.plugins import PluginManager

with PluginManager(["slow.py"], use_default_paths=False, deadlines={"stop": 0.5, "get_status": 50}) as manager:
    manager.discover_plugins()
    try:
        manager.start_plugins(["slow"])
        manager.get_status()
        manager.stop_plugin("slow")
    except KeyboardInterrupt:
        print("heard", manager.plugins["slow"].state.name, manager.plugins["slow"].error, flush=True)
print("and on")
"""


@pytest.mark.parametrize("step", ["import", "get_metadata", "initialize", "start", "get_status", "stop"])
def test_ctrl_c_while_the_host_waits_reaches_the_program(project, step):
    text = SLOW.replace("STEP", repr(step))
    if step == "import":
        text += "\nprint('in it', flush=True)\ntime.sleep(60)\n"
    if step == "get_metadata":
        text = text.replace("return PluginMeta", "print('in it', flush=True) or time.sleep(60) or PluginMeta")
        text = text.replace("def get_metadata(cls): print", "def get_metadata(cls): return print")
    project.write("slow.py", text)
    drive = DRIVE
    if step in ("import", "get_metadata"):
        drive = DRIVE.replace(
            "    manager.discover_plugins()\n    try:\n", "    try:\n        manager.discover_plugins()\n"
        )
        drive = drive.replace('manager.plugins["slow"].state.name, manager.plugins["slow"].error', '"", ""')
    project.write("drive.py", drive)
    began = time.monotonic()
    program = subprocess.Popen(
        [sys.executable, "drive.py"],
        cwd=project.path,
        env=project.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert program.stdout.readline() == "in it\n"
        time.sleep(0.2)
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=30)
    finally:
        program.kill()
    assert "heard" in out, err
    assert "and on" in out
    assert program.returncode == 0
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("step", ["initialize", "start", "stop"])
def test_a_plugin_that_raises_it_in_its_lifecycle(manager, make, step):
    def interrupt(self, config=None):
        raise KeyboardInterrupt

    info = manager.register_plugin(make("a", {step: interrupt}))
    manager.register_plugin(make("b"))
    manager.start_plugins(["b"])
    if step == "stop":
        manager.start_plugins(["a"])
    with pytest.raises(KeyboardInterrupt):
        manager.stop_plugin("a") if step == "stop" else manager.start_plugins(["a"])
    assert info.state is PluginState.ERROR
    assert "KeyboardInterrupt" in info.error
    assert manager.plugins["b"].state is PluginState.ACTIVE


@pytest.mark.parametrize("where", ["get_metadata", "__init__"])
def test_a_plugin_that_raises_it_while_it_is_made(manager, make, where):
    def interrupt(self):
        raise KeyboardInterrupt

    cls = make("a", {where: interrupt})
    if where == "get_metadata":
        with pytest.raises(KeyboardInterrupt):
            manager.register_plugin(cls)
    else:
        manager.register_plugin(cls)
        with pytest.raises(KeyboardInterrupt):
            manager.initialize_plugin("a")


def test_in_a_wrapper_it_is_not_taken_for_a_failure(manager, make):
    class Wrapper:
        @hookimpl(wrapper=True)
        def start(self):
            raise KeyboardInterrupt
            yield

    manager.register_plugin(Wrapper(), "wrapper")
    manager.register_plugin(make("a"))
    with pytest.raises(KeyboardInterrupt):
        manager.start_plugins(["wrapper", "a"])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_the_child_may_start_plugins_of_its_own(project):
    project.write("slow.py", SLOW.replace("STEP", "None"))
    project.write(
        "drive.py",
        """
        import os
        from tracelet.core.plugins import PluginManager
        manager = PluginManager(["slow.py"], use_default_paths=False)
        manager.discover_plugins()
        manager.start_plugins(["slow"])
        pid = os.fork()
        if pid == 0:
            status = manager.get_status()["plugins"]["slow"]
            print("child", manager.handle("slow").worker.usable, "status_error" in status)
            print("child", manager.stop_plugin("slow"), manager.plugins["slow"].state.name)
            print("child", manager.start_plugin("slow"), manager.plugins["slow"].state.name, flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        print("parent", manager.stop_all_plugins(), manager.plugins["slow"].state.name)
        """,
    )
    assert project.python("drive.py").stdout.splitlines() == [
        "child False True",
        "child True STOPPED",
        "child True ACTIVE",
        "parent True STOPPED",
    ]


def test_in_a_run_it_reaches_the_training_and_the_other_plugins_start(project):
    project.write(
        "train.py",
        """
        import time
        import tracelet
        from tracelet.core.plugins import CollectorPlugin, PluginMetadata

        class One(CollectorPlugin):
            @classmethod
            def get_metadata(cls): return PluginMetadata("one", "1", "collector")
            def initialize(self, config): ...
            def start(self):
                time.sleep(1)
                raise KeyboardInterrupt
            def stop(self): ...
            def get_status(self): ...
            def collect(self): return {}

        class Two(One):
            @classmethod
            def get_metadata(cls): return PluginMetadata("two", "1", "collector")
            def start(self): ...

        run = None
        try:
            run = tracelet.start_run("x", plugins=[One, Two], config={"start_timeout": 0.1})
            for _ in range(400):  # the interrupt is noticed between two bytecodes, not in a sleep
                time.sleep(0.05)
        except KeyboardInterrupt:
            print("heard")
        run = run or tracelet.active_run()
        run.wait_started(20)
        print({name: run.manager.plugins[name].state.name for name in ("one", "two")})
        """,
    )
    done = project.python("train.py")
    assert done.stdout.splitlines()[0] == "heard"
    assert done.stdout.splitlines()[-1] == "{'one': 'ERROR', 'two': 'ACTIVE'}"
