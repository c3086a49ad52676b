"""``tracelet plugins new``: create a complete plugin package."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from tracelet.cli.options import global_options
from tracelet.cli.output import json_option, show_result
from tracelet.errors import UsageError

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen

NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
#: The methods that each type of plugin has beyond the lifecycle.
BACKEND_METHODS: Final = '''
    def log_metrics(self, points):
        """Receive a batch of points. To return is to accept them; after an exception they are sent again."""
        self.received += len(points)

    def log_metric(self, name, value, iteration):
        """Receive one point. Never called, because there is log_metrics."""

    def log_params(self, params):
        """Receive parameters of the run."""

    def log_artifact(self, local_path, artifact_path=None):
        """Receive a file or folder."""
'''
COLLECTOR_METHODS: Final = '''
    def collect(self):
        """Return measurements. Called at the start, at an interval and at the end."""
        self.received += 1
        return {{"{name}/calls": self.received}}
'''
PROCESSOR_METHODS: Final = '''
    def process_metric(self, metric):
        """Return a metric, several, or None to drop it."""
        self.received += 1
        return metric
'''
FRAMEWORK_METHODS: Final = '''
    def run_started(self, run):
        """Start capturing what the framework reports."""
        self.received += 1

    def run_ended(self, run, outcome):
        """Stop capturing."""
'''
METHODS: Final = {
    "backend": BACKEND_METHODS,
    "collector": COLLECTOR_METHODS,
    "processor": PROCESSOR_METHODS,
    "framework": FRAMEWORK_METHODS,
}
MODULE: Final = '''"""A plugin for tracelet."""

from __future__ import annotations

from tracelet.core.plugins import {base}, PluginMetadata


class {cls}({base}):
    """The {type} {name!r}. All of its methods are called on one thread, one at a time."""

    @classmethod
    def get_metadata(cls):
        return PluginMetadata(
            name="{name}",
            version="0.1.0",
            type="{type}",
            description="",
            requires_tracelet=">={version}",
            config_schema={{"greeting": {{"type": "string", "default": "hello"}}}},
        )

    def initialize(self, config):
        """Receive the configuration, validated against the schema, with defaults filled in."""
        self.received = 0

    def start(self):
        """Open connections and files."""

    def stop(self):
        """Close them."""

    def get_status(self):
        """Return what 'tracelet plugins' and a run's status should show."""
        return {{"received": self.received}}
{methods}'''
PROJECT: Final = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "tracelet-{name}"
version = "0.1.0"
description = "The {type} {name!r} for tracelet"
requires-python = ">=3.10"
# {dependency_note}
dependencies = [{dependencies}]

[project.entry-points."tracelet.plugins"]
{name} = "{module}:{cls}"

{direct_references}[tool.pytest.ini_options]
pythonpath = ["src"]

[tool.hatch.build.targets.wheel]
packages = ["src/{module}"]
"""
TEST: Final = """import tracelet
from {module} import {cls}


def test_it_goes_through_a_run(tmp_path):
    config = {{"strict": True, "plugins": {{"{name}": {{"greeting": "hi"}}}}}}
    plugins = [{cls}{extra_plugins}]
    with tracelet.start_run(dir=tmp_path, plugins=plugins, config=config) as run:
        run.log({{"loss": 0.5}}, step=0)
        run.flush()
        plugin = run.manager.get_plugin_instance("{name}")
    assert plugin.config == {{"greeting": "hi"}}
    assert plugin.received >= 1
"""
README: Final = """# tracelet-{name}

The {type} `{name}` for tracelet.

{install_note}

```console
$ pip install -e . pytest
$ tracelet plugins check {name}
$ tracelet run -p {name} train.py
$ python -m pytest
```
"""
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
        "Install tracelet first, from a clone of its repository (`pip install ./tracelet`): on the package index,"
        "\nthe name belongs to a different project, so `pyproject.toml` does not list it as a dependency. Once this"
        '\npackage is to be published, list the repository there: `"tracelet @ git+REPOSITORY"`.'
    ),
}


@click.command("new")
@click.argument("name")
@click.option(
    "--type",
    "kind",
    type=click.Choice(list(METHODS)),
    default="backend",
    show_default=True,
    help="Type of the plugin.",
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    help="Parent folder of the new package.",
)
@json_option
def new(name: str, kind: str, into: Path) -> None:
    """Create a plugin package, tracelet-NAME, with a class, a test and an entry point."""
    if not NAME.fullmatch(name):
        hint = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        tip = f"; did you mean {hint!r}?" if NAME.fullmatch(hint) else ""
        raise UsageError(f"plugin name: expected lower-case letters, digits and dashes, found {name!r}{tip}")
    folder = into / f"tracelet-{name}"
    if folder.exists():
        raise UsageError(f"{folder} already exists; choose another name, or another folder with --into")
    taken = global_options().manager().plugins.get(name)
    if taken is not None:
        raise UsageError(f"plugin name {name!r} is taken: {taken.origin} has it; choose another name")
    files = _files(name, kind)
    for file, text in files.items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    next_step = f"pip install -e {folder} && tracelet plugins check {name}"
    show_result(
        lambda: {"folder": str(folder), "files": list(files), "next": next_step},
        lambda screen: _print(screen, folder, files, next_step),
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


def _files(name: str, kind: str) -> dict[str, str]:
    import tracelet

    words = {
        "name": name,
        "type": kind,
        "base": f"{kind.capitalize()}Plugin",
        "cls": "".join(part.capitalize() for part in name.split("-")),
        "module": f"tracelet_{name.replace('-', '_')}",
        "version": tracelet.__version__,
        **_choose_dependency(),
        "extra_plugins": ', "jsonl"'
        if kind == "processor"
        else "",  # it is called only if there is a backend
    }
    methods = METHODS[kind].format(**words)
    return {
        "pyproject.toml": PROJECT.format(**words),
        "README.md": README.format(**words),
        f"src/{words['module']}/__init__.py": MODULE.format(**words, methods=methods),
        f"tests/test_{words['module']}.py": TEST.format(**words),
    }
