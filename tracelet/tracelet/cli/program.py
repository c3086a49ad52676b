"""Run a program as ``__main__`` in this process, as the interpreter itself would."""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.util
import os
import pkgutil
import sys
import threading
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tracelet.errors import UsageError

FAILED: Final = 1
INTERRUPTED: Final = 130
#: Modules whose threads end only with the interpreter: executors of threads and of processes, joblib's among them.
_EXECUTORS: Final = ("concurrent.futures.thread", "concurrent.futures.process", "loky.process_executor")
_original_main: list[types.ModuleType] = []  # keeps the module alive that was __main__ before the program


class Program(NamedTuple):
    """The program to run: a script (a file, or a folder or archive with a ``__main__.py``) or a module."""

    name: str
    arguments: tuple[str, ...]
    is_module: bool

    @property
    def path(self) -> Path | None:
        """The script's path, or a module's file if it can be found without importing anything."""
        if not self.is_module:
            return Path(os.path.abspath(self.name))
        spec = importlib.machinery.PathFinder.find_spec(self.name.partition(".")[0])
        return Path(spec.origin) if spec is not None and spec.origin and os.path.isfile(spec.origin) else None

    @property
    def folder(self) -> str:
        """The folder that the interpreter puts first on ``sys.path`` for it."""
        if self.is_module:
            return os.getcwd()
        real = os.path.realpath(self.name)
        return real if _contains_main(real) else os.path.dirname(real)

    def check(self) -> None:
        """Raise :class:`UsageError` if there is nothing to run."""
        if self.is_module:
            self._check_module()
        elif not os.path.exists(self.name):
            raise UsageError(f"no file {self.name!r} to run{_suggest_module(self.name)}")
        elif not _contains_main(self.name) and not os.path.isfile(self.name):
            raise UsageError(f"{self.name!r} contains no __main__.py, so there is nothing to run in it")

    def _check_module(self) -> None:
        script = self.name.endswith(".py") and os.path.isfile(self.name)
        if script or not _can_be_imported(self.name, self.folder):
            hint = f"; run it as a script: tracelet run {self.name}" if os.path.exists(self.name) else ""
            raise UsageError(f"no module named {self.name!r} to run{hint}")


class Ending(NamedTuple):
    """How a program ended: its exit status, and the exception that ended it."""

    status: int
    error: BaseException | None = None

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended it."""
        return isinstance(self.error, KeyboardInterrupt)


def _suggest_module(name: str) -> str:
    dotted = name.replace("/", ".")
    known = dotted.replace(".", "").isidentifier() and _can_be_imported(dotted, os.getcwd())
    return f"; for a module: tracelet run -m {dotted}" if known else ""


def _can_be_imported(name: str, folder: str) -> bool:
    """Whether the module, or at least its top-level package, exists. Nothing is imported to find out."""
    head = name.partition(".")[0]
    if importlib.machinery.PathFinder.find_spec(head, [folder]) is not None:
        return True
    try:
        return importlib.util.find_spec(head) is not None
    except (ImportError, ValueError):
        return False


def _contains_main(path: str) -> bool:
    """Whether this is a folder or an archive with a ``__main__.py``."""
    if os.path.isdir(path):
        return os.path.isfile(os.path.join(path, "__main__.py"))
    return os.path.isfile(path) and pkgutil.get_importer(path) is not None


def set_script_path(program: Program) -> None:
    """Put the program's folder first on ``sys.path``, in place of this program's."""
    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
        sys.path[0] = program.folder


def execute(program: Program) -> Ending:
    """Run the program and wait for its threads. An exception is shown as the interpreter shows it."""
    module = types.ModuleType("__main__")
    module.__dict__.update(__builtins__=builtins, __annotations__={})
    _original_main.append(sys.modules["__main__"])
    sys.modules["__main__"] = module
    others = set(threading.enumerate())
    try:
        sys.argv[:] = ["-m" if program.is_module else program.name, *program.arguments]
        exec(_load_code(program, module), module.__dict__)
        _await_threads(others)
    except SystemExit as error:
        return Ending(_exit_status(error), error)
    except BaseException as error:
        _show_exception(error)
        return Ending(INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED, error)
    return Ending(0)


def _load_code(program: Program, module: types.ModuleType) -> types.CodeType:
    """Find the program's code and give its module the names that ``__main__`` has."""
    if program.is_module:
        return _load_module_code(program.name, module)
    if _contains_main(program.name):
        importer = pkgutil.get_importer(os.path.realpath(program.name))
        assert importer is not None
        spec = importer.find_spec("__main__", None)
        assert spec is not None
        return _load_spec_code(spec, module, "")
    path = os.path.join(os.getcwd(), program.name)
    loader: Any
    if path.endswith(".pyc"):
        loader = importlib.machinery.SourcelessFileLoader("__main__", path)
        code = loader.get_code("__main__")
    else:
        loader = importlib.machinery.SourceFileLoader("__main__", path)
        code = loader.source_to_code(loader.get_data(path), path)  # not get_code, which would cache it
    module.__dict__.update(__file__=path, __cached__=None, __loader__=loader, __package__=None, __spec__=None)
    assert code is not None
    return code  # type: ignore[no-any-return]


