"""What a plugin changes for the whole process is undone or reported, and ``plugins check`` lists all of it."""

from __future__ import annotations

import json

import pytest

PROGRAM = """
    import io, json, locale, logging, logging.config, os, random, socket, sys, threading
    import numpy.random
    import tracelet

    logging.basicConfig(format="%(message)s")
    CHANGES = json.loads(sys.argv[1])

    def in_thread(function, *arguments):
        thread = threading.Thread(target=function, args=arguments)
        thread.start()
        thread.join()

    def change(code):
        def start(self):
            exec(code, globals())
        return type("Plugin", (), {"start": tracelet.hookimpl(start)})

    def state():
        old = os.umask(0o22)
        os.umask(old)
        return [
            os.getcwd(), old, sys.getrecursionlimit(), socket.getdefaulttimeout(), locale.setlocale(locale.LC_ALL),
            logging.root.level,
        ]

    os.umask(0o22)
    before = state()
    plugins = []
    for at, code in enumerate(CHANGES):
        plugins.append(change(code))
        plugins[-1].__name__ = f"plugin{at}"
    off = ["no:system", "no:environment", "no:gpu"]
    out = sys.stdout
    with tracelet.start_run("t", plugins=[*plugins, *off]) as run:
        run.wait_started(20)
    print(json.dumps({"same": state() == before, "out": sys.stdout is out, "hook": sys.excepthook is print}), file=out)
"""
UNDONE = {
    "os.umask(0o77)": "changed the program's umask from 022 to 077 (os.umask), which is undone; ",
    "os.chdir('/')": "changed the program's current folder from ",
    "os.fchdir(os.open('/', os.O_RDONLY))": "changed the program's current folder from ",
    "sys.setrecursionlimit(5000)": "changed the recursion limit from 1000 to 5000 (sys.setrecursionlimit), which is",
    "socket.setdefaulttimeout(3)": "changed the default timeout of sockets (socket.setdefaulttimeout), which is undone",
    "locale.setlocale(locale.LC_ALL, 'C.UTF-8')": "changed the program's locale from ",
    "logging.getLogger().setLevel(10)": "changed the level of the root logger from 30 to 10 (logging), which is undone",
    "logging.basicConfig(level=10, force=True)": "changed the level of the root logger from 30 to 10 (logging), which",
}
REPORTED = {
    "random.seed(1)": "changed the program's random numbers (random.seed); use a random.Random or",
    "numpy.random.seed(1)": "changed the program's random numbers (numpy.random.seed); use a random.Random or",
    "in_thread(random.seed, 1)": "a thread of it changed the program's random numbers (random.seed)",
}
HARMLESS = [
    "old = os.umask(0o77); os.umask(old)",
    "old = os.getcwd(); os.chdir('/'); os.fchdir(os.open(old, os.O_RDONLY))",
    "sys.setrecursionlimit(sys.getrecursionlimit())",
    "random.Random(1).random(); numpy.random.default_rng(1)",
    "logging.getLogger('mine').setLevel(10)",
    "handler = logging.NullHandler(); logging.root.addHandler(handler); logging.root.removeHandler(handler)",
]


def changed(project, *codes):
    project.write("train.py", PROGRAM)
    done = project.python("train.py", json.dumps(codes))
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_what_can_be_undone_is_undone_and_the_plugin_named(project):
    found, log = changed(project, *UNDONE)
    assert found["same"]
    for at, message in enumerate(UNDONE.values()):
        assert f"plugin 'plugin{at}': start {message}" in log


def test_what_cannot_be_undone_is_reported(project):
    _, log = changed(project, *REPORTED)
    for at, message in enumerate(REPORTED.values()):
        who = "" if message.startswith("a thread") else "start "
        assert f"plugin 'plugin{at}': {who}{message}" in log


def test_what_a_plugin_has_put_back_itself_is_not_reported(project):
    found, log = changed(project, *HARMLESS)
    assert found["same"]
    assert "changed" not in log


def test_each_change_of_a_plugin_is_reported_once(project):
    twice = "os.chdir('/'); in_thread(os.chdir, '/'); in_thread(random.seed, 1); in_thread(random.seed, 1)"
    _, log = changed(project, twice)
    assert log.count("random.seed") == 1


def test_a_removed_handler_of_the_program_is_reported(project):
    _, log = changed(project, "logging.basicConfig(force=True)")
    assert "plugin 'plugin0': start changed the program's logging by removing its handler" in log


@pytest.mark.parametrize(
    ("code", "what", "kind"),
    [
        ("sys.stdout = io.StringIO()", "sys.stdout", "StringIO"),
        ("sys.stderr = Loud(sys.stderr)", "sys.stderr", "Loud"),
        ("sys.excepthook = print", "sys.excepthook", "builtin_function_or_method"),
        ("threading.excepthook = print", "threading.excepthook", "builtin_function_or_method"),
    ],
)
def test_replaced_streams_and_handlers_are_reported_and_stay(project, code, what, kind):
    loud = "class Loud:\n    def __init__(self, other): self.other = other\n"
    loud += "    def __getattr__(self, name): return getattr(self.other, name)\n"
    found, log = changed(project, f"{loud}\n{code}")
    assert (
        f"plugin 'plugin0': while it was in start, {what} was replaced (by an object of type {kind})" in log
    )
    assert found["out"] is (what != "sys.stdout")
    assert found["hook"] is (what == "sys.excepthook")


