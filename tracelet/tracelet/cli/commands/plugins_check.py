"""``tracelet plugins check``: load and validate a plugin and report every fault."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from tracelet.cli.options import global_options, plugin_options
from tracelet.cli.output import json_option, show_result
from tracelet.errors import UsageError

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen
    from tracelet.host.plugins import PluginManager


class CheckedPlugin(NamedTuple):
    """One plugin and its faults."""

    name: str
    version: str | None
    type: str | None
    origin: str
    faults: list[str]
    warnings: list[str]


@click.command("check")
@click.argument("what", metavar="PATH_OR_NAME")
@click.option(
    "--conformance", is_flag=True, help="Also run the tests that check every promise of the contract."
)
@click.option(
    "--suite",
    metavar="TESTS",
    help="The class of tests to run, FILE.py[::Class] or module[:Class], instead of the plugin's own.",
)
@click.option(
    "--junit",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the results as JUnit XML.",
)
@plugin_options
@json_option
def check(what: str, conformance: bool, suite: str | None, junit: Path | None) -> int:
    """Load, validate and construct a plugin without a run, and report every fault.

    PATH_OR_NAME is a .py file or a folder of them, the name of a plugin, or an importable module
    (package.module or package.module:Class). The exit status is 1 if there are faults; warnings do not
    count.

    With --conformance, the plugin is used for real: by the suite that its distribution names in the entry points
    "tracelet.conformance", by the one that --suite names, or by a default one, with the configuration in this project.
    """
    if not conformance and (suite or junit):
        raise UsageError("--suite and --junit belong to --conformance; add it")
    checked = list(_check(what))
    faulty = any(one.faults for one in checked)
    if conformance and not faulty:
        return _check_promises(what, checked, suite, junit)
    show_result(
        lambda: {"ok": not faulty, "plugins": [one._asdict() for one in checked]},
        lambda screen: _print(screen, checked),
    )
    return 1 if faulty else 0


def _check_promises(what: str, checked: list[CheckedPlugin], suite: str | None, junit: Path | None) -> int:
    """Run the suites of the plugins and report the results."""
    from tracelet.cli.commands.plugins_conformance import check_conformance
    from tracelet.cli.views.promises import print_promises

    if len(checked) > 1 and (suite or junit):
        raise UsageError(
            f"--suite and --junit are for one plugin, and {what} has {len(checked)}; name one of them"
        )
    manager = _manager_of(what, [one.name for one in checked])
    results = [check_conformance(manager, one.name, suite, junit) for one in checked]
    ok = all(result.ok for result in results)

    def view(screen: Screen) -> None:
        _print(screen, checked)
        for result in results:
            print_promises(screen, result.promises, result.counts, result.suite)
            if result.crash:
                screen.line((result.crash, "bold red"))

    show_result(
        lambda: {
            "ok": ok,
            "plugins": [one._asdict() for one in checked],
            "conformance": [{"ok": result.ok, **result._asdict()} for result in results],
        },
        view,
    )
    return 0 if ok else 1


def _manager_of(what: str, names: Iterable[str]) -> PluginManager:
    """Return a manager that has loaded these plugins of a file, a folder, a name or a module."""
    from tracelet.host.plugins import PluginManager

    path = Path(what)
    if path.suffix == ".py" or path.exists():
        manager = PluginManager([path], use_default_paths=False)
        manager.discover_plugins()
        manager.config = global_options().config()
    else:
        manager = global_options().manager()
    for name in names:
        manager.load_plugin(name)
    return manager


def _check(what: str) -> Iterator[CheckedPlugin]:
    from tracelet.host.plugins.process_state import ProcessWatch

    options = global_options()
    path = Path(what)
    if path.suffix == ".py" or path.exists():
        yield from _check_path(path, options.manager())
        return
    if what not in options.plugins:
        options.plugins.append(what)
    with ProcessWatch() as watch:
        manager = options.manager()
        names = _find_plugins(what, manager)
        for name in names:
            manager.load_plugin(name)
    manager.validate_plugins(name for name in manager.select_plugins() if name not in names)
    for name in names:
        yield _check_one(manager, name, manager, watch.changes)


def _check_path(path: Path, others: PluginManager) -> Iterator[CheckedPlugin]:
    """Check the plugins in a file or folder, even if other plugins have the same names."""
    from tracelet.host.plugins import PluginManager
    from tracelet.host.plugins.examination import find_slow_import
    from tracelet.host.plugins.process_state import ProcessWatch
    from tracelet_hookspecs import PluginState

    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    if path.is_file() and path.suffix != ".py":
        raise UsageError(f"{path}: expected a Python file (.py), a folder of them, or the name of a plugin")
    others.validate_plugins(others.select_plugins())
    alone = PluginManager([path], use_default_paths=False)
    with ProcessWatch() as watch:
        alone.discover_plugins()
        for name, info in list(alone.plugins.items()):
            if info.state is not PluginState.ERROR:
                alone.load_plugin(name)
        alone.register_hookspecs()
    changes = [*watch.changes, *find_slow_import(watch.seconds if path.is_file() else None)]
    if not alone.plugins:
        fault = "contains neither hook implementations nor plugin classes; decorate a function with"
        fault += " @tracelet.hookimpl, or subclass a base class"
        yield CheckedPlugin(path.name, None, None, str(path), [fault], changes)
    for name in list(alone.plugins):
        yield _check_one(alone, name, others, changes)
    reported = {info.error for info in alone.plugins.values()}
    if problems := [problem for problem in alone.problems if problem not in reported]:
        yield CheckedPlugin(path.name, None, None, str(path), problems, [])


def _find_plugins(what: str, manager: PluginManager) -> list[str]:
    """Return the names of the plugins that a name or module refers to."""
    from tracelet.cli.diagnostics import suggest

    if what in manager.plugins:
        return [what]
    module = f"module {what}"
    names = [name for name, info in manager.plugins.items() if info.origin == module]
    if not names:
        hint = suggest(what, manager.plugins)
        raise UsageError(f"{what!r} is neither a file nor an available plugin nor an importable module{hint}")
    return names


def _check_one(manager: PluginManager, name: str, others: PluginManager, changes: list[str]) -> CheckedPlugin:
    from tracelet.cli.plugin_faults import find_configuration_faults
    from tracelet.host.plugins.process_state import ProcessWatch
    from tracelet.secrets import redact
    from tracelet_hookspecs import PluginState

    info = manager.plugins[name]
    warnings = list(changes)
    if info.state is PluginState.ERROR or not manager.load_plugin(name):
        faults = [info.error or "cannot be loaded"]
    else:
        with ProcessWatch("its constructor") as watch:
            faults, doubts = manager.examine_plugin(name, others)
        warnings += watch.changes
        doubts += _find_unwrapped(manager, name, others)
        faults = [
            *faults,
            *_find_isolation_faults(manager, name),
            *(fault for fault in find_configuration_faults(manager, name) if fault not in faults),
        ]
        warnings += doubts
    kind = info.metadata.type
    return CheckedPlugin(
        name,
        str(info.metadata.version) or None,
        kind.value if kind is not None else None,
        info.origin,
        [redact(fault) for fault in faults],
        [redact(warning) for warning in warnings],
    )


def _find_unwrapped(manager: PluginManager, name: str, others: PluginManager) -> Iterator[str]:
    """Yield which wrappers of data hooks are not called, because the backend is in a process of its own."""
    from tracelet.delivery.process import data_wrappers, is_isolated
    from tracelet.errors import ConfigError

    def isolated(each: str, host: PluginManager) -> bool:
        try:
            return is_isolated(host.plugins[each], host)
        except ConfigError:  # reported elsewhere
            return False

    known = {**dict.fromkeys(others.plugins, others), **dict.fromkeys(manager.plugins, manager)}
    if hooks := data_wrappers(manager.plugins[name]):
        apart = [repr(each) for each, host in known.items() if each != name and isolated(each, host)]
        such = f": {', '.join(apart)}" if apart else ""
        yield (
            f"its wrapper of {', '.join(hooks)} is not called for a backend in a process of its own"
            f' (isolation = "process"){such}'
        )
    if isolated(name, manager):
        for each, host in known.items():
            if each != name and (hooks := data_wrappers(host.plugins[each])):
                yield (
                    f"the wrapper of {', '.join(hooks)} of plugin {each!r} is not called for it, because it is in a"
                    ' process of its own (isolation = "process")'
                )


def _find_isolation_faults(manager: PluginManager, name: str) -> Iterator[str]:
    """Yield the reasons why a plugin cannot run in the separate process that it requests."""
    from tracelet.delivery.process import check_isolation, is_isolated
    from tracelet.errors import TraceletError

    info = manager.plugins[name]
    try:
        if is_isolated(info, manager):
            check_isolation(info, manager)
    except (TraceletError, ValueError) as error:
        yield str(error)


def _print(screen: Screen, checked: list[CheckedPlugin]) -> None:
    from tracelet.cli.views.formatting import pluralize, shorten_path

    for one in checked:
        good = not one.faults
        mark = ("ok", "green") if good else ("faulty", "bold red")
        about = " ".join(filter(None, (one.version, one.type)))
        screen.line(
            mark,
            " ",
            (one.name, "bold"),
            f" {about}" if about else "",
            (f"  {shorten_path(one.origin)}", "dim"),
        )
        for fault in one.faults:
            screen.line(("- ", "red"), fault, indent=2)
        for warning in one.warnings:
            screen.line(("- warning: ", "yellow"), warning, indent=2)
    faults = sum(len(one.faults) for one in checked)
    if faults:
        screen.line((f"{pluralize(faults, 'fault')} in {pluralize(len(checked), 'plugin')}", "bold red"))
