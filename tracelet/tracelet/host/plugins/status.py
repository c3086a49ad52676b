"""What the host reports about its plugins."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tracelet.errors import PluginError
from tracelet.host.answers import status_of
from tracelet.host.plugins.handle import PluginHandle
from tracelet.host.plugins.lifecycle import Lifecycle
from tracelet.host.worker import Task
from tracelet.secrets import redact
from tracelet_hookspecs import PluginInfo
from tracelet_hookspecs import PluginState as S

HOOK = "get_status"


def describe_all(plugins: Mapping[str, PluginInfo], lifecycle: Lifecycle) -> dict[str, Any]:
    """Return counts by state and a description of each plugin."""
    infos = dict(plugins)
    states = [info.state for info in infos.values()]
    answers = _collect_answers(infos, lifecycle)
    return {
        "discovered": len(states),
        "loaded": sum(state >= S.LOADED for state in states),
        "active": states.count(S.ACTIVE),
        "errors": states.count(S.ERROR),
        "plugins": {
            name: {**_describe(info, lifecycle.table.handles.get(name)), **answers.get(name, {})}
            for name, info in infos.items()
        },
    }


def accounts(plugins: Mapping[str, PluginInfo], lifecycle: Lifecycle) -> dict[str, dict[str, Any]]:
    """Describe each plugin without calling it."""
    handle = lifecycle.table.handles
    return {name: _describe(info, handle.get(name)) for name, info in dict(plugins).items()}


def _describe(info: PluginInfo, handle: PluginHandle | None) -> dict[str, Any]:
    """Describe one plugin: its state, its metadata, its costs."""
    kind = info.metadata.type
    description: dict[str, Any] = {
        "state": info.state.name.lower(),
        "type": kind.value if kind is not None else None,
        "version": str(info.metadata.version),
        "origin": info.origin,
    }
    if info.unavailable:
        description["unavailable"] = redact(info.unavailable)
    if info.error:
        description["error"] = redact(info.error)
    if handle is not None and handle.info is info:
        description["costs"] = {step: cost.as_dict() for step, cost in sorted(handle.costs.items())}
    return description


def _collect_answers(infos: Mapping[str, PluginInfo], lifecycle: Lifecycle) -> dict[str, dict[str, Any]]:
    """Ask all running plugins at the same time, so that a slow one does not delay the others."""
    asked: dict[str, tuple[PluginHandle, Task, float]] = {}
    answers: dict[str, dict[str, Any]] = {}
    for name, info in infos.items():
        if info.state in (S.INITIALIZED, S.ACTIVE) and name in lifecycle.table.instances:
            try:
                asked.update(_ask(name, lifecycle.table.handle(name), lifecycle))
            except PluginError as error:
                answers[name] = {"status_error": redact(str(error))}
    for name, (handle, task, end) in asked.items():
        answers[name] = _await_answer(handle, task, end)
    return answers


def _ask(
    name: str, handle: PluginHandle, lifecycle: Lifecycle
) -> dict[str, tuple[PluginHandle, Task, float]]:
    lifecycle.ensure_registered(handle)
    if not handle.implements(HOOK):
        return {}
    task = handle.post(HOOK, accept=status_of)
    if task is None:
        raise PluginError(f"plugin {name!r}: {HOOK} not called, because {handle.worker.stuck} never returned")
    return {name: (handle, task, time.monotonic() + handle.deadline(HOOK))}


def _await_answer(handle: PluginHandle, task: Task, end: float) -> dict[str, Any]:
    try:
        return {"status": handle.answer(task, max(0.0, end - time.monotonic()))}
    except PluginError as error:
        return {"status_error": redact(str(error))}
