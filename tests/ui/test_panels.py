"""Panels of plugins: a real plugin file in a project, and what the API says of it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.ui.sample_runs import PLAIN

import tracelet
from tracelet.store import open_store
from tracelet.ui.panels import check_panels

PLUGINS = """
import tracelet

@tracelet.hookimpl
def ui_panels(run):
    rows = [{"step": step, "double": 2 * value} for step, value, _ in run.metric("loss")]
    yield {"title": "Doubled", "data": rows, "chart": {"type": "line", "x": "step", "y": "double"}}
    yield {"title": "Who", "data": lambda record: [{"name": record.name}]}

class Broken:
    @tracelet.hookimpl
    def ui_panels(self, run):
        raise KeyError("nothing here")

tracelet_plugins = [Broken()]
"""


def test_panels_of_a_project(
    tmp_path: Path, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tracelet.toml").write_text("")
    (tmp_path / "tracelet_plugins.py").write_text(PLUGINS)
    with tracelet.start_run("first", dir=tmp_path / ".tracelet", plugins=PLAIN) as run:
        run.log_metric("loss", 2.0, step=3)
    monkeypatch.chdir(tmp_path)
    server = serve(tmp_path)
    with urllib.request.urlopen(f"{server.address}/api/v1/runs/{run.id}/panels", timeout=30) as answer:
        panels = json.load(answer)["panels"]
    found = {panel.get("title", "error"): panel for panel in panels}
    assert found["Doubled"]["rows"] == [{"step": 3, "double": 4.0}]
    assert found["Doubled"]["chart"] == {"type": "line", "x": "step", "y": ["double"]}
    assert found["Who"]["rows"] == [{"name": "first"}]
    assert found["Who"]["chart"] == {"type": "table"}
    assert "nothing here" in found["error"]["error"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (7, "expected panels"),
        (["x"], "expected a panel"),
        ([{"title": "a", "chart": "pie"}], "'pie'"),
        ([{"title": "a", "chart": {"type": "line", "x": "step"}}], "expected x and y"),
        ([{"title": "a", "data": 3}], "expected rows"),
        ([{"title": "a", "data": [1, 2]}], "expected rows"),
    ],
)
def test_mistake_in_a_panel_is_explained(samples: Path, answer: Any, message: str) -> None:
    record = open_store(samples).run("digits-1")
    with pytest.raises((TypeError, ValueError), match=message):
        check_panels(answer, record)
