"""Panels that plugins add to the page of a run, by their hook ``ui_panels``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import islice
from typing import Any, Final

from tracelet.errors import PluginError
from tracelet.host.answers import plain_of, text_of
from tracelet.host.discovery import implementations
from tracelet.host.plugins import PluginManager
from tracelet.messages import describe_value
from tracelet.store import RunRecord

HOOK: Final = "ui_panels"
CHARTS: Final = ("table", "text", "line", "bar", "scatter")
_MOST_PANELS: Final = 50  # of one plugin
_MOST_ROWS: Final = 5000  # of a panel


class Panels:
    """The plugins with panels. They are found when the first run is opened."""

    def __init__(self, manager: PluginManager | None) -> None:
        self._manager = manager
        self._names: list[str] | None = None
        self._lock = threading.Lock()

    def of(self, record: RunRecord) -> list[dict[str, Any]]:
        """Return the panels of a run: ``plugin``, ``title``, ``chart``, ``rows``; or ``plugin`` and ``error``."""
        return [panel for name in self._find() for panel in self._ask(name, record)]

    def _find(self) -> list[str]:
        with self._lock:
            if self._names is None:
                manager = self._manager
                self._names = (
                    [] if manager is None else [*filter(partial(_has_panels, manager), _selected(manager))]
                )
            return self._names

    def _ask(self, name: str, record: RunRecord) -> list[dict[str, Any]]:
        assert self._manager is not None
        accept: Callable[[Any], Any] = partial(check_panels, record=record)
        try:
            found = self._manager.handle(name).call(HOOK, accept=accept, run=record)
        except PluginError as error:
            return [{"plugin": name, "error": str(error)}]
        return [{"plugin": name, **panel} for panel in found]


def _selected(manager: PluginManager) -> list[str]:
    return [manager.real_name(name) for name in manager.select_plugins()]


def _has_panels(manager: PluginManager, name: str) -> bool:
    if not manager.load_plugin(name):
        return False
    hooks = {one.hook for one in implementations(manager.plugins[name].instance)}
    return HOOK in hooks and manager.prepare_plugin(name)


def check_panels(answer: Any, record: RunRecord) -> list[dict[str, Any]]:
    """Return what a plugin answered as plain values. Raises ``TypeError`` or ``ValueError`` that says what is wrong."""
    if answer is None:
        return []
    several = [answer] if isinstance(answer, Mapping) else answer
    if isinstance(several, str) or not isinstance(several, Iterable):
        raise TypeError(f"{HOOK}: expected panels (mappings), found {describe_value(answer)}")
    return [_check_panel(one, record) for one in islice(several, _MOST_PANELS)]


def _check_panel(panel: Any, record: RunRecord) -> dict[str, Any]:
    if not isinstance(panel, Mapping):
        raise TypeError(
            f"{HOOK}: expected a panel (a mapping with title, data and chart), found {describe_value(panel)}"
        )
    title = text_of(panel.get("title", "panel"))
    chart = panel.get("chart", "table")
    chart = dict(chart) if isinstance(chart, Mapping) else {"type": chart}
    if chart.get("type") not in CHARTS:
        raise ValueError(
            f"{HOOK}: panel {title!r}: expected a chart of {', '.join(CHARTS)}, found {chart.get('type')!r}"
        )
    data = panel.get("data", ())
    data = data(record) if callable(data) else data
    if chart["type"] == "text":
        return {"title": title, "chart": chart, "rows": [], "text": text_of(data)}
    if isinstance(data, str | Mapping) or not isinstance(data, Iterable):
        raise TypeError(
            f"{HOOK}: panel {title!r}: expected rows (mappings) as data, found {describe_value(data)}"
        )
    rows = [plain_of(row) for row in islice(data, _MOST_ROWS)]
    if not all(isinstance(row, dict) for row in rows):
        raise TypeError(f"{HOOK}: panel {title!r}: expected rows (mappings) as data")
    return {"title": title, "chart": _check_axes(title, chart), "rows": rows}


def _check_axes(title: str, chart: dict[str, Any]) -> dict[str, Any]:
    if chart["type"] == "table":
        return {"type": "table"}
    y = chart.get("y")
    several = [y] if isinstance(y, str) else list(y) if isinstance(y, list | tuple) else []
    if not isinstance(chart.get("x"), str) or not several:
        raise ValueError(f"{HOOK}: panel {title!r}: expected x and y, the names of columns, in its chart")
    return {"type": chart["type"], "x": chart["x"], "y": [text_of(one) for one in several]}
