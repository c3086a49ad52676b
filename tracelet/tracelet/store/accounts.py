"""What the plugins of a run have cost, in all of its processes together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

_ADDED: Final = ("calls", "errors", "wall_s", "cpu_s")


def summed(several: Iterable[Mapping[str, Any] | None]) -> dict[str, dict[str, Any]]:
    """Return plugins by name: what was counted is added up, of all else an error counts most, then the last word."""
    total: dict[str, dict[str, Any]] = {}
    for accounts in several:
        for name, account in (accounts or {}).items():
            known = total.get(name, {})
            said = known if known.get("state") == "error" else account
            total[name] = {**said, **{key: known.get(key, 0) + account.get(key, 0) for key in _ADDED}}
    return total
