"""``tracelet plugins new``: create a complete plugin package."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from tracelet.cli import plugin_templates as templates
from tracelet.cli.options import global_options
from tracelet.cli.output import json_option, show_result
from tracelet.errors import UsageError

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen

NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
KINDS: Final = tuple(templates.MODULES)
_OWN_MODULES: Final = ("conformance",)  # of the package itself


class Plugin(NamedTuple):
    """One plugin of the new package: its name and type, the class, and the module that it is in."""

    name: str
    kind: str
    cls: str
    module: str


#: If tracelet was installed from a repository, the plugin can name that repository as its dependency.
FROM_REPOSITORY: Final = {
    "dependency_note": 'On the package index, "tracelet" is a different project: this names the real one.',
    "dependencies": '"tracelet @ {url}"',
    "direct_references": "[tool.hatch.metadata]\nallow-direct-references = true\n\n",
    "install_note": "`pip` installs tracelet from its repository, as `pyproject.toml` says.",
}
FROM_FOLDER: Final = {
    "dependency_note": 'Not "tracelet", which is a different project on the package index: see README.md.',
    "dependencies": "",
    "direct_references": "",
    "install_note": (
        "Install tracelet first, from a clone of its repository (`pip install './tracelet[testing]'`): on the package"
        "\nindex, the name belongs to a different project, so `pyproject.toml` does not list it as a dependency."
        '\nOnce this package is to be published, list the repository there: `"tracelet @ git+REPOSITORY"`.'
    ),
}


@click.command("new")
@click.argument("name", required=False)
@click.option("--type", "kind", type=click.Choice(KINDS), help="Type of the plugin.  [default: backend]")
@click.option("--package", metavar="NAME", help="Create a package of several plugins, tracelet-NAME.")
@click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="NAME:TYPE",
    help="A plugin of that package. Repeatable.",
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    help="Parent folder of the new package.",
)
@json_option
def new(
    name: str | None, kind: str | None, package: str | None, plugins: tuple[str, ...], into: Path
) -> None:
    """Create a plugin package, tracelet-NAME, with a class that works, its tests and an entry point.

    The tests check every promise of the contract, and pass as they are.
    """
    package, wanted = _read_arguments(name, kind, package, plugins)
    folder = into / f"tracelet-{package}"
    if folder.exists():
        raise UsageError(f"{folder} already exists; choose another name, or another folder with --into")
    _refuse_taken(each.name for each in wanted)
    files = _files(package, wanted)
    for file, text in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    next_step = (
        f"pip install -e '{_as_path(folder)}[test]' && tracelet plugins check {wanted[0].name} --conformance"
    )
    show_result(
        lambda: {"folder": str(folder), "files": list(files), "next": next_step},
        lambda screen: _print(screen, folder, files, next_step),
    )


def _as_path(folder: Path) -> str:
    """Return a folder as pip accepts it: a bare name would be one of the package index."""
    return str(folder) if folder.is_absolute() else f"./{folder}"


def _read_arguments(
    name: str | None, kind: str | None, package: str | None, plugins: Sequence[str]
) -> tuple[str, list[Plugin]]:
    """Return the package's name and its plugins. Raises :class:`UsageError` for what does not fit together."""
    if package is None:
        if name is None:
            raise UsageError("expected the plugin's NAME, or --package NAME with --plugin NAME:TYPE")
        if plugins:
            raise UsageError("--plugin belongs to --package NAME, which names the package; add it")
        _check_name(name, "plugin name")
        return name, [Plugin(name, kind or "backend", _class_name(name), _package_module(name))]
    if name is not None or kind is not None:
        extra = "NAME" if name is not None else "--type"
        raise UsageError(
            f"{extra} and --package exclude each other; name each plugin with --plugin NAME:TYPE"
        )
    if not plugins:
        raise UsageError("--package: expected its plugins as well, for example --plugin lines:backend")
    _check_name(package, "package name")
    wanted = [_read_plugin(text, package) for text in plugins]
    names = [each.name for each in wanted]
    if repeated := next((each for each in names if names.count(each) > 1), None):
        raise UsageError(f"--plugin {repeated}: named twice; each plugin needs a name of its own")
    return package, wanted


def _read_plugin(text: str, package: str) -> Plugin:
    name, colon, kind = text.partition(":")
    if not colon or kind not in KINDS:
        from tracelet.cli.diagnostics import suggest

        raise UsageError(
            f"--plugin: expected NAME:TYPE with one of the types {', '.join(KINDS)}, found {text!r}"
            f"{suggest(kind, KINDS)}"
        )
    _check_name(name, "plugin name")
    module = name.replace("-", "_")
    if keyword.iskeyword(module) or module in _OWN_MODULES:
        module += "_plugin"
    return Plugin(name, kind, _class_name(name), f"{_package_module(package)}.{module}")


def _check_name(name: str, what: str) -> None:
    if not NAME.fullmatch(name):
        hint = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        tip = f"; did you mean {hint!r}?" if NAME.fullmatch(hint) else ""
        raise UsageError(f"{what}: expected lower-case letters, digits and dashes, found {name!r}{tip}")


