"""Broken plugins of every kind: what is said of each, and that the healthy ones beside it stay ACTIVE."""

from __future__ import annotations

import os
import textwrap
import threading
import time

import pytest

from tracelet.core.plugins import PluginManager, PluginState

HEAD = """
from tracelet.core.plugins import CollectorPlugin, PluginMetadata
import threading, time, tracelet

class Base(CollectorPlugin):
    def initialize(self, config): ...
    def start(self): ...
    def stop(self): ...
    def get_status(self): return {}
    def collect(self): return {}

def hang():
    threading.Event().wait(60)

def described(name, **more):
    return PluginMetadata(**{"name": name, "version": "1.0", "type": "collector", **more})
"""

HEALTHY = """
class Healthy(Base):
    @classmethod
    def get_metadata(cls): return described("healthy")
    def collect(self): return {"well": 1}
"""

NAMED = """
    @classmethod
    def get_metadata(cls): return described("ill")
"""

#: kind: (the body of class Ill, or a whole file; what its error says). The name is "ill".
AT_WORK = {
    "a constructor that raises": (
        NAMED + "    def __init__(self): 1 / 0",
        "initialize failed: ZeroDivisionError",
    ),
    "a constructor that hangs": (NAMED + "    def __init__(self): hang()", "initialize was still running at"),
    "a constructor with arguments": (
        NAMED + "    def __init__(self, url): ...",
        "initialize failed: TypeError",
    ),
    "initialize raises": (
        NAMED + "    def initialize(self, config): 1 / 0",
        "initialize failed: ZeroDivisionError",
    ),
    "initialize exits": (
        NAMED + "    def initialize(self, config): raise SystemExit(3)",
        "failed: SystemExit: 3",
    ),
    "initialize hangs": (
        NAMED + "    def initialize(self, config): hang()",
        "initialize was still running at",
    ),
    "start raises": (NAMED + "    def start(self): 1 / 0", "start failed: ZeroDivisionError"),
    "start exits": (NAMED + "    def start(self): raise SystemExit", "start failed: SystemExit"),
    "start hangs": (NAMED + "    def start(self): hang()", "start was still running at"),
    "an error that cannot be shown": (
        NAMED
        + "    def start(self):\n        class E(Exception):\n            def __str__(self): raise E\n        raise E",
        "start failed: E",
    ),
    "a generator is closed": (
        NAMED + "    def start(self): raise GeneratorExit",
        "start failed: GeneratorExit",
    ),
    "a deep recursion": (NAMED + "    def start(self): self.start()", "start failed: RecursionError"),
    "a bad version": (NAMED.replace('"ill"', '"ill", version="new"'), "metadata version: expected a PEP 440"),
    "a host of another version": (
        NAMED.replace('"ill"', '"ill", requires_tracelet=">99"'),
        "needs tracelet >99",
    ),
    "an unknown hook": (
        NAMED + "    @tracelet.hookimpl\n    def colect(self): ...",
        "unknown hook 'colect'; did you mean 'collect'?",
    ),
    "an unknown argument": (
        NAMED + "    @tracelet.hookimpl\n    def log_params(self, parms): ...",
        "unknown argument 'parms'; did you mean 'params'?",
    ),
    "a missing part": (NAMED + "    get_status = None", "lacks get_status()"),
    "a missing dependency": (
        NAMED.replace('"ill"', '"ill", dependencies=["gone"]'),
        "needs 'gone', found neither",
    ),
    "a missing distribution": (
        NAMED.replace('"ill"', '"ill", dependencies=["gone>=1"]'),
        "run: pip install 'gone>=1'",
    ),
    "an old distribution": (
        NAMED.replace('"ill"', '"ill", dependencies=["pluggy<1"]'),
        "needs 'pluggy<1', found 1",
    ),
    "itself as a dependency": (
        NAMED.replace('"ill"', '"ill", dependencies=["twin"]'),
        "Circular dependency detected",
    ),
    "a wrong configuration": (
        NAMED.replace('"ill"', '"ill", config_schema={"url": {"type": "string", "required": True}}'),
        "plugins.ill.url: expected string",
    ),
    "a malformed schema": (NAMED.replace('"ill"', '"ill", config_schema=7'), "config_schema: expected"),
    "addhooks raises": (
        NAMED + "    @tracelet.hookimpl\n    def addhooks(self): 1 / 0",
        "register failed: ZeroDivisionError",
    ),
    "addhooks hangs": (
        NAMED + "    @tracelet.hookimpl\n    def addhooks(self): hang()",
        "register was still running",
    ),
}

TWIN = """
class Twin(Base):
    @classmethod
    def get_metadata(cls): return described("twin", dependencies=["ill"])
"""

