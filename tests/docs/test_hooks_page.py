"""The reference of the hooks says what the hookspecs say, and its examples fit them."""

from __future__ import annotations

import inspect
import runpy
import types
from pathlib import Path

import pluggy
import pytest

import tracelet_hookspecs

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
generator = runpy.run_path(str(REFERENCE / "make_hooks.py"))
EXAMPLES = {
    node.name: docstring.partition(".. code-block:: python")[2] for node, docstring in generator["hooks"]()
}


def test_the_page_is_what_the_hookspecs_say():
    fresh = generator["page"]()
    assert (REFERENCE / "hooks.md").read_text() == fresh, "run: python docs/reference/make_hooks.py"


def test_every_hookspec_is_there():
    manager = pluggy.PluginManager("tracelet")
    manager.add_hookspecs(tracelet_hookspecs.specs)
    assert EXAMPLES.keys() == vars(manager.hook).keys() - {"_plugins"}


@pytest.mark.parametrize("hook", EXAMPLES)
def test_its_example_is_a_whole_implementation(hook):
    plugin = types.ModuleType("example")
    plugin.tracelet = tracelet_hookspecs
    exec(inspect.cleandoc(EXAMPLES[hook]), vars(plugin))
    manager = pluggy.PluginManager("tracelet")
    manager.add_hookspecs(tracelet_hookspecs.specs)
    manager.register(plugin)
    manager.check_pending()
    assert [caller.name for caller in manager.get_hookcallers(plugin)] == [hook]
