"""A training program of a few steps, run in a process of its own: it records, ends, and may be killed at any call."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from tracelet.testing.faults import Fault, FaultList, fault_list, kill_this_process, wrap_hooks
from tracelet.testing.plugins import load_module

TIMEOUT: Final = 120.0  # seconds that a program may take
_BOOT: Final = "import sys; from tracelet.testing.program import main; main(sys.argv[1])"
OFF: Final = ("system", "gpu", "environment")


@attrs.define
class Program:
    """What a program does.

    ``steps`` are ``("points", name, first, count)``, ``("log", name, value, step)``, ``("params", mapping)``,
    ``("tags", mapping)``, ``("artifact", path, place)``, ``("flush",)``, ``("sleep", seconds)``, ``("exec", source)``,
    ``("answer", variable)``, ``("recorded",)``, ``("again",)`` (another run), ``("finish",)`` and ``("kill",)``.
    """

    plugin: tuple[str, str]  # module or file, and class; "" for the module itself
    name: str  # the plugin's
    config: Mapping[str, Any]
    folder: Path
    run_id: str
    steps: Sequence[tuple[Any, ...]]
    resume: bool = False
    isolation: str | None = None
    faults: Sequence[Fault] = ()
    settings: Mapping[str, Any] = {}
    before: str = ""  # source to run before the run starts
    patched: Sequence[str] = ()  # modules: report at the end what in them is not what it was before the run
    watch: bool = False  # whether ("state",) reports what has changed in the process


@attrs.define
class Ended:
    """How a program ended."""

    status: int
    answers: list[Any]
    err: str


def run_program(program: Program, *, environ: Mapping[str, str] | None = None) -> Ended:
    """Run a program and wait for it."""
    control = program.folder / "program-faults"
    control.mkdir(parents=True, exist_ok=True)
    faults = FaultList(control)
    for fault in program.faults:
        faults.add(fault)
    file = control / "program.pickle"
    file.write_bytes(pickle.dumps((program, [path for path in sys.path if path])))
    done = subprocess.run(
        [sys.executable, "-c", _BOOT, str(file)],
        cwd=program.folder,
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=TIMEOUT,
    )
    answers = [json.loads(line[1:]) for line in done.stdout.splitlines() if line.startswith("\x02")]
    return Ended(done.returncode, answers, done.stderr)


def main(file: str) -> None:
    """Run the program that a file describes."""
    program, path = pickle.loads(Path(file).read_bytes())
    sys.path[:] = list(dict.fromkeys([*path, *sys.path]))
    state = _watch(program) if program.watch else {}
    plugin = load_module(program.plugin[0])
    for part in program.plugin[1].split(".") if program.plugin[1] else ():
        plugin = getattr(plugin, part)
    _install_faults(program.name, fault_list(Path(file).parent))
    _record(program, plugin, state)


def _watch(program: Program) -> dict[str, Any]:
    """Return the state of the process once tracelet itself, with its parts, is in use."""
    import logging

    import tracelet

    tracelet.start_run("before", dir=program.folder, config={"plugins": _off(program.name)}).finish()
    logging.getLogger("tracelet")
    return snapshot()


def snapshot() -> dict[str, Any]:
    """Return what of a process is its program's to decide."""
    import logging
    import signal
    import socket
    import threading
    import warnings

    root = logging.getLogger()
    return {
        "the current folder": os.getcwd(),
        "environment variables": dict(os.environ),
        "the root logger": (list(map(repr, root.handlers)), root.level, root.manager.disable),
        "signal handlers": {number: repr(signal.getsignal(number)) for number in signal.valid_signals()},
        "sys.excepthook": sys.excepthook,
        "threading.excepthook": threading.excepthook,
        "sys.unraisablehook": sys.unraisablehook,
        "sys.stdout": sys.stdout,
        "sys.stderr": sys.stderr,
        "the filters of warnings": len(warnings.filters),
        "warnings.showwarning": warnings.showwarning,
        "the default timeout of sockets": socket.getdefaulttimeout(),
        "the switch interval of threads": sys.getswitchinterval(),
        "the recursion limit": sys.getrecursionlimit(),
        "the state of random": _random_state(),
    }


