"""``tracelet plugins new``: a plugin package to begin with, that works as it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import click

from tracelet.errors import UsageError

NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
#: What is special to each type: the base class, the methods, and what a test of it does.
BACKEND_METHODS: Final = '''
    def log_metrics(self, points):
        """Take a batch of points. Returning means that they are taken; raising, that they are sent again."""
        self.taken += len(points)

    def log_metric(self, name, value, iteration):
        """Take one point. Called only where log_metrics is not."""

    def log_params(self, params):
        """Take parameters of the run."""

    def log_artifact(self, local_path, artifact_path=None):
        """Take a file or folder."""
'''
COLLECTOR_METHODS: Final = '''
    def collect(self):
        """Measure. Called at the start, at the interval and at the end."""
        self.taken += 1
        return {{"{name}/measured": self.taken}}
'''
PROCESSOR_METHODS: Final = '''
    def process_metric(self, metric):
        """Return a metric, several, or None to drop it."""
        self.taken += 1
        return metric
'''
FRAMEWORK_METHODS: Final = '''
    def run_started(self, run):
        """Begin to record into the run what the framework reports."""
        self.taken += 1

    def run_ended(self, run, outcome):
        """Stop doing so."""
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
    """The {type} {name!r}. All of its methods run on a thread of its own, one at a time."""

    @classmethod
    def get_metadata(cls):
        return PluginMetadata(
            name="{name}",
            version="0.1.0",
            type="{type}",
            description="",
            config_schema={{"greeting": {{"type": "string", "default": "hello"}}}},
        )

    def initialize(self, config):
        """Take the configuration, checked against the schema, with defaults filled in."""
        self.taken = 0

    def start(self):
        """Open what is needed."""

    def stop(self):
        """Close it."""

    def get_status(self):
        """Say what a person would want to know."""
        return {{"taken": self.taken}}
{methods}'''
PROJECT: Final = """[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "tracelet-{name}"
version = "0.1.0"
description = "The {type} {name!r} for tracelet"
requires-python = ">=3.10"
dependencies = ["tracelet>={version}"]

[project.entry-points."tracelet.plugins"]
{name} = "{module}:{cls}"

[tool.hatch.build.targets.wheel]
packages = ["src/{module}"]
"""
TEST: Final = """import tracelet
from {module} import {cls}


def test_it_goes_through_a_run(tmp_path):
    config = {{"strict": True, "plugins": {{"{name}": {{"greeting": "hi"}}}}}}
    with tracelet.start_run("test", dir=tmp_path, plugins=[{cls}{beside}], config=config) as run:
        run.log({{"loss": 0.5}}, step=0)
        run.flush()
        plugin = run.manager.get_plugin_instance("{name}")
    assert plugin.config == {{"greeting": "hi"}}
    assert plugin.taken >= 1
"""
README: Final = """# tracelet-{name}

```console
$ pip install -e .
$ tracelet plugins check {name}
$ tracelet run -p {name} train.py
$ python -m pytest
```
"""


@click.command("new")
@click.argument("name")
@click.option(
    "--type",
    "kind",
    type=click.Choice(list(METHODS)),
    default="backend",
    show_default=True,
    help="What it is.",
)
@click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), default=".", help="The folder to put it into."
)
def new(name: str, kind: str, into: Path) -> None:
    """Write a new plugin: a package named tracelet-NAME with a class, a test and an entry point."""
    from tracelet.cli.options import global_options
    from tracelet.cli.views.screen import Screen

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
    screen = Screen()
    screen.line(("made ", "green"), (str(folder), "bold"))
    for file in files:
        screen.line(file, indent=2)
    screen.line(("next: ", "dim"), f"pip install -e {folder} && tracelet plugins check {name}")


def _files(name: str, kind: str) -> dict[str, str]:
    import tracelet

    words = {
        "name": name,
        "type": kind,
        "base": f"{kind.capitalize()}Plugin",
        "cls": "".join(part.capitalize() for part in name.split("-")),
        "module": f"tracelet_{name.replace('-', '_')}",
        "version": tracelet.__version__,
        "beside": ', "jsonl"' if kind == "processor" else "",  # it is asked only where there is a backend
    }
    methods = METHODS[kind].format(**words)
    return {
        "pyproject.toml": PROJECT.format(**words),
        "README.md": README.format(**words),
        f"src/{words['module']}/__init__.py": MODULE.format(**words, methods=methods),
        f"tests/test_{words['module']}.py": TEST.format(**words),
    }
