"""What the host says of its plugins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracelet.core.plugins.lifecycle import Lifecycle
from tracelet.core.secrets import mask, redact
from tracelet.errors import PluginError
from tracelet_hookspecs import PluginInfo
from tracelet_hookspecs import PluginState as S


def of_all(plugins: Mapping[str, PluginInfo], lifecycle: Lifecycle) -> dict[str, Any]:
    """Return counts by state and a description of each plugin."""
    states = [info.state for info in plugins.values()]
    return {
        "discovered": len(states),
        "loaded": sum(state >= S.LOADED for state in states),
        "active": states.count(S.ACTIVE),
        "errors": states.count(S.ERROR),
        "plugins": {name: of_one(info, lifecycle) for name, info in plugins.items()},
    }


def of_one(info: PluginInfo, lifecycle: Lifecycle) -> dict[str, Any]:
    """Describe one plugin: its state, what it says of itself, what it costs."""
    kind = info.metadata.type
    described: dict[str, Any] = {
        "state": info.state.name.lower(),
        "type": kind.value if kind is not None else None,
        "version": info.metadata.version,
        "origin": info.origin,
    }
    if info.error:
        described["error"] = redact(info.error)
    hosted = lifecycle.hosted.get(info.name)
    if hosted is not None and hosted.info is info:
        described["costs"] = {step: cost.as_dict() for step, cost in sorted(hosted.costs.items())}
    if info.state in (S.INITIALIZED, S.ACTIVE) and info.name in lifecycle.instances:
        described.update(_own(info, lifecycle))
    return described


def _own(info: PluginInfo, lifecycle: Lifecycle) -> dict[str, Any]:
    try:
        hosted = lifecycle.register(info)
        if not hosted.implements("get_status"):
            return {}
        answer = hosted.call("get_status")
        return {"status": mask(answer)}
    except PluginError as error:
        return {"status_error": str(error)}
