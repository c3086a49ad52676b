"""The machinery of the framework plugins: watched imports, wrapped functions, and which run gets what."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tracelet_builtin_plugins.capturing import CapturePlugin, Patches, when_imported
from tracelet_hookspecs import is_suspended, records_into_tracelet, suspend_captures

SOURCE = """
class Trainer:
    def log(self, value):
        return value * 2
    @classmethod
    def make(cls): return cls()
    @staticmethod
    def version(): return 1
class Special(Trainer):
    pass
"""


@pytest.fixture
def framework(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Iterator[str]:
    name = f"trainer_{abs(hash(request.node.nodeid)):x}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def load(name: str) -> Any:
    return importlib.import_module(name)


def test_an_action_is_called_once_the_program_has_imported_the_module(framework: str) -> None:
    found: list[ModuleType] = []
    before = list(sys.meta_path)
    end = when_imported(framework, found.append)
    assert not found
    assert framework not in sys.modules
    module = load(framework)
    assert found == [module]
    assert type(module.__loader__).__name__ == type(module.__spec__.loader).__name__ == "SourceFileLoader"
    end()
    assert sys.meta_path == before


def test_an_action_is_called_at_once_if_the_module_is_loaded(framework: str) -> None:
    module, found = load(framework), []
    when_imported(framework, found.append)()
    assert found == [module]


def test_an_action_that_fails_does_not_reach_the_import(framework: str) -> None:
    end = when_imported(framework, lambda module: 1 / 0)
    assert load(framework).Trainer().log(1) == 2
    end()


def test_an_ended_watch_calls_nothing(framework: str) -> None:
    found: list[ModuleType] = []
    when_imported(framework, found.append)()
    load(framework)
    assert not found


def test_an_import_in_progress_on_another_thread_is_waited_for(framework: str, tmp_path: Path) -> None:
    (tmp_path / f"{framework}.py").write_text(f"import time\nbegun = True\ntime.sleep(0.3)\n{SOURCE}")
    found = threading.Event()
    program = threading.Thread(target=load, args=(framework,))
    program.start()
    while not hasattr(sys.modules.get(framework), "begun"):
        pass
    end = when_imported(framework, lambda module: found.set() if hasattr(module, "Trainer") else None)
    assert found.wait(10)
    program.join()
    end()


class Log(list[Any]):
    """Stands in for a plugin: keeps what notes say, and what they raised."""

    def report(self, error: Exception, place: str) -> None:
        self.append((place, str(error)))


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def patches(log: Log) -> Iterator[Patches]:
    patches = Patches(lambda: log)  # type: ignore[arg-type, return-value]
    yield patches
    patches.undo()


def note(log: Log, result: Any, *arguments: Any) -> None:
    log.append(result)


def test_every_kind_of_function_is_wrapped_and_restored(framework: str, patches: Patches, log: Log) -> None:
    module = load(framework)
    classes = (module.Trainer, module.Special)
    before = [dict(vars(cls)) for cls in classes]
    for owner, name in ((module.Trainer, "log"), (module.Trainer, "make"), (module.Trainer, "version")):
        assert patches.after(owner, name, note)
    assert patches.after(module.Special, "log", note)  # inherited
    assert module.Special().log(2) == 4
    assert log == [4, 4]
    assert isinstance(module.Special.make(), module.Special)
    assert module.Trainer.version() == module.Trainer().version() == 1
    assert len(log) == 5
    patches.undo()
    assert [dict(vars(cls)) for cls in classes] == before
    assert not patches.after(module.Trainer, "gone", note)
    assert patches.missing == ["Trainer.gone"]


def test_a_wrapper_that_somebody_has_wrapped_stays_and_only_calls_the_original(
    framework: str, log: Log
) -> None:
    module = load(framework)
    recording = [True]
    patches = Patches(lambda: log if recording else None)  # type: ignore[arg-type, return-value]
    patches.after(module.Trainer, "log", note)
    ours = module.Trainer.log

    def theirs(self: Any, value: int) -> int:
        return int(ours(self, value)) + 1

    module.Trainer.log = theirs
    patches.undo()
    recording.clear()
    assert module.Trainer.log is theirs
    assert module.Trainer().log(1) == 3
    assert not log
    recording.append(True)
    patches.after(module.Trainer, "log", note)  # of the next run: on top of theirs
    assert module.Trainer().log(1) == 3
    assert log == [2, 3]  # the wrapper below is in use again as well, unless its patches are another run's
    patches.undo()
    assert module.Trainer.log is theirs


def test_a_note_that_fails_is_reported_and_the_program_goes_on(
    framework: str, patches: Patches, log: Log
) -> None:
    module = load(framework)
    patches.after(module.Trainer, "log", lambda *_: 1 / 0)
    patches.before(module.Trainer, "version", lambda *_: {}["x"])
    assert module.Trainer().log(1) == 2
    assert module.Trainer.version() == 1
    assert log == [("log", "division by zero"), ("version", "'x'")]


def test_captures_are_suspended_by_name_on_one_thread() -> None:
    seen = []
    with suspend_captures("a"), suspend_captures("a", "b"):
        thread = threading.Thread(target=lambda: seen.append(is_suspended("a")))
        thread.start()
        thread.join()
        seen += [is_suspended("a"), is_suspended("b"), is_suspended("c")]
    with suspend_captures():
        seen.append(is_suspended("c"))
    assert seen == [False, True, True, False, True]
    assert not is_suspended("a")


def test_an_object_that_records_into_tracelet_is_recognized() -> None:
    class Stranger:
        def __getattr__(self, name: str) -> Any:
            return SimpleNamespace()

    assert not records_into_tracelet([Stranger(), print])
    assert not records_into_tracelet(None)
    assert records_into_tracelet([print, SimpleNamespace(records_into_tracelet=True)])


class FakeRun:
    def __init__(self, *, is_active: bool = False) -> None:
        self.is_active = is_active
        self.values: list[int] = []


@pytest.fixture
def plugin(framework: str) -> Callable[..., Any]:
    """Return a function that starts a plugin of one class for a run."""

    class Capture(CapturePlugin):
        NAME, DESCRIPTION = "trainer", "for tests"
        MODULES = {framework: "patch"}

        @classmethod
        def patch(cls, module: Any, patches: Patches) -> None:
            patches.after(module.Trainer, "log", lambda self, result, *_: self.run.values.append(result))

    def start(run: FakeRun) -> Any:
        capture: Any = Capture()
        capture.initialize({})
        capture.run_started(run)
        return capture

    return start


def test_of_nested_runs_the_active_one_gets_it(framework: str, plugin: Callable[..., Any]) -> None:
    outer, inner = FakeRun(), FakeRun(is_active=True)
    first = plugin(outer)
    module = load(framework)
    module.Trainer().log(1)
    second = plugin(inner)
    module.Trainer().log(2)
    inner.is_active = False
    outer.is_active = True  # as on another thread
    module.Trainer().log(3)
    outer.is_active = False  # an inner run without the plugin is active: the latest one that has it
    module.Trainer().log(4)
    second.run_ended()
    second.stop()
    module.Trainer().log(5)
    first.stop()
    assert module.Trainer().log(6) == 12
    assert (outer.values, inner.values) == ([2, 6, 10], [4, 8])
    assert module.Trainer.log.__qualname__ == "Trainer.log"
    assert not hasattr(module.Trainer.log, "__wrapped__")


def test_a_fault_is_logged_once(
    framework: str, plugin: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    run = FakeRun()
    capture = plugin(run)
    module = load(framework)
    run.values = None  # type: ignore[assignment]
    with caplog.at_level(logging.WARNING):
        assert [module.Trainer().log(value) for value in (1, 2)] == [2, 4]
    assert [record.name for record in caplog.records] == ["tracelet.plugins.trainer"]
    assert "what log reported is not recorded" in caplog.text
    assert capture.get_status()["faults"]
    capture.stop()


def test_automagic_activates_the_framework_plugins(project: Any) -> None:
    project.write(
        "train.py",
        """
        import sys, tracelet
        with tracelet.start_run(config={"automagic": True} if "--here" in sys.argv else None) as run:
            run.wait_started()
            plugin = run.manager.plugins.get("summarywriter")
            print("on" if plugin and plugin.state.name == "ACTIVE" else "off")
        """,
    )
    flag = ("run", "-q", "--automagic")
    assert project.tracelet(*flag, "train.py").stdout == "on\n"
    assert project.tracelet(*flag, "-p", "no:summarywriter", "train.py").stdout == "off\n"
    assert project.tracelet("run", "-q", "train.py", "--here").stdout == "on\n"
    assert project.python("train.py").stdout == "off\n"
    project.write("tracelet.toml", "automagic = true")
    assert project.python("train.py").stdout == "on\n"
    bad = project.python("train.py", environ={"TRACELET_AUTOMAGIC": "3"}, status=1)
    assert "TRACELET_AUTOMAGIC: expected boolean" in bad.stderr