def test_the_program_may_change_all_of_it(project):
    project.write(
        "train.py",
        """
        import logging, os, random, socket, sys, tracelet
        with tracelet.start_run("t") as run:
            for _ in range(50):
                os.umask(0o77); os.chdir("/"); sys.setrecursionlimit(5000); socket.setdefaulttimeout(9)
                random.seed(1); logging.getLogger().setLevel(10)
                run.log({"loss": 1})
            run.wait_started(20)
        print(oct(os.umask(0)), os.getcwd(), sys.getrecursionlimit(), socket.getdefaulttimeout(), logging.root.level)
        """,
    )
    done = project.python("train.py")
    assert done.stdout.splitlines()[-1] == "0o77 / 5000 9.0 10"
    assert "changed" not in done.stderr


# -- plugins check -------------------------------------------------------------------------------------

PLUGIN = """
import gc, io, locale, logging, multiprocessing, os, random, signal, socket, sys, threading, time, warnings
import numpy.random
import tracelet

{imported}

class Meter:
    def __init__(self):
        {made}

    @tracelet.hookimpl
    def collect(self):
        return {{"a": 1}}
"""
CHECKED = {
    "print('hello')": "IT prints 'hello'",
    "os.umask(0o77)": "changed the program's umask from ",
    "os.chdir('/')": "changed the program's current folder from ",
    "sys.setrecursionlimit(5000)": "changed the recursion limit from ",
    "socket.setdefaulttimeout(3)": "changed the default timeout of sockets",
    "locale.setlocale(locale.LC_ALL, 'C.UTF-8')": "changed the program's locale from ",
    "logging.getLogger().setLevel(10)": "changed the level of the root logger from ",
    "logging.getLogger().addHandler(logging.NullHandler())": "IT configures logging",
    "random.seed(1)": "IT seeds the program's random numbers",
    "numpy.random.seed(1)": "IT seeds NumPy's random numbers",
    "warnings.simplefilter('ignore')": "IT changes which warnings are shown",
    "os.environ['SOME_SETTING'] = '1'": "IT changes environment variables",
    "sys.stdout = io.StringIO()": "IT replaces sys.stdout or sys.stderr",
    "sys.excepthook = print": "IT replaces sys.excepthook",
    "threading.excepthook = print": "IT replaces threading.excepthook",
    "gc.disable()": "IT changes garbage collection",
    "sys.setswitchinterval(0.5)": "IT changes the interval at which threads switch",
    "multiprocessing.set_start_method('spawn')": "IT sets how multiprocessing starts processes",
    "threading.Thread(target=time.sleep, args=(3,), daemon=True).start()": "IT starts a thread",
    "signal.setitimer(signal.ITIMER_REAL, 1000)": "IT sets a timer that sends a signal",
}


@pytest.mark.parametrize("where", ["import", "constructor"])
def test_check_lists_whatever_is_changed(project, where):
    code = "; ".join(CHECKED)
    made = code if where == "constructor" else "pass"
    project.write("meter.py", PLUGIN.format(imported=code if where == "import" else "", made=made))
    checked = json.loads(project.tracelet("plugins", "check", "meter.py", "--json").stdout)
    warnings = "\n".join(checked["plugins"][0]["warnings"])
    for message in CHECKED.values():
        assert message.replace("IT", f"its {where}") in warnings
    assert checked["ok"]


def test_check_finds_nothing_in_a_plugin_that_changes_nothing(project):
    project.write("meter.py", PLUGIN.format(imported="", made="pass"))
    checked = json.loads(project.tracelet("plugins", "check", "meter.py", "--json").stdout)
    assert [each for each in checked["plugins"][0]["warnings"] if "its import took" not in each] == []


# -- wrappers and separate processes -------------------------------------------------------------------

APART = """
import tracelet
from tracelet.core.plugins import BackendPlugin, PluginMetadata

class Far(BackendPlugin):
    @classmethod
    def get_metadata(cls):
        return PluginMetadata("far", "1", "backend", isolation="process")
    def initialize(self, config): ...
    def start(self): ...
    def stop(self): ...
    def get_status(self): return {}
    def log_metric(self, name, value, iteration): ...
    def log_params(self, params): ...
    def log_artifact(self, local_path, artifact_path=None): ...
"""
WRAPPERS = """
import tracelet

class Wraps:
    @tracelet.hookimpl(wrapper=True)
    def log_metric(self):
        return (yield)

    @tracelet.hookimpl(wrapper=True)
    def process_metric(self):
        return (yield)

    @tracelet.hookimpl(wrapper=True)
    def start(self):
        return (yield)
"""
LIMIT = 'is not called for a backend in a process of its own (isolation = "process")'


def warnings_of(project, name, *words):
    checked = json.loads(project.tracelet("plugins", "check", name, *words, "--json").stdout)["plugins"]
    return {each["name"]: each["warnings"] for each in checked}


def test_check_says_which_wrappers_do_not_reach_a_separate_process(project):
    project.write("wraps.py", WRAPPERS)
    project.write("far.py", APART)
    expected = f"its wrapper of log_metric, process_metric {LIMIT}"
    assert warnings_of(project, "wraps.py") == {"Wraps": [expected]}
    assert warnings_of(project, "wraps.py", "-p", "far") == {"Wraps": [f"{expected}: 'far'"]}
    assert warnings_of(project, "wraps", "-p", "far") == {"Wraps": [f"{expected}: 'far'"]}
    [found] = warnings_of(project, "far", "-p", "wraps")["far"]
    assert found.startswith(
        "the wrapper of log_metric, process_metric of plugin 'Wraps' is not called for it"
    )
    assert warnings_of(project, "far") == {"far": []}
