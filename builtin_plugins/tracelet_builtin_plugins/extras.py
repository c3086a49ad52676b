"""Optional packages of the built-in plugins: imported where they are used, and reported if they are missing."""

from __future__ import annotations

from types import ModuleType

__all__ = ["MissingExtraError", "import_extra"]


class MissingExtraError(ImportError):
    """A plugin needs a package that is not installed, or a newer version of it."""


def import_extra(module: str, *, plugin: str, distribution: str, minimum: str = "") -> ModuleType:
    """Import a module that an optional dependency provides.

    ``plugin`` is the plugin's name, and the name of its extra. ``minimum`` is the oldest version of the distribution
    that the plugin works with. Raises :class:`MissingExtraError`, which says what to install.
    """
    import importlib
    from importlib import metadata

    remedy = f"run: pip install 'tracelet[{plugin}]'"
    try:
        found = metadata.version(distribution)
    except metadata.PackageNotFoundError:
        raise MissingExtraError(
            f"plugin {plugin!r} needs {distribution}, which is not installed; {remedy}"
        ) from None
    if minimum and _release(found) < _release(minimum):
        raise MissingExtraError(
            f"plugin {plugin!r} needs {distribution} {minimum} or newer, found {found}; {remedy}"
        )
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            f"plugin {plugin!r} cannot import {module} of {distribution} {found}: {error}; {remedy}"
        ) from error


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers that a version starts with: ``"3.1.0rc1"`` is ``(3, 1)``, as ``0`` at the end adds nothing."""
    numbers: list[int] = []
    for part in version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
