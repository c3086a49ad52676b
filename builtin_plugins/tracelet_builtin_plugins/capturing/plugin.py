"""The base of the framework plugins that ship with tracelet."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, ClassVar, cast

from tracelet_builtin_plugins import AUTHOR, VERSION
from tracelet_builtin_plugins.capturing.imports import when_imported
from tracelet_builtin_plugins.capturing.patches import Patches
from tracelet_hookspecs import (
    FrameworkPlugin,
    PluginMetadata,
    PluginType,
    RunView,
    hookimpl,
    is_suspended,
)

__all__ = ["CapturePlugin"]


class _Shared:
    """What all instances of one plugin class share: the patches exist once, whatever number of runs record."""

    def __init__(self, current: Callable[[], CapturePlugin | None]) -> None:
        self.lock = threading.RLock()
        self.recording: tuple[CapturePlugin, ...] = ()  # in the order of the starts of their runs
        self.patches = Patches(current)
        self.watches: list[Callable[[], None]] = []


class CapturePlugin(FrameworkPlugin):
    """A plugin that records what a framework reports, by wrapping functions of the framework.

    A subclass sets ``NAME``, ``DESCRIPTION``, ``SCHEMA`` and ``MODULES``: for each module of the framework, the name
    of a class method that is called with the module and the :class:`Patches` once the program has imported it. The
    notes that it puts there get the instance that records: ``self.run`` is the run, ``self.config`` the configuration.
    """

    NAME: ClassVar[str]
    DESCRIPTION: ClassVar[str]
    SCHEMA: ClassVar[dict[str, dict[str, Any]]] = {}
    MODULES: ClassVar[Mapping[str, str]] = {}
    _shared: ClassVar[_Shared]

    #: The run that this instance records into, while it is open.
    run: Any
    _faults: dict[tuple[str, str], int] = {}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._shared = _Shared(cls.current)

    @classmethod
    def get_metadata(cls) -> PluginMetadata:
        """Return the plugin's metadata."""
        return PluginMetadata(
            name=cls.NAME,
            version=VERSION,
            type=PluginType.FRAMEWORK,
            description=cls.DESCRIPTION,
            author=AUTHOR,
            config_schema=cls.SCHEMA,
            capabilities={"capture"},
        )

    @classmethod
    def current(cls) -> CapturePlugin | None:
        """Return the instance that records what happens here and now, or ``None``.

        It is that of the active run. If that run has none, as when an inner run names no plugins, it is that of the
        run that was started last.
        """
        recording = cls._shared.recording
        if not recording or is_suspended(cls.NAME):
            return None
        if len(recording) == 1:
            return recording[0]
        active = (plugin for plugin in reversed(recording) if plugin.run.is_active)
        return next(active, recording[-1])

    @hookimpl
    def initialize(self, config: Any) -> None:
        """Keep the configuration."""
        self._config = {key: entry.get("default") for key, entry in self.SCHEMA.items()} | dict(config)
        self._faults = {}

    @hookimpl
    def start(self) -> None:
        """Nothing to do before there is a run."""

    @hookimpl
    def stop(self) -> None:
        """Restore what was patched, unless another run records."""
        self._leave()

    @hookimpl
    def get_status(self) -> dict[str, Any]:
        """Return what is captured, and what went wrong."""
        faults = {f"{place}: {error}": count for (place, error), count in self._faults.items()}
        missing = list(self._shared.patches.missing)
        return {
            "recording": self in self._shared.recording,
            **({"not_found": missing} if missing else {}),
            **({"faults": faults} if faults else {}),
        }

    @hookimpl
    def run_started(self, run: RunView) -> None:
        """Record from now on what the framework reports."""
        self.run = run
        shared = self._shared
        with shared.lock:
            first = not shared.recording
            shared.recording = (*(each for each in shared.recording if each is not self), self)
            if first:
                shared.watches = [
                    when_imported(module, self._patcher(method)) for module, method in self.MODULES.items()
                ]

    @hookimpl
    def run_ended(self) -> None:
        """Stop recording."""
        self._leave()

    @classmethod
    def _patcher(cls, method: str) -> Callable[[ModuleType], None]:
        def patch(module: ModuleType) -> None:
            shared = cls._shared
            try:
                getattr(cls, method)(module, shared.patches)
            except Exception as error:  # this version of the framework differs
                for plugin in shared.recording[-1:]:
                    plugin.report(error, f"the import of {module.__name__}")

        return patch

    def _leave(self) -> None:
        shared = self._shared
        with shared.lock:
            was_recording = bool(shared.recording)
            shared.recording = tuple(each for each in shared.recording if each is not self)
            if was_recording and not shared.recording:
                self.let_go()
                for end in shared.watches:
                    end()
                shared.watches = []
                shared.patches.undo()

    def let_go(self) -> None:
        """Release what was registered otherwise than by patches. Called when the last run has ended."""

    def report(self, error: Exception, place: str) -> None:
        """Log a fault of the capture, once for each place and kind of error. The program goes on."""
        key = place, f"{type(error).__name__}: {error}"
        self._faults[key] = self._faults.get(key, 0) + 1
        kinds = [each for each in self._faults if each[0] == place]
        if self._faults[key] > 1 or len(kinds) > 1 or _is_end(error):
            return
        logging.getLogger(f"tracelet.plugins.{self.NAME}").warning(
            "plugin %r: what %s reported is not recorded: %s; the program goes on", self.NAME, place, key[1]
        )


def _is_end(error: Exception) -> bool:
    """Return whether the run has just ended, on another thread."""
    return cast(type, type(error)).__name__ == "NoActiveRunError"
