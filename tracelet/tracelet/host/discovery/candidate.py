"""What discovery yields: a plugin's description and a way to load it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs

from tracelet.errors import PluginError
from tracelet.host import locations
from tracelet.host.worker import Overrun
from tracelet.secrets import redact
from tracelet_hookspecs import PluginInfo, PluginMetadata, PluginState

BY_HAND: Final = "by hand"  # the origin of what the program registers


@attrs.define(eq=False)
class Candidate:
    """One plugin found by a source.

    ``load`` returns the plugin's class, object or module; it is called on the plugin's own thread, and only
    if the plugin is needed. ``identity`` is the module and the qualified name of what it loads, as far as that is
    known: two candidates with the same identity are one plugin. ``activate`` means that the source itself requests
    it, ``default`` that it is on unless switched off, ``automagic`` that it is one of those that the setting of that
    name activates, ``builtin`` that it ships with tracelet, ``broken`` that it could not even be read: it is retried
    only if it is requested by name.
    """

    info: PluginInfo
    load: Callable[[], Any] | None = None
    activate: bool = False
    default: bool = False
    automagic: bool = False
    builtin: bool = False
    broken: bool = False
    overran: bool = False  # its import took too long
    identity: tuple[str, str] | None = None


def broken_candidate(
    name: str,
    origin: str,
    error: BaseException | str,
    *,
    module_path: str = "",
    class_name: str = "",
    activate: bool = False,
    load: Callable[[], Any] | None = None,
) -> Candidate:
    """Describe a plugin that could not even be read: state ERROR, with the reason and its traceback."""
    metadata = PluginMetadata.from_outside(name)
    info = PluginInfo(metadata, module_path=module_path, class_name=class_name, origin=origin)
    info.state = PluginState.ERROR
    if isinstance(error, BaseException):
        cause = error.cause if isinstance(error, PluginError) and error.cause is not None else error
        info.traceback = redact(locations.format_plugin_traceback(cause)) or None
    info.error = redact(str(error) if isinstance(error, (str, PluginError)) else describe(error))
    overran = isinstance(error, PluginError) and isinstance(error.cause or error, Overrun)
    return Candidate(info, load=load, activate=activate, broken=True, overran=overran)


def describe(error: BaseException) -> str:
    """Return an exception as one line of text, without secrets."""
    try:
        text = str(error).strip()
    except BaseException:  # a plugin's own exception class may fail to describe itself
        text = ""
    return redact(f"{type(error).__name__}: {text}" if text else type(error).__name__)


def describe_with_location(error: BaseException) -> str:
    """Return an exception as one line of text, with the line of the plugin's own code that raised it."""
    place = "" if isinstance(error, SyntaxError) else locations.of_error(error)
    return f"{describe(error)} (at {place})" if place else describe(error)
