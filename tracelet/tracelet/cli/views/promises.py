"""The report of a conformance suite: a table of promises, then the reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text

if TYPE_CHECKING:
    from tracelet.cli.views.screen import Screen

_STYLES: Final = {
    "kept": "green",
    "accepted": "cyan",
    "broken": "bold red",
    "limit": "yellow",
    "kept limit": "yellow",
    "not applicable": "dim",
}
_WORDS: Final = {"not applicable": "n/a", "kept limit": "kept"}
_TITLES: Final = {
    "broken": "Broken",
    "limit": "Limits that the plugin declares",
    "kept limit": "Declared as limits, but kept: remove them from limits",
    "accepted": "Accepted by the plugin, but not compared with the far side",
    "not applicable": "Not applicable",
}


def print_promises(
    screen: Screen, promises: Sequence[Mapping[str, Any]], counts: Mapping[str, int], suite: str
) -> None:
    """Print the table of promises with a column for each isolation, and why one is not kept."""
    rows = [
        (
            Text(each["promise"], "bold"),
            each["text"],
            _cell(screen, each["thread"]),
            _cell(screen, each["process"]),
        )
        for each in promises
        if not _is_listed_below(each)
    ]
    screen.blank()
    screen.line((suite, "dim"))
    screen.blank()
    heads = ("promise", "", "thread", "process")
    screen.table(heads, rows, whole=("promise", "thread", "process"))
    for outcome, title in _TITLES.items():
        _print_reasons(screen, title, list(_reasons(promises, outcome)), _STYLES[outcome])
    screen.blank()
    limits = "limit" if counts.get("limit") == 1 else "limits"
    words = {**{key: key for key in ("kept", "accepted", "broken")}, "limit": limits}
    words["not applicable"] = "not applicable"
    counts = {**counts, "kept": counts.get("kept", 0) + counts.get("kept limit", 0)}
    total = [f"{counts[key]} {word}" for key, word in words.items() if counts.get(key)]
    screen.line((", ".join(total), "bold red" if counts.get("broken") else "bold green"))


def _is_listed_below(promise: Mapping[str, Any]) -> bool:
    """Say whether a promise applies nowhere: it would only make the table longer."""
    results = [promise[isolation] for isolation in ("thread", "process") if promise[isolation] is not None]
    return all(result["outcome"] == "not applicable" for result in results)


def _cell(screen: Screen, result: Mapping[str, Any] | None) -> Text:
    if result is None:
        return Text(screen.dash, "dim")
    outcome = result["outcome"]
    return Text(_WORDS.get(outcome, outcome), _STYLES.get(outcome, ""))


def _reasons(promises: Sequence[Mapping[str, Any]], outcome: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each reason with the promises that it concerns."""
    found: dict[str, list[str]] = {}
    for each in promises:
        for isolation in ("thread", "process"):
            result = each[isolation]
            if result is not None and result["outcome"] == outcome and not _is_limit_elsewhere(each, outcome):
                names = found.setdefault(result["why"], [])
                if each["promise"] not in names:
                    names.append(each["promise"])
                if outcome == "not applicable":
                    break  # one row for each promise
    yield from found.items()


def _is_limit_elsewhere(promise: Mapping[str, Any], outcome: str) -> bool:
    """Say whether a declared limit that is kept in one isolation is a limit in the other one."""
    results = [promise[isolation] for isolation in ("thread", "process") if promise[isolation] is not None]
    return outcome == "kept limit" and any(result["outcome"] == "limit" for result in results)


def _print_reasons(screen: Screen, title: str, reasons: list[tuple[str, list[str]]], style: str) -> None:
    if not reasons:
        return
    screen.blank()
    screen.line((title, f"bold {style}"))
    for why, names in reasons:
        screen.line((", ".join(names), "bold"), indent=2)
        for line in why.splitlines() or [""]:
            screen.line(line, indent=4)
