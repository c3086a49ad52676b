"""The error for a framework that is not installed."""

from __future__ import annotations

from tracelet.errors import TraceletError


class MissingFrameworkError(TraceletError, ImportError):
    """The framework that an integration is for is not installed."""


def missing_framework(error: ImportError, module: str, package: str) -> ImportError:
    """Return the error to raise for a framework's failed import: the failure itself if the framework is installed."""
    if (error.name or "").partition(".")[0] != module.partition(".")[0]:
        return error
    name = module.partition(".")[0]
    return MissingFrameworkError(
        f"tracelet.integrations.{_ROOMS.get(name, name)} needs the package {package}, which is not installed in this"
        f" environment; install it: pip install {package}",
        name=error.name,
    )


#: Modules of tracelet.integrations that are not named after the package that they import.
_ROOMS: dict[str, str] = {}