AT_DISCOVERY = {
    "an import error": (
        "import no_such_module_at_all",
        "ModuleNotFoundError: No module named 'no_such_module_at_all'",
    ),
    "a syntax error": ("def broken(:", "SyntaxError: "),
    "no Python at all": ("\x00\x01", "ill.py"),
    "SystemExit at import": (
        "raise SystemExit('not today')",
        "import failed: SystemExit: not today (at ill.py:",
    ),
    "an exception at import": ("1 / 0", "import failed: ZeroDivisionError: division by zero (at ill.py:"),
    "an import that never ends": ("hang()", "import was still running at ill.py:"),
    "get_metadata raises": ("    def get_metadata(self): 1 / 0", "get_metadata failed: ZeroDivisionError"),
    "get_metadata exits": (
        "    def get_metadata(self): raise SystemExit(1)",
        "get_metadata failed: SystemExit",
    ),
    "get_metadata hangs": ("    def get_metadata(self): hang()", "get_metadata was still running at ill.py:"),
    "metadata of a wrong type": (
        "    def get_metadata(self): return {}",
        "must return a PluginMetadata, found dict",
    ),
    "no metadata": ("    pass", "lacks get_metadata()"),
    "metadata without a name": (
        "    def get_metadata(self): return described('')",
        "metadata name: expected a non-empty",
    ),
    "metadata without a type": (
        "    def get_metadata(self): return PluginMetadata('ill', '1')",
        "get_metadata failed: TypeError: metadata of plugin 'ill': expected type=",
    ),
    "metadata of an unknown type": (
        "    def get_metadata(self): return described('ill', type='backed')",
        "expected one of 'backend', ",
    ),
    "metadata with an unknown field": (
        "    def get_metadata(self): return described('ill', colour='red')",
        "got an unexpected keyword argument 'colour'",
    ),
    "a constructor that hangs, asked for metadata": (
        "    def __init__(self): hang()\n    def get_metadata(self): return described('ill')",
        "get_metadata was still running at ill.py:",
    ),
}


@pytest.fixture
def look(tmp_path):
    """Return a function that writes plugin files and returns a manager that has discovered them."""
    managers = []

    def look(ill):
        folder = tmp_path / "plugins"
        folder.mkdir()
        (folder / "ill.py").write_text(textwrap.dedent(ill))
        (folder / "healthy.py").write_text(HEAD + HEALTHY)
        limits = dict.fromkeys(["initialize", "start", "stop", "get_status", "addhooks", "collect"], 0.5)
        managers.append(PluginManager([folder], use_default_paths=False, deadlines={**limits, "import": 1.5}))
        managers[-1].discover_plugins()
        return managers[-1]

    yield look
    for manager in managers:
        manager.stop_all_plugins(timeout=2)


def is_well(manager):
    assert manager.plugins["healthy"].state is PluginState.ACTIVE
    assert manager.handle("healthy").call("collect") == {"well": 1}
    status = manager.get_status()
    assert status["plugins"]["healthy"]["status"] == {}
    return True


@pytest.mark.parametrize("kind", AT_WORK)
def test_broken_when_it_is_put_to_work(look, kind):
    body, told = AT_WORK[kind]
    manager = look(f"{HEAD}\nclass Ill(Base):\n{body}\n" + (TWIN if "twin" in body else ""))
    names = [name for name in ("ill", "twin", "healthy") if name in manager.plugins]
    assert manager.start_plugins(names) == {name: name == "healthy" for name in names}
    info = manager.plugins["ill"]
    assert info.state is PluginState.ERROR
    assert told in info.error
    assert info.error.startswith("plugin 'ill'")
    assert manager.get_status()["plugins"]["ill"]["error"] == info.error
    assert manager.get_status()["errors"] == len(names) - 1
    assert is_well(manager)


@pytest.mark.parametrize("kind", AT_DISCOVERY)
def test_broken_when_it_is_looked_at(look, kind):
    text, told = AT_DISCOVERY[kind]
    manager = look(f"{HEAD}\nclass Ill(Base):\n{text}\n" if text.startswith("    ") else f"{HEAD}\n{text}\n")
    [name] = set(manager.plugins) - {"healthy"}
    info = manager.plugins[name]
    assert name in ("ill", "Ill")
    assert info.state is PluginState.ERROR
    assert told in info.error
    assert info.error in manager.problems
    assert manager.start_plugins([name, "healthy"]) == {name: False, "healthy": True}
    assert is_well(manager)


