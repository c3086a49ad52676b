"""The feed of a plugin in a process of its own, as the run's process sees it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.delivery.ledger.ledger import Ledger
from tracelet.delivery.limits import Settings
from tracelet.delivery.pipeline.processors import Processors
from tracelet.delivery.pipeline.reader import Writers
from tracelet.delivery.process.import_spec import ImportSpec, import_spec_of
from tracelet.delivery.process.proxy import PluginProxy
from tracelet.delivery.waiting import RESTING, STARTING, STOPPED, WaitableWorker
from tracelet.errors import PluginError
from tracelet_hookspecs import BACKEND_HOOKS

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

log = logging.getLogger("tracelet.delivery")

_ANSWERING: Final = 1.0  # seconds that an answer may take, beyond what is done
_FIRST: Final[Mapping[str, Any]] = {
    "state": STARTING,
    "delivered": 0,
    "excluded": 0,
    "dropped": {},
    "retries": 0,
    "error": None,
    "breaker": "closed",
    "lag_s": 0.0,
}


class RemoteWorker(WaitableWorker):
    """Does what a :class:`~tracelet.delivery.worker.Feed` does, by telling one in the plugin's process.

    What it knows is what that process last said.
    """

    def __init__(
        self,
        manager: PluginManager,
        proxy: PluginProxy,
        run_dir: Path,
        *,
        writers: Writers | None = None,
        settings: Settings | None = None,
    ) -> None:
        super().__init__(proxy.info.name)
        self._manager = manager
        self._proxy = proxy
        self._run_dir = run_dir
        self._writers = writers
        self._settings = settings or Settings()
        self._known: dict[str, Any] = dict(_FIRST)
        self._positions: dict[str, int] | None = None
        self._hurries = 0
        proxy.listener = self._hear
        proxy.restarted = self._hurry_again

    def start(self) -> None:
        """Begin. The process may take a moment for it, which nobody waits for."""
        self._warn_of_wrappers()
        threading.Thread(target=self._start, name=f"tracelet delivery {self.name}", daemon=True).start()

    def _start(self) -> None:
        try:
            self._proxy.deliver(
                settings=self._settings,
                processors=self._processors(),
                writers=list(self._writers()) if self._writers is not None else None,
            )
        except PluginError as error:
            self._manager.fail(self.name, "log", error)
            self._hear({"state": RESTING, "error": str(error)})

    def _warn_of_wrappers(self) -> None:
        """Tell of wrappers that the data hooks there will not have around them."""
        hooks = {hook: self._manager.pluggy.participants(hook).wrappers for hook in BACKEND_HOOKS}
        for name in sorted({name for wrappers in hooks.values() for name in wrappers} - {self.name}):
            wrapped = ", ".join(hook for hook, wrappers in hooks.items() if name in wrappers)
            log.warning(
                "plugin %r: its wrapper of %s does not reach backend %r, which is in a process of its own",
                *(name, wrapped, self.name),
            )

    def _processors(self) -> list[tuple[str, ImportSpec, Any]]:
        """Return how to load the processors there: the one that pluggy calls first comes last, as it does here."""
        plugins = self._manager.plugins
        return [
            (name, import_spec_of(plugins[name]), self._manager.handle(name).config)
            for name in reversed(Processors(self._manager).names())
        ]

    def _hear(self, state: Mapping[str, Any]) -> None:
        with self._progress:
            self._known.update(state)
            self._positions = self._known.pop("positions", self._positions)
            self._progress.notify_all()

    @property
    def state(self) -> str:
        """What the feed is doing."""
        return str(self._known["state"])

    def reconfigure(self) -> None:
        """Take up changed routes, or a plugin that was mended."""
        self._proxy.reconfigure(_ANSWERING)

    def slow_down(self) -> bool:
        """Have it rest longer between batches."""
        return False  # what it takes is no time of the training's

    def _on_hurry(self) -> None:
        self._hurries += 1
        self._proxy.tell("hurry", number=self._hurries)

    def _on_calm(self) -> None:
        self._proxy.tell("calm")

    def _hurry_again(self) -> None:
        with self._progress:
            for _ in range(self._waiting):
                self._proxy.tell("hurry", number=self._hurries)

    def is_hopeless(self) -> bool:
        """Say whether it is no use to wait, as far as is known."""
        if self.state in (RESTING, STOPPED):
            return True
        return self._known.get("hurries", 0) >= self._hurries and bool(self._known.get("hopeless"))

    def position(self, writer: str) -> int:
        """Return how far a writer is delivered, as a sequence number."""
        if self._positions is None:
            pages = Ledger(self._run_dir, self.name, strict=False).pages
            self._positions = {name: page.cursor.next for name, page in pages.items()}
        return self._positions.get(writer, 0)

    def ask_to_stop(self) -> None:
        """Have it end once the batch under way is dealt with. Returns at once."""
        self._proxy.tell("ask_to_stop")

    def stop(self, timeout: float) -> bool:
        """Stop once the batch under way is dealt with, or after ``timeout`` seconds."""
        try:
            state = self._proxy.stop_delivery(timeout, timeout + _ANSWERING)
        except PluginError:
            return False
        if state is not None and self.state != RESTING:
            self._hear(state)
        return True

    def status(self) -> dict[str, Any]:
        """Return what there is to know of the feed, as JSON can hold it."""
        process = self._proxy.process
        known = {key: self._known[key] for key in _FIRST}
        return {
            **known,
            "process": process.pid if process is not None else None,
            "restarts": self._proxy.restarts,
        }
