"""The exceptions of ``wandb``, and the levels of an alert."""

from __future__ import annotations

from enum import Enum

from tracelet.errors import TraceletError


class Error(TraceletError):
    """Base of the exceptions."""


class CommError(Error):
    """Something that should be there is not, such as an artifact."""


class UsageError(Error):
    """A call that cannot be carried out as given."""


class UnsupportedError(UsageError):
    """A call that is not offered."""


class ConfigError(Error):
    """A value of the configuration would be changed without permission."""


class AuthenticationError(CommError):
    """Never raised here: there is no server."""


class AlertLevel(Enum):
    """How serious an alert is."""

    INFO = "INFO"
    WARN = "WARN"
    ERROR = "ERROR"
