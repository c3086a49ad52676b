"""Plugins that change the process, use the run in their hooks, leave something behind, or hold others up."""

from __future__ import annotations

import pytest

HEAD = """
import atexit, concurrent.futures, logging.config, multiprocessing, os, threading, time
import tracelet
from tracelet.core.plugins import BackendPlugin, PluginMetadata

def quiet_child():
    for number in (0, 1, 2):
        os.close(number)  # whoever reads the program's output must not wait for the child
    time.sleep(12)

class Sink(BackendPlugin):
    @classmethod
    def get_metadata(cls):
        return PluginMetadata(name="sink", version="1.0", type="backend")
    def initialize(self, config): ...
    def stop(self): ...
    def get_status(self): return {}
    def log_metric(self, name, value, iteration): print("got", name, value, flush=True)
    def log_params(self, params): ...
    def log_artifact(self, local_path, artifact_path=None): ...
    def start(self):
"""
TRAIN = """
import os, sys, tracelet
with tracelet.start_run("t") as run:
    run.wait_started(20)
    run.log({"loss": 1.0}, step=0)
print("in", os.path.basename(os.getcwd()), flush=True)
"""
QUIET = "finish_timeout = 10\n[plugins]\nsystem = false\nenvironment = false\ngpu = false\n"


@pytest.fixture
def train(project):
    """Return a function that runs a training next to a plugin file, and returns what it printed."""

    def run(plugin, program=TRAIN, status=0, **settings):
        lines = "".join(f"{key} = {value!r}\n" for key, value in settings.items())
        project.write("tracelet.toml", lines + QUIET)
        project.write("tracelet_plugins.py", plugin)
        project.write("train.py", program)
        return project.python("train.py", status=status)

    return run


def starting(body):
    return HEAD + "".join(f"        {line}\n" for line in body.splitlines())


@pytest.mark.parametrize(
    "body",
    [
        "self.pool = concurrent.futures.ThreadPoolExecutor(1)\nself.pool.submit(threading.Event().wait, 300)",
        "threading.Thread(target=threading.Event().wait, args=(300,), daemon=False).start()",
        "multiprocessing.get_context('fork').Process(target=quiet_child).start()",
        "atexit.register(threading.Event().wait, 300)",
    ],
    ids=["executor", "thread", "child process", "exit function"],
)
def test_what_a_plugin_leaves_behind_is_named_and_left(train, body):
    done = train(starting(body), TRAIN + "sys.exit(3)\n", status=3)
    assert "got loss 1.0" in done.stdout
    assert "plugin 'sink': its " in done.stderr
    assert "which ends without it" in done.stderr


def test_what_the_program_itself_has_started_is_waited_for(train):
    program = TRAIN + (
        "import threading, time\n"
        "def later():\n    time.sleep(6)\n    print('done', flush=True)\n"
        "threading.Thread(target=later).start()\n"
    )
    done = train(
        starting("threading.Thread(target=threading.Event().wait, args=(300,), daemon=False).start()"),
        program,
    )
    assert "done" in done.stdout
    assert "plugin 'sink': its thread" in done.stderr


def test_the_current_folder_is_changed_back_and_the_plugin_named(train):
    done = train(starting("os.chdir('/')"))
    assert "plugin 'sink': start changed the program's current folder from " in done.stderr
    assert "in project" in done.stdout


@pytest.mark.parametrize(
    "how", ["logging.config.dictConfig({'version': 1})", "logging.disable(logging.CRITICAL)"]
)
def test_logging_is_not_silenced(train, how):
    done = train(starting(f"{how}\nraise OSError('no route to the server')"))
    assert "no route to the server" in done.stderr


@pytest.mark.parametrize(
    ("call", "remedy"),
    [("tracelet.start_run('inner')", "record into the run"), ("run.finish()", "let the program do it")],
)
def test_a_hook_neither_starts_nor_ends_a_run(train, call, remedy):
    plugin = (
        starting("pass")
        + f"\nclass Other:\n    @tracelet.hookimpl\n    def run_started(self, run):\n        {call}\n"
    )
    done = train(plugin)
    assert "was called by plugin 'Other' in run_started, where it would wait for itself" in done.stderr
    assert remedy in done.stderr
    assert "got loss 1.0" in done.stdout


@pytest.mark.parametrize(
    "body",
    [
        "def start(self): threading.Event().wait(60)",
        "def initialize(self, config): threading.Event().wait(60)",
    ],
)
def test_a_plugin_that_hangs_holds_up_no_other(train, body):
    slow = (
        HEAD.replace('"sink"', '"aa-slow"')
        .replace("class Sink", "class ASlow")
        .partition("    def start(")[0]
    )
    program = """
    import time, tracelet
    with tracelet.start_run("t", config={"start_timeout": 0.1}) as run:
        run.log({"loss": 1.0}, step=0)
        end = time.monotonic() + 30
        while not run.status()["delivery"].get("sink", {}).get("delivered", 0) and time.monotonic() < end:
            time.sleep(0.05)
        print("slow is", run.manager.plugins["aa-slow"].state.name, flush=True)
        run.finish(timeout=1)
    """
    slow += "    def start(self): ...\n" + f"    {body}\n"
    done = train(slow + starting("pass"), program)
    assert done.stdout.index("got loss 1.0") < done.stdout.index("slow is")
    assert "slow is ACTIVE" not in done.stdout


STRICT = """
import tracelet
class Bad:
    @tracelet.hookimpl
    def collect(self):
        Bad.calls += 1
        if Bad.calls == FAILING or FAILING == 0:
            raise TypeError("my mistake")
        return {"a": Bad.calls}
    calls = 0
try:
    with tracelet.start_run("t", plugins=[Bad], strict=HOW) as run:
        run.log({"x": 1}, step=0)
    print("passed")
except tracelet.PluginError as error:
    print("raised", error)
"""


@pytest.mark.parametrize(
    ("how", "failing", "raises"),
    [(True, 0, True), (True, 1, False), ("all", 1, True), ("all", 99, False), (False, 0, False)],
)
def test_strict_raises_for_hooks_that_fail(train, how, failing, raises):
    done = train("", STRICT.replace("HOW", repr(how)).replace("FAILING", str(failing)))
    assert ("raised plugin 'Bad': collect failed" in done.stdout) is raises
    assert ("passed" in done.stdout) is not raises
