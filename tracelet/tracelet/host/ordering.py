"""Dependency order, by graphlib."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from graphlib import CycleError, TopologicalSorter


class CircularDependencyError(ValueError):
    """Names that need each other in a circle. ``cycle`` starts and ends with the same one."""

    def __init__(self, cycle: list[str]) -> None:
        self.cycle = cycle
        super().__init__("Circular dependency detected: " + " -> ".join(cycle))


def order(names: Iterable[str], dependencies_of: Callable[[str], Iterable[str]]) -> list[str]:
    """Return the names and all that they depend on, dependencies first, otherwise in the given order.

    Raises :class:`CircularDependencyError` with the whole cycle.
    """
    graph: dict[str, list[str]] = {}
    given = list(dict.fromkeys(names))
    _reach(given, dependencies_of, graph)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib lists a cycle from dependency to dependent; people read "a needs b" the other way.
        raise CircularDependencyError(_told_from(given, error.args[1][::-1])) from None
    placed: dict[str, None] = {}
    for name in given:
        _place(name, graph, placed)
    return list(placed)


def _told_from(given: list[str], cycle: list[str]) -> list[str]:
    """Turn a cycle so that it starts with the name that was given first, where one of them is in it."""
    members = cycle[1:]
    start = next((name for name in given if name in members), members[-1])
    at = members.index(start)
    return [*members[at:], *members[: at + 1]]


def _reach(
    given: list[str], dependencies_of: Callable[[str], Iterable[str]], graph: dict[str, list[str]]
) -> None:
    due = list(given)
    while due:
        name = due.pop()
        if name not in graph:
            graph[name] = list(dict.fromkeys(dependencies_of(name)))
            due.extend(graph[name])


def _place(name: str, graph: dict[str, list[str]], placed: dict[str, None]) -> None:
    """Put a name after all that it needs. A stack of its own: a chain of thousands must not overflow Python's."""
    stack = [(name, iter(graph[name]))]
    while stack:
        current, needs = stack[-1]
        need = next((n for n in needs if n not in placed), None)
        if need is None:
            placed[current] = None
            stack.pop()
        else:
            stack.append((need, iter(graph[need])))
