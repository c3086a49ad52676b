"""``tracelet plugins check --conformance``: run the suite of tests that checks a plugin's promises."""

from __future__ import annotations

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

    @property
    def ok(self) -> bool:
        """Whether no promise is broken."""
        return not self.counts.get("broken")


def check_conformance(
    manager: PluginManager, name: str, suite: str | None, junit: Path | None
) -> Conformance:
    """Run the suite of a plugin. Raises :class:`~tracelet.errors.UsageError` if there is none, or it cannot run."""
    _require_pytest()
    chosen = _choose_suite(manager, name, suite)
    with tempfile.TemporaryDirectory(prefix="tracelet-conformance-") as folder:
        report = Path(folder, "report.json")
        options = [f"--junitxml={os.path.abspath(junit)}"] if junit is not None else []
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "--no-header", *_PLUGINS, *options, *chosen.arguments],
            env={**os.environ, **chosen.environ, "TRACELET_CONFORMANCE_REPORT": str(report)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        results = json.loads(report.read_text("utf-8"))["results"] if report.exists() else []
    if not results:
        raise _no_results(chosen, done.stdout)
    default = manager.plugins[name].metadata.isolation
    promises = gather_promises(results, default)
    return Conformance(name, chosen.origin, promises, count_promises(promises))


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

    lines = output.strip().splitlines()
    errors = [line.removeprefix("E").strip() for line in lines if line.startswith("E ")] or lines[-_OUTPUT:]
    return UsageError(f"no test was run from {suite.origin}; pytest says: {' '.join(errors[-_OUTPUT:])}")


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
