"""``tracelet plugins check --conformance``: run the suite of tests that checks a plugin's promises."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

GROUP: Final = "tracelet.conformance"
ISOLATIONS: Final = ("thread", "process")
_DEFAULT: Final = "tracelet.testing.conformance.default"
_OUTPUT: Final = 3  # lines of pytest's output that an error shows
_REGULAR: Final = (0, 1)  # pytest's status if it has run all tests
_TICK: Final = 0.3  # seconds between two updates of the progress


class Suite(NamedTuple):
    """The tests to run: what pytest is told, and where they come from, for people."""

    arguments: list[str]
    origin: str
    environ: dict[str, str]


class Conformance(NamedTuple):
    """The results of a suite."""

    plugin: str
    suite: str
    promises: list[dict[str, Any]]
    counts: dict[str, int]
    #: How pytest ended, if it did not end by itself: the results are those of the tests before that.
    crash: str = ""

    @property
    def ok(self) -> bool:
        """Whether all tests were run, and no promise is broken."""
        return not (self.crash or self.counts.get("broken"))


def check_conformance(
    manager: PluginManager, name: str, suite: str | None, junit: Path | None
) -> Conformance:
    """Run the suite of a plugin. Raises :class:`~tracelet.errors.UsageError` if there is none, or it cannot run."""
    from tracelet.errors import UsageError

    _require_pytest()
    chosen = _choose_suite(manager, name, suite)
    with tempfile.TemporaryDirectory(prefix="tracelet-conformance-") as folder:
        report = Path(folder, "report.json")
        options = [f"--junitxml={os.path.abspath(junit)}"] if junit is not None else []
        status, output = _run_pytest([*options, *chosen.arguments], chosen.environ, report)
        known = _read(report)
    results = known.get("results", [])
    if usage := next((each["usage"] for each in results if each.get("usage")), None):
        raise UsageError(f"{chosen.origin}: {usage}")
    if not results:
        raise _no_results(chosen, output)
    crash = "" if status in _REGULAR else _describe_crash(status, known, output)
    default = manager.plugins[name].metadata.isolation
    promises = gather_promises(results, default)
    return Conformance(name, chosen.origin, promises, count_promises(promises), crash)


def _run_pytest(arguments: list[str], environ: Mapping[str, str], report: Path) -> tuple[int, str]:
    """Run pytest, and show on a terminal how far it is. Returns its exit status and its output."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "--no-header", "--tb=native", *_PLUGINS, *arguments],
        # Wide, because pytest cuts the lines of its summary, which are quoted here.
        env={**os.environ, **environ, "TRACELET_CONFORMANCE_REPORT": str(report), "COLUMNS": "1000"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    with process:
        try:
            output = _wait(process, report)
        except BaseException:
            process.kill()
            raise
    return process.returncode, output


def _wait(process: subprocess.Popen[str], report: Path) -> str:
    show = sys.stderr.isatty()
    while True:
        try:
            output: str = process.communicate(timeout=_TICK if show else None)[0]
        except subprocess.TimeoutExpired:
            known = _read(report)
            done, total = len(known.get("results", ())), known.get("total", 0)
            sys.stderr.write(f"\r{done} of {total} tests" if total else "\rcollecting tests")
            sys.stderr.flush()
            continue
        if show:
            sys.stderr.write("\r\033[K")
        return output


def _read(report: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(report.read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def _describe_crash(status: int, known: Mapping[str, Any], output: str) -> str:
    lines = output.strip().splitlines()[-_OUTPUT:]
    done = f"{len(known['results'])} of {known.get('total') or '?'} tests"
    return f"pytest ended with status {status} after {done}; it says: {' '.join(lines)}"


_PLUGINS: Final = ("-p", "tracelet.testing.report", "-p", "no:cacheprovider", "-o", "addopts=")


def _require_pytest() -> None:
    from tracelet.errors import UsageError

    missing = [name for name in ("pytest", "hypothesis") if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"--conformance needs {' and '.join(missing)}; install the extra 'testing' from a clone of the"
            " repository: pip install './tracelet[testing]'"
        )


def _choose_suite(manager: PluginManager, name: str, suite: str | None) -> Suite:
    from importlib import metadata

    if suite is not None:
        return _suite_from_text(suite)
    for entry in metadata.entry_points(group=GROUP):
        if entry.name == name:
            return Suite([*_pyargs(entry.value)], f"{entry.value} (entry point)", {})
    return _default_suite(manager, name)


def _suite_from_text(text: str) -> Suite:
    from tracelet.errors import UsageError

    file = text.partition("::")[0]
    if file.endswith(".py"):
        if not Path(file).is_file():
            raise UsageError(f"--suite: {file}: no such file")
        return Suite([text], text, {})
    return Suite(_pyargs(text.replace("::", ":")), text, {})


def _pyargs(value: str) -> list[str]:
    module, _, name = value.partition(":")
    return ["--pyargs", f"{module}::{name}" if name else module]


def _default_suite(manager: PluginManager, name: str) -> Suite:
    from tracelet.cli.plugin_faults import find_configuration_faults
    from tracelet.delivery.process.import_spec import import_spec_of
    from tracelet.errors import UsageError

    info = manager.plugins[name]
    faults = list(find_configuration_faults(manager, name)) or _missing_configuration(manager, name)
    if faults:
        raise UsageError(
            f"plugin {name!r} brings no suite, and without one its own configuration is needed: {'; '.join(faults)}."
            f" Write a table [plugins.{name}], or name a suite with --suite FILE"
        )
    module, cls = import_spec_of(info)
    about = {
        "name": name,
        "type": info.metadata.type.value,
        "plugin": f"{module}:{cls}" if cls else module,
    }
    origin = "the promises that need no read_back(); the plugin brings no suite"
    return Suite(_pyargs(_DEFAULT), origin, {"TRACELET_CONFORMANCE_PLUGIN": json.dumps(about)})


def _missing_configuration(manager: PluginManager, name: str) -> list[str]:
    from tracelet.config.validation import validate
    from tracelet.errors import ConfigError

    config = manager.config
    if config is not None and name in config.tables:
        return []
    try:
        validate(manager.plugins[name].metadata.config_schema, {}, path=f"plugins.{name}")
    except ConfigError as error:
        return list(error.faults)
    return []


def _no_results(suite: Suite, output: str) -> Exception:
    from tracelet.errors import UsageError

    if mistake := _find_mistake(suite.arguments[-1]):
        return UsageError(f"{suite.origin}: {mistake}")
    lines = output.strip().splitlines()
    errors = [line.removeprefix("E").strip() for line in lines if line.startswith("E ")] or lines[-_OUTPUT:]
    return UsageError(f"no test was run from {suite.origin}; pytest says: {' '.join(errors[-_OUTPUT:])}")


def _find_mistake(target: str) -> str:
    """Say why a suite, FILE.py[::Class] or module[::Class], is none; "" if pytest has to say it."""
    source, _, name = target.partition("::")
    sys.path[:0] = [os.getcwd(), str(Path(source).resolve().parent)]
    try:
        module = importlib.import_module(Path(source).stem if source.endswith(".py") else source)
    except SyntaxError as error:
        return f"{Path(error.filename or source).name}:{error.lineno}: SyntaxError: {error.msg}"
    except ModuleNotFoundError as error:
        is_itself = error.name is not None and f"{source}.".startswith(f"{error.name}.")
        return f"no module {error.name}" if is_itself else f"cannot be imported: {error}"
    except Exception:
        return ""
    finally:
        del sys.path[:2]
    return _find_class_mistake(module, name.partition("::")[0])


def _find_class_mistake(module: Any, name: str) -> str:
    from tracelet.messages import did_you_mean

    if not name:
        return ""
    if not hasattr(module, name):
        classes = [each for each, value in vars(module).items() if isinstance(value, type)]
        return f"the module has no {name}{did_you_mean(name, classes)}"
    found = getattr(module, name)
    is_suite = isinstance(found, type) and any(each.startswith("test_") for each in dir(found))
    return "" if is_suite else f"{name} is not a class of tests"


def count_promises(promises: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return how many promises have each outcome, in one isolation or in both: as many as the report lists."""
    counts: dict[str, int] = {}
    for each in promises:
        results = [each[isolation] for isolation in ISOLATIONS if each[isolation] is not None]
        for outcome in dict.fromkeys(result["outcome"] for result in results):
            counts[outcome] = counts.get(outcome, 0) + 1
    return counts


def gather_promises(results: Iterable[Mapping[str, Any]], default: str) -> list[dict[str, Any]]:
    """Return one entry for each promise, with its outcome in each isolation.

    A test that is not run in each isolation counts for the one that the plugin has by default.
    """
    promises: dict[str, dict[str, Any]] = {}
    for result in results:
        key = result["promise"]
        about = promises.setdefault(
            key, {"promise": key, "text": result["text"], **dict.fromkeys(ISOLATIONS)}
        )
        place = result["isolation"] or default
        own = {name: result[name] for name in ("outcome", "why", "seconds", "test")}
        known = about[place]
        if known is None or own["outcome"] == "broken":
            about[place] = own
    return list(promises.values())
