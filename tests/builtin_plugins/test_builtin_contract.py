"""What holds for every built-in plugin: metadata, schema, docs, cheap import, no privilege."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tracelet_builtin_plugins
from tracelet_hookspecs import PluginBase, PluginMetadata

ROOT = Path(__file__).parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
ENTRY_POINTS = sorted(
    set(re.findall(r'^(\w+) = "(tracelet_builtin_plugins[\w.]*):(\w+)"$', PYPROJECT, re.MULTILINE))
)
# The packages of others that built-in plugins may import, inside functions.
CLIENTS = {
    "psutil",
    "pynvml",
    "psycopg",
    "cramjam",
    "fsspec",
    "pyarrow",
    "s3fs",
    "grpc",
    "opentelemetry",
    "mlflow",
    "wandb",
    "PIL",
    "numpy",
}
TYPES = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "object": dict,
    "string": str,
}


def classes() -> list[Any]:
    return [
        pytest.param(getattr(importlib.import_module(module), cls), name, id=name)
        for name, module, cls in ENTRY_POINTS
    ]


def test_each_folder_of_plugins_holds_what_the_entry_points_name() -> None:
    packages = Path(tracelet_builtin_plugins.__file__).parent
    found = {
        path.stem
        for kind in ("backends", "collectors", "frameworks", "processors")
        for path in (packages / kind).glob("*")
        if not path.name.startswith("_") and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    assert {name for name, _, _ in ENTRY_POINTS} == found


@pytest.mark.parametrize(("plugin", "name"), classes())
def test_metadata(plugin: type[PluginBase], name: str) -> None:
    metadata = plugin.get_metadata()
    assert isinstance(metadata, PluginMetadata)
    assert metadata.name == name
    assert metadata.version == tracelet_builtin_plugins.VERSION
    assert re.search(rf'^version = "{re.escape(metadata.version)}"$', PYPROJECT, re.MULTILINE)
    assert metadata.description
    assert metadata.author
    assert metadata.capabilities


@pytest.mark.parametrize(("plugin", "name"), classes())
def test_every_option_has_a_type_a_default_and_a_place_in_the_docs(
    plugin: type[PluginBase], name: str
) -> None:
    page = (ROOT / "docs" / "plugins" / f"{name}.md").read_text(encoding="utf-8")
    for option, entry in plugin.get_metadata().config_schema.items():
        assert "default" not in entry or isinstance(entry["default"], TYPES[entry["type"]]), option
        assert entry["description"], option
        assert f"| `{option}` |" in page


@pytest.mark.parametrize(("plugin", "name"), classes())
def test_status_before_the_first_start_is_plain_data(plugin: type[PluginBase], name: str) -> None:
    fresh: Any = plugin()
    json.dumps(fresh.get_status())
    fresh.initialize({})
    json.dumps(fresh.get_status())


@pytest.mark.parametrize("name", ["system", "environment", "jsonl", "tensorboard"])
def test_life_under_a_bare_manager(name: str, started: Any, run: SimpleNamespace) -> None:
    module, cls = next(entry[1:] for entry in ENTRY_POINTS if entry[0] == name)
    plugin = getattr(importlib.import_module(module), cls)()
    hooks = started(plugin)
    hooks.run_started(run=run)
    hooks.log_metric(name="loss", value=0.5, iteration=1, timestamp=2.0, run=run)
    assert hooks.get_status()
    assert (hooks.collect() is None) == (name in ("jsonl", "tensorboard"))
    hooks.stop()
    hooks.initialize(config={})
    hooks.start()
    assert hooks.get_status()


def test_loading_them_imports_nothing_heavy() -> None:
    heavy = [*CLIENTS, "subprocess", "importlib.metadata", "shlex", "platform", "tracelet"]
    program = (
        "import sys, pluggy, attrs, tracelet_hookspecs; before = set(sys.modules)\n"
        + "".join(f"import {module}\n" for _, module, _ in ENTRY_POINTS)
        + f"print([name for name in {heavy} if name in set(sys.modules) - before])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_they_import_only_the_contract_and_the_standard_library() -> None:
    allowed = {*sys.stdlib_module_names, "tracelet_hookspecs", "tracelet_builtin_plugins"}
    for found in pkgutil.walk_packages(tracelet_builtin_plugins.__path__, "tracelet_builtin_plugins."):
        tree = ast.parse(inspect.getsource(importlib.import_module(found.name)))
        top = {name for node in tree.body for name in imported(node)}
        anywhere = {name for node in ast.walk(tree) for name in imported(node)}
        assert top <= allowed, found.name
        own = {"screen", "transcript"} if found.name.endswith(".console.tee") else set()  # its neighbors
        assert anywhere <= allowed | CLIENTS | own, found.name


def imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    return {(node.module or "").partition(".")[0]} if isinstance(node, ast.ImportFrom) else set()
