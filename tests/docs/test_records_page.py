"""The reference of the records names every field that they have."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest

from tracelet.core import plugins

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "records.md").read_text(encoding="utf-8")
PARTS = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", PAGE, flags=re.M | re.S))


IMPORTED = ["ImportedRun", "ImportedPoints", "ImportedFile"]


@pytest.mark.parametrize("name", ["MetricData", "PluginMetadata", "PluginInfo", *IMPORTED])
def test_every_field_is_there(name):
    fields = [field.name for field in attrs.fields(getattr(plugins, name))]
    assert [field for field in fields if not re.search(rf"`{field}\b", PARTS[name])] == []


@pytest.mark.parametrize(
    ("name", "part"),
    [("MetricType", "MetricType"), ("PluginType", "PluginMetadata"), ("PluginState", "PluginInfo")],
)
def test_every_member_is_there(name, part):
    assert [each.name for each in getattr(plugins, name) if f"`{each.name}`" not in PARTS[part]] == []


def test_every_member_of_a_run_is_there():
    from tracelet_hookspecs import RunView

    members = [name for name in vars(RunView) if not name.startswith("_")]
    assert [name for name in members if not re.search(rf"`{name}\b", PARTS["RunView"])] == []
