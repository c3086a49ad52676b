"""What a run's plugins have cost, as the journal keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tracelet.run.run import Run

_IDLE: Final = ("discovered", "loaded", "validated")  # states of plugins that did nothing here
_COSTS: Final = ("calls", "errors", "wall_s", "cpu_s")


def accounts(plugins: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what each plugin that was at work is and has cost, all of its hooks together; seconds."""
    return {
        name: {
            **{key: plugin.get(key) for key in ("type", "version", "state", "error")},
            **{key: sum(cost[key] for cost in plugin.get("costs", {}).values()) for key in _COSTS},
        }
        for name, plugin in plugins.items()
        if plugin["state"] not in _IDLE and (plugin.get("costs") or plugin.get("error"))
    }


def record(run: Run) -> None:
    """Write the accounts of a run into its journal, and what tracelet took of the program's time."""
    if run.host.manager is not None:
        known = run.host.manager.accounts()
        run.writer.event("plugins", {"plugins": accounts(known), "overhead": run.budget.status()})
