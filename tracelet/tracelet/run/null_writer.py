"""A journal that nothing is written to: for runs that are disabled, and ranks that do not record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracelet.journal import Writer, as_number, as_step, flatten


class NullWriter(Writer):
    """A journal that nothing is written to. Values are still checked: a mistake shows in every mode."""

    def __init__(self) -> None:
        """Open nothing."""

    @property
    def id(self) -> str:
        """No writer has this id."""
        return "none"

    @property
    def recorded(self) -> int:
        """Nothing is."""
        return 0

    @property
    def dropped(self) -> dict[str, int]:
        """Nothing is lost that was meant to be kept."""
        return {}

    def point(
        self, name: str, value: Any, step: Any = None, *, type: str = "scalar", source: str | None = None
    ) -> None:
        """Check a value and let it go."""
        as_number(value, name)
        if step is not None:
            as_step(step, name)

    def row(
        self,
        metrics: Mapping[str, Any],
        step: Any = None,
        *,
        type: str = "scalar",
        source: str | None = None,
    ) -> None:
        """Check values and let them go."""
        for name, value in flatten(metrics).items():
            self.point(name, value, step)

    def event(self, type: str, payload: Mapping[str, Any]) -> None:
        """Let it go."""

    def sync(self) -> None:
        """There is nothing to wait for."""

    def close(self, outcome: str | None = None, error: str | None = None) -> None:
        """There is nothing to close."""
