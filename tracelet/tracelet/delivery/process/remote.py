"""The worker of an isolated plugin, seen from the run's process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracelet.delivery.guarded_run import DATA_HOOKS
from tracelet.delivery.ledger.ledger import Ledger
from tracelet.delivery.limits import Settings
from tracelet.delivery.pipeline.processors import names_of_processors
from tracelet.delivery.pipeline.reader import Writers
from tracelet.delivery.process.import_spec import import_spec_of
from tracelet.delivery.process.proxy import Companion, PluginProxy
from tracelet.delivery.waiting import INITIAL_STATUS, RESTING, STOPPED, DeliveryWorker
from tracelet.errors import PluginError
from tracelet.logs import get_logger

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

log = get_logger("tracelet.delivery")

_ANSWERING: Final = 1.0  # seconds that an answer may take, beyond what is done


class RemoteWorker(DeliveryWorker):
    """Controls a :class:`~tracelet.delivery.worker.BackendWorker` in the plugin's process.

    It knows only what that process last reported.
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
        self._known: dict[str, Any] = dict(INITIAL_STATUS)
        self._positions: dict[str, int] | None = None
        self._hurries = 0
        proxy.on_state = self._learn
        proxy.on_restart = self._hurry_again

    def start(self) -> None:
        """Start delivery. The process may take a moment; nothing waits for it."""
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
            self._learn({"state": RESTING, "error": str(error)})

    def _warn_of_wrappers(self) -> None:
        """Warn of wrappers that do not reach the data hooks there."""
        hooks = {hook: self._manager.pluggy.participants(hook).wrappers for hook in DATA_HOOKS}
        for name in sorted({name for wrappers in hooks.values() for name in wrappers} - {self.name}):
            wrapped = ", ".join(hook for hook, wrappers in hooks.items() if name in wrappers)
            log.warning(
                "plugin %r: its wrapper of %s does not reach backend %r, which is in a process of its own",
                *(name, wrapped, self.name),
            )

    def _processors(self) -> list[Companion]:
        """Return how to load the processors there: the one that pluggy calls first comes last, as it does here."""
        plugins = self._manager.plugins
        return [
            (name, import_spec_of(plugins[name]), self._manager.handle(name).config)
            for name in reversed(names_of_processors(self._manager))
        ]

    def _learn(self, state: Mapping[str, Any]) -> None:
        with self._progress:
            self._known.update(state)
            self._positions = self._known.pop("positions", self._positions)
            self._progress.notify_all()

    @property
    def state(self) -> str:
        """What the worker is doing."""
        return str(self._known["state"])

    def reconfigure(self) -> None:
        """Apply changed routes, or retry a plugin that was fixed."""
        self._proxy.reconfigure(_ANSWERING)

    def slow_down(self) -> bool:
        """Return ``False``: it takes none of the training's time."""
        return False

    def _on_hurry(self) -> None:
        self._hurries += 1
        self._proxy.notify("hurry", number=self._hurries)

    def _on_calm(self) -> None:
        self._proxy.notify("calm")

    def _hurry_again(self) -> None:
        with self._progress:
            for _ in range(self._waiting):
                self._proxy.notify("hurry", number=self._hurries)

    def is_hopeless(self) -> bool:
        """Say whether waiting is pointless, as far as is known."""
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
        """Tell it to stop after the current batch. Returns at once."""
        self._proxy.notify("ask_to_stop")

    def stop(self, timeout: float) -> bool:
        """Stop after the current batch, or after ``timeout`` seconds."""
        try:
            state = self._proxy.stop_delivery(timeout, timeout + _ANSWERING)
        except PluginError:
            return False
        if state is not None and self.state != RESTING:
            self._learn(state)
        return True

    def status(self) -> dict[str, Any]:
        """Return the worker's state and counts, as JSON can hold them."""
        process = self._proxy.process
        known = {key: self._known[key] for key in INITIAL_STATUS}
        return {
            **known,
            "process": process.pid if process is not None else None,
            "restarts": self._proxy.restarts,
        }
