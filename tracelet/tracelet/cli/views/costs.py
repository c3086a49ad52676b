"""What plugins have cost, and what all of tracelet took, for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

from tracelet.cli.views.numbers import count, duration, number
from tracelet.cli.views.screen import state

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen

TELLING: Final = (
    10.0  # seconds from which on a share says something: what plugins take to start counts for less
)


def print_costs(
    screen: Screen, plugins: Mapping[str, Mapping[str, Any]], overhead: Mapping[str, Any]
) -> None:
    """Print what each plugin that was at work has cost, and what all of tracelet took of the program's time."""
    rows = list(_cost_rows(screen, plugins))
    if rows:
        screen.blank()
        heads = ("plugin", "type", "calls", "errors", "wall", "cpu", "state")
        screen.table(
            heads,
            rows,
            right=("calls", "errors", "wall", "cpu"),
            whole=("plugin", "type", "state"),
            optional=("type", "cpu", "wall"),
        )
        screen.blank()
    if overhead:
        screen.field("overhead", *_overhead(overhead))


def _overhead(overhead: Mapping[str, Any]) -> Iterator[str | tuple[str, str]]:
    taken = overhead["call_s"] + overhead["threads_cpu_s"]
    yield f"{duration(taken)} in all"
    if taken > TELLING * overhead["share"] or overhead["limit"] is not None:
        yield f", {100 * overhead['share']:.2g}% of the program's time"
    if overhead["limit"] is not None:
        yield f" (budget {100 * overhead['limit']:.2g}%)"
    if overhead["us_per_point"]:
        yield (f"; {number(overhead['us_per_point'], 2)} us a point", "dim")
    for shed in overhead["shed"]:
        yield (f"; {shed}", "yellow")


def _cost_rows(screen: Screen, plugins: Mapping[str, Mapping[str, Any]]) -> Iterator[list[str | Text]]:
    for name, plugin in plugins.items():
        errors = int(plugin["errors"])
        word = "ok" if plugin["state"] in ("stopped", "active") else str(plugin["state"])
        yield [
            name,
            plugin["type"] or screen.dash,
            count(int(plugin["calls"])),
            Text(count(errors), "bold red" if errors else "dim"),
            duration(plugin["wall_s"]),
            duration(plugin["cpu_s"]),
            state(word),
        ]