def _random_state() -> Any:
    import random

    return hash(random.getstate())


def changes_since(before: Mapping[str, Any]) -> list[str]:
    """Return what of the process has changed, in words."""
    after = snapshot()
    changed = [what for what in before if after[what] != before[what]]
    return [f"it changes {what}{_details(before[what], after[what])}" for what in changed]


def _details(before: Any, after: Any) -> str:
    if not isinstance(before, dict):
        return (
            f" from {str(before)[:80]} to {str(after)[:80]}" if isinstance(before, (str, int, tuple)) else ""
        )
    keys = [str(key) for key in {*before, *after} if before.get(key) != after.get(key)]
    return f": {', '.join(sorted(keys)[:8])}"


def _off(name: str) -> dict[str, Any]:
    return {each: {"enabled": False} for each in OFF if each != name}


def _install_faults(name: str, faults: FaultList) -> None:
    from tracelet.host.plugins.registry import Registry

    prepare = Registry.__init__

    def prepare_with_faults(self: Registry) -> None:
        prepare(self)
        wrap_hooks(self, name, faults)

    Registry.__init__ = prepare_with_faults  # type: ignore[method-assign]


def _record(program: Program, plugin: Any, state: dict[str, Any]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(program.before, names)
    patched = _attributes(program.patched)
    run = _start(program, plugin, program.run_id)
    for what, *given in program.steps:
        if what == "state":
            _answer({"changes": changes_since(state)})
        elif what == "again":
            run = _start(program, plugin, None)
        elif what == "exec":
            exec(compile(given[0], "<program>", "exec"), names)
        elif what == "answer":
            _answer({given[0]: names[given[0]]})
        else:
            _STEPS[what](run, *given)
    if program.patched:
        now = _attributes(program.patched)
        _answer({"patched": sorted(key for key in patched if now.get(key) is not patched[key])})


def _start(program: Program, plugin: Any, run_id: str | None) -> Any:
    import tracelet

    table = dict(program.config)
    if program.isolation:
        table["isolation"] = program.isolation
    return tracelet.start_run(
        "a program",
        project="kit",
        dir=program.folder,
        run_id=run_id,
        resume=program.resume,
        plugins=[plugin],
        config={"plugins": {**_off(program.name), program.name: table}, **program.settings},
    )


def _attributes(modules: Sequence[str]) -> dict[str, Any]:
    """Return the attributes of modules, and of the classes that are defined in them."""
    found: dict[str, Any] = {}
    for name in modules:
        for attribute, value in vars(sys.modules[name]).items():
            found[f"{name}.{attribute}"] = value
            if isinstance(value, type) and value.__module__ == name:
                found |= {f"{name}.{attribute}.{each}": inner for each, inner in vars(value).items()}
    return {key: value for key, value in found.items() if not key.rpartition(".")[2].startswith("__")}


def _points(run: Any, name: str, first: int, count: int) -> None:
    for step in range(first, first + count):
        run.log_metric(name, step / 8, step)


def _finish(run: Any) -> None:
    pending = run.finish()
    _answer({"pending": pending, "problems": run.plugins.failures()})


def _answer(answer: dict[str, Any]) -> None:
    sys.stdout.write("\x02" + json.dumps(answer) + "\n")
    sys.stdout.flush()


def _recorded(run: Any) -> None:
    from collections import Counter

    from tracelet.testing.expected import read_points

    _answer({"recorded": Counter(point.name for point in read_points(run.dir))})


_STEPS: Final[dict[str, Any]] = {
    "points": _points,
    "log": lambda run, name, value, step: run.log_metric(name, value, step),
    "params": lambda run, params: run.log_params(params),
    "tags": lambda run, tags: run.set_tags(tags),
    "artifact": lambda run, path, place: run.log_artifact(path, place),
    "flush": lambda run: run.flush(),
    "sleep": lambda run, seconds: time.sleep(seconds),
    "finish": _finish,
    "recorded": _recorded,
    "kill": lambda run: kill_this_process(),
}
