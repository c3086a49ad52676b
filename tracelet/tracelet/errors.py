"""The exceptions of tracelet. Every message says who, where, what was expected, what was found and what to do."""

from __future__ import annotations

from typing import Any


class TraceletError(Exception):
    """Base of all exceptions that tracelet raises on purpose."""

    @property
    def lines(self) -> list[str]:
        """The message for people, one line for each fault."""
        return [" ".join(str(self).split("\n"))]


class UsageError(TraceletError, ValueError):
    """A call that cannot be carried out as given: a wrong argument, an unknown run or plugin."""


class RecordingError(UsageError, TypeError):
    """A value, a name or a step that cannot be recorded. ``reason`` is what a dropped value is counted under.

    It is also a ``TypeError`` and a ``ValueError``, so that programs that catch these keep working.
    """

    def __init__(self, message: str, *, reason: str = "not recordable") -> None:
        self.reason = reason
        super().__init__(message)


class NoActiveRunError(TraceletError, RuntimeError):
    """A recording call was made while no run was active."""


class ConfigError(TraceletError, ValueError):
    """A configuration with faults. ``faults`` lists all of them, one line each."""

    def __init__(self, faults: list[str], *, source: str = "") -> None:
        self.faults = faults
        self.source = source
        where = f"{source}: " if source else ""
        super().__init__(where + "; ".join(faults))

    @property
    def lines(self) -> list[str]:
        """Each fault, with its source."""
        return [f"{self.source}: {fault}" if self.source else fault for fault in self.faults]


class PluginError(TraceletError):
    """A plugin failed. Carries the plugin's name, what it was doing and the cause."""

    def __init__(
        self, message: str, *, plugin: str = "", step: str = "", cause: BaseException | None = None
    ) -> None:
        self.plugin = plugin
        self.step = step
        self.cause = cause
        super().__init__(message)


class IllegalTransitionError(PluginError):
    """A change between two states that the table of transitions does not allow."""


class JournalError(TraceletError, OSError):
    """The journal cannot be read or written."""


class StoreError(TraceletError, LookupError):
    """The store has no such run or metric."""

    def __init__(self, message: str, **found: Any) -> None:
        self.found = found
        super().__init__(message)


class MissingExtraError(TraceletError, ImportError):
    """A feature needs a package that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs {extra}, which is not installed; run: pip install 'tracelet[{extra}]'"
        )
        self.extra = extra