def _load_module_code(name: str, module: types.ModuleType) -> types.CodeType:
    spec = _find_spec(name)
    if spec is not None and spec.submodule_search_locations is not None:
        spec = _find_spec(f"{name}.__main__")
        if spec is None:
            sys.exit(f"tracelet: no module named {name}.__main__; {name!r} is a package and cannot be run")
    if spec is None:
        sys.exit(f"tracelet: no module named {name}")
    sys.argv[0] = str(spec.origin)
    return _load_spec_code(spec, module, spec.parent)


def _find_spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Find a module, importing the packages above it; whatever they raise is the program's own failure."""
    parent = name.rpartition(".")[0]
    try:
        package = importlib.import_module(parent) if parent else None
    except ModuleNotFoundError as error:
        if error.name is not None and f"{parent}.".startswith(f"{error.name}."):
            return None
        raise
    if package is not None and not hasattr(package, "__path__"):
        return None
    return importlib.util.find_spec(name)


def _load_spec_code(
    spec: importlib.machinery.ModuleSpec, module: types.ModuleType, package: str | None
) -> types.CodeType:
    loader: Any = spec.loader
    code: types.CodeType | None = loader.get_code(spec.name) if hasattr(loader, "get_code") else None
    if code is None:
        raise ImportError(f"No code object available for {spec.name}", name=spec.name)
    module.__dict__.update(
        __file__=spec.origin, __cached__=spec.cached, __loader__=loader, __package__=package, __spec__=spec
    )
    return code


def _await_threads(others: set[threading.Thread]) -> None:
    """Wait for the threads that the program started, as the interpreter does before it ends.

    Workers of an executor that was left open are not waited for: they end only with the interpreter.
    """
    while threads := [each for each in threading.enumerate() if _must_be_awaited(each, others)]:
        for thread in threads:
            thread.join()


def _must_be_awaited(thread: threading.Thread, others: set[threading.Thread]) -> bool:
    workers = {
        worker
        for name, module in list(sys.modules.items())
        if name.endswith(_EXECUTORS)
        for registry in ("_threads_queues", "_threads_wakeups")
        for worker in list(getattr(module, registry, ()))
    }
    here = threading.current_thread()
    return thread is not here and not thread.daemon and thread not in others and thread not in workers


def _exit_status(error: SystemExit) -> int:
    """Return the exit status of a ``SystemExit``; a text is printed, as the interpreter does."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return FAILED


def _show_exception(error: BaseException) -> None:
    """Show an exception through ``sys.excepthook``, without the host's own frames."""
    trace = error.__traceback__
    while trace is not None and _is_ours(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    error.__traceback__ = trace
    sys.stdout.flush()
    sys.excepthook(type(error), error, trace)


def _is_ours(filename: str) -> bool:
    return filename in (__file__, importlib.__file__) or filename.startswith("<frozen importlib")


def find_program(words: Sequence[str], flags: set[str], module: set[str]) -> int:
    """Return the position of the script, or of the arguments after ``-m MODULE``.

    ``flags`` are the options without a value, ``module`` the options that name a module.
    """
    at = 0
    while at < len(words):
        word = words[at]
        if word == "--" or not word.startswith("-") or word == "-":
            return at
        at += 1
        if word.startswith("--"):
            if "=" not in word and word not in flags:
                at += 1
            continue
        for place, letter in enumerate(word[1:], start=2):
            if f"-{letter}" in flags:
                continue
            attached = place < len(word)
            at += 0 if attached else 1
            if f"-{letter}" in module:
                return at
            break
    return at
