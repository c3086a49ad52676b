"""A value that cannot be a plugin is reported with its name and where it comes from, whichever way it comes in."""

from __future__ import annotations

import pytest

EXPECTED = "expected a class, an instance or a module with hook implementations, found "
VALUES = """
TEXT = "a text"
NOTHING = None
NUMBER = 3
LIST = []
OBJECT = object()
def function(): ...
class Plain: ...
PLAIN = Plain()
"""
GOOD = """
import tracelet

class Good:
    @tracelet.hookimpl
    def collect(self):
        return {"a": 1}

@tracelet.hookimpl
def collect():
    return {"b": 1}
"""
FOUND = {
    "TEXT": "'a text'",
    "NOTHING": "None",
    "NUMBER": "3",
    "LIST": "[]",
    "OBJECT": "<object object",
    "function": "the function function()",
    "Plain": "the class Plain, which has none; decorate a method with @tracelet.hookimpl, or subclass",
    "PLAIN": "Plain",
}


def test_entry_points_of_values_that_are_no_plugins(look, installed):
    points = {name.lower(): f"stranger_values:{name}" for name in FOUND}
    points |= {"good": "stranger_good:Good", "package": "stranger_package", "hook": "stranger_good:collect"}
    del points["plain"]
    points |= {"class": "stranger_values:Plain", "plain": "stranger_values:PLAIN"}
    installed("tracelet-odd", points, {"stranger_values.py": VALUES, "stranger_good.py": GOOD})
    installed("tracelet-package", {}, {"stranger_package.py": "__path__ = []\n"})
    found = look("train.py", ",".join(points))["plugins"]
    assert found["good"][1:] == ["DISCOVERED", "2.5", None]  # the siblings are listed
    assert set(points) <= set(found)


@pytest.mark.parametrize("value", FOUND)
def test_an_entry_point_is_named_with_its_distribution(project, installed, value):
    installed("tracelet-odd", {"odd": f"stranger_values:{value}"}, {"stranger_values.py": VALUES})
    done = project.tracelet("plugins", "check", "odd", status=1, environ={"COLUMNS": "1000"})
    start = f"plugin 'odd' (entry point of tracelet-odd 2.5): it names 'stranger_values:{value}': "
    assert start + EXPECTED + FOUND[value] in done.stdout


def test_an_entry_point_of_a_package_or_a_decorated_function(project, installed):
    files = {"stranger_package.py": "__path__ = []\n", "stranger_good.py": GOOD}
    installed("tracelet-odd", {"empty": "stranger_package", "hook": "stranger_good:collect"}, files)
    wide = {"COLUMNS": "1000"}
    done = project.tracelet("plugins", "check", "empty", status=1, environ=wide)
    expected = "package stranger_package: expected hook implementations or one plugin class, found neither"
    assert f"(entry point of tracelet-odd 2.5): it names 'stranger_package': {expected}" in done.stdout
    done = project.tracelet("plugins", "check", "hook", status=1, environ=wide)
    assert "found the function collect(); name its module, stranger_good" in done.stdout


@pytest.mark.parametrize("value", FOUND)
def test_minus_p_of_a_value(project, value):
    project.write("values_of_mine.py", VALUES)
    done = project.tracelet("plugins", "-p", f"values_of_mine:{value}", environ={"COLUMNS": "1000"})
    name = f"values_of_mine:{value}"
    assert f"plugin {name!r} (module {name}): {EXPECTED}{FOUND[value]}" in done.stdout


@pytest.mark.parametrize("value", ["text", None, 3, [], object(), int, lambda: None])
def test_a_value_registered_by_hand(manager, value):
    info = manager.register_plugin(value, "odd")
    assert info.state.name == "ERROR"
    assert info.error.startswith(f"plugin 'odd' (by hand): {EXPECTED}")