@pytest.mark.parametrize(
    "how", ["raise RuntimeError('no answer')", "raise SystemExit", "hang()", "return object()"]
)
def test_a_status_that_fails_breaks_nothing_else(look, how):
    manager = look(f"{HEAD}\nclass Ill(Base):\n{NAMED}\n    def get_status(self): {how}\n")
    manager.start_plugins(["ill", "healthy"])
    began = time.monotonic()
    status = manager.get_status()["plugins"]
    assert time.monotonic() - began < 5
    assert status["ill"]["state"] == "active"
    if "object" not in how:
        assert "get_status" in status["ill"]["status_error"]
    assert is_well(manager)


def test_several_hanging_answers_are_waited_for_side_by_side(look):
    classes = "".join(
        f"class Ill{n}(Base):\n    @classmethod\n    def get_metadata(cls): return described('ill{n}')\n"
        "    def get_status(self): hang()\n"
        for n in range(8)
    )
    manager = look(HEAD + classes)
    manager.start_plugins([*(f"ill{n}" for n in range(8)), "healthy"])
    began = time.monotonic()
    status = manager.get_status()["plugins"]
    assert time.monotonic() - began < 2
    assert all("status_error" in status[f"ill{n}"] for n in range(8))


@pytest.mark.parametrize("how", ["raise RuntimeError('stuck')", "raise SystemExit", "hang()"])
def test_one_that_cannot_be_stopped(look, how):
    manager = look(f"{HEAD}\nclass Ill(Base):\n{NAMED}\n    def stop(self): {how}\n")
    manager.start_plugins(["ill", "healthy"])
    assert manager.stop_all_plugins() is False
    assert manager.plugins["ill"].state is PluginState.ERROR
    assert "stop" in manager.plugins["ill"].error
    assert manager.plugins["healthy"].state is PluginState.STOPPED


@pytest.mark.parametrize("how", ["raise RuntimeError('no')", "raise SystemExit", "hang()"])
def test_a_data_hook_that_fails(look, how):
    manager = look(f"{HEAD}\nclass Ill(Base):\n{NAMED}\n    def collect(self): {how}\n")
    manager.start_plugins(["ill", "healthy"])
    with pytest.raises(Exception, match=r"plugin 'ill': collect (failed|was still running at ill.py)"):
        manager.handle("ill").call("collect")
    hangs = "hang" in how
    assert manager.plugins["ill"].state is (PluginState.ERROR if hangs else PluginState.ACTIVE)
    assert manager.get_status()["plugins"]["ill"]["costs"]["collect"]["errors"] == 1
    assert is_well(manager)


@pytest.mark.parametrize("how", ["raise RuntimeError('no')", "raise SystemExit", "hang()"])
def test_a_listener_that_fails(look, how):
    manager = look(
        f"{HEAD}\nclass Ill(Base):\n{NAMED}\n    @tracelet.hookimpl\n    def plugin_state_changed(self): {how}\n"
    )
    manager.start_plugins(["healthy", "ill"])
    assert is_well(manager)


def test_one_that_hung_can_be_tried_again_with_a_new_object(hasty, make):
    gate, objects = threading.Event(), []

    def start(self):
        objects.append(self)
        if len(objects) == 1:
            gate.wait(60)

    info = hasty.register_plugin(make("ill", {"start": start}))
    assert hasty.start_plugins(["ill"]) == {"ill": False}
    assert "start was still running at test_broken_plugins.py:" in info.error
    assert "gate.wait(60)" in info.traceback
    assert "worker.py" not in info.traceback  # only what is the plugin's own, and below
    assert hasty.start_plugin("ill") is True
    gate.set()
    assert len(set(map(id, objects))) == 2
    assert info.error is None


def test_a_broken_program_can_still_exit(project):
    project.write("plugins/healthy.py", HEAD + HEALTHY)
    project.write("plugins/ill.py", f"{HEAD}\nclass Ill(Base):\n{NAMED}\n    def start(self): hang()\n")
    project.write("plugins/worse.py", f"{HEAD}\nhang()\n")
    project.write(
        "drive.py",
        """
        from tracelet.core.plugins import PluginManager
        limits = {"import": 1, "start": 0.5}
        manager = PluginManager(["plugins"], use_default_paths=False, deadlines=limits)
        manager.discover_plugins()
        print(manager.start_plugins(["ill", "worse", "healthy"]))
        """,
    )
    began = time.monotonic()
    done = project.python("drive.py")
    assert time.monotonic() - began < 20
    assert done.stdout == "{'ill': False, 'worse': False, 'healthy': True}\n"


def test_the_process_is_left_alone(look):
    before = (os.getcwd(), dict(os.environ))
    manager = look(f"{HEAD}\nclass Ill(Base):\n{NAMED}\n    def start(self): 1 / 0\n")
    manager.start_plugins(["ill", "healthy"])
    assert (os.getcwd(), dict(os.environ)) == before