def _class_name(name: str) -> str:
    """Return the name of a plugin's class; one that begins with Test would look like tests to pytest."""
    cls = "".join(part.capitalize() for part in name.split("-"))
    return f"The{cls}" if cls.startswith("Test") else cls


def _package_module(package: str) -> str:
    return f"tracelet_{package.replace('-', '_')}"


def _refuse_taken(names: Iterable[str]) -> None:
    known = global_options().manager().plugins
    for name in names:
        if name in known:
            raise UsageError(
                f"plugin name {name!r} is taken: {known[name].origin} has it; choose another name"
            )


def _print(screen: Screen, folder: Path, files: Iterable[str], next_step: str) -> None:
    screen.line(("created ", "green"), (str(folder), "bold"))
    for file in files:
        screen.line(file, indent=2)
    screen.line(("next: ", "dim"), next_step)


def _choose_dependency() -> dict[str, str]:
    """Return the texts that say where this tracelet can be installed from."""
    import json
    from importlib import metadata

    try:
        origin = json.loads(metadata.distribution("tracelet").read_text("direct_url.json") or "{}")
        vcs = origin["vcs_info"]
        url = f"{vcs['vcs']}+{origin['url']}@{vcs['commit_id']}"
    except (metadata.PackageNotFoundError, ValueError, KeyError, TypeError):
        return FROM_FOLDER
    return {**FROM_REPOSITORY, "dependencies": FROM_REPOSITORY["dependencies"].format(url=url)}


def _files(package: str, plugins: Sequence[Plugin]) -> dict[str, str]:
    """Return the text of each file of the package."""
    module = _package_module(package)
    modules = {f"src/{each.module.replace('.', '/')}.py": _module_text(each) for each in plugins}
    if plugins[0].module == module:
        modules = {f"src/{module}/__init__.py": modules[f"src/{module}.py"]}
    else:
        modules = {f"src/{module}/__init__.py": f'"""Plugins for tracelet: {package}."""\n', **modules}
    words = {
        "package": package,
        "module": module,
        "checks": "\n".join(
            f"$ tracelet plugins check {each.name}{option}"
            for each in plugins
            for option in ("", " --conformance")
        ),
        "options": " ".join(f"-p {each.name}" for each in plugins),
        "listed": ", ".join(f"{each.name} ({each.kind})" for each in plugins),
        "entries": "\n".join(f'{each.name} = "{each.module}:{each.cls}"' for each in plugins),
        "suite_entries": "\n".join(
            f'{each.name} = "{module}.conformance:Test{each.cls}"' for each in plugins
        ),
        **_choose_dependency(),
    }
    return {
        "pyproject.toml": templates.PROJECT.format(**words),
        "README.md": templates.README.format(**words),
        **modules,
        f"src/{module}/conformance.py": _conformance_text(plugins),
        f"tests/test_{module}.py": _test_text(module, plugins),
    }


def _module_text(plugin: Plugin) -> str:
    import tracelet

    words = {"name": plugin.name, "cls": plugin.cls, "type": plugin.kind, "version": tracelet.__version__}
    about = {"schema": templates.SCHEMAS[plugin.kind], "description": templates.DESCRIPTIONS[plugin.kind]}
    metadata = templates.METADATA.format(**words, **about)
    return templates.MODULES[plugin.kind].format(**words, metadata=metadata)


def _test_text(module: str, plugins: Sequence[Plugin]) -> str:
    suites = sorted(f"Test{each.cls}" for each in plugins)
    settings = ", ".join(
        f'"{each.name}": {{"path": str(tmp_path / "{each.name}.db")}}'
        for each in plugins
        if each.kind == "backend"
    )
    return templates.TEST.format(
        module=module,
        imports="\n".join(_class_imports(plugins)),
        suites=", ".join(suites),
        suite_names=", ".join(f'"{suite}"' for suite in suites),
        listed="the plugin" if len(plugins) == 1 else "the plugins",
        classes=", ".join(each.cls for each in plugins),
        names=", ".join(f'"{each.name}"' for each in plugins),
        configuration=f'    config = {{"plugins": {{{settings}}}}}\n' if settings else "",
        config=", config=config" if settings else "",
    )


def _class_imports(plugins: Sequence[Plugin]) -> list[str]:
    return sorted(f"from {each.module} import {each.cls}" for each in plugins)


def _conformance_text(plugins: Sequence[Plugin]) -> str:
    kinds = {each.kind for each in plugins}
    bases = sorted(f"{kind.capitalize()}Conformance" for kind in kinds)
    standard = ["import json", "import sqlite3", ""] if "backend" in kinds else []
    testing = sorted([*bases, *(["FarSide"] if "backend" in kinds else [])])
    imports = [*standard, _import_line("tracelet.testing", testing)]
    imports += ["", *_class_imports(plugins)]
    suites = (
        templates.SUITES[each.kind].format(name=each.name, cls=each.cls, module=each.module)
        for each in plugins
    )
    return templates.CONFORMANCE.format(imports="\n".join(imports), suites="\n\n".join(suites))


def _import_line(module: str, names: Sequence[str]) -> str:
    line = f"from {module} import {', '.join(names)}"
    if len(line) <= 88:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in names), ")"])
