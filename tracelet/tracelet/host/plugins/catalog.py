"""All plugins that were found, under their names; the first that takes a name keeps it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from tracelet.errors import UsageError
from tracelet.host.discovery import Found
from tracelet.messages import closest
from tracelet_hookspecs import PluginInfo, PluginState

log = logging.getLogger("tracelet.plugins")


class Catalog:
    """What has been found, and what went wrong in finding it.

    ``plugins`` may be changed or replaced by its owner; ``found`` keeps the way to load what discovery put there.
    """

    def __init__(self) -> None:
        self.plugins: dict[str, PluginInfo] = {}
        self.found: dict[str, Found] = {}
        self.problems: list[str] = []
        #: Modules that somebody asked for by name; what they hold has names of its own.
        self.modules: set[str] = set()

    def add(self, found: Found, blocked: Iterable[str] = ()) -> bool:
        """Take a plugin in, unless it is blocked or its name is taken (which is reported, with both origins)."""
        info = found.info
        if info.name in blocked:
            return False
        holder = self.plugins.get(info.name)
        if holder is None:
            self.plugins[info.name] = info
            self.found[info.name] = found
            if info.error:
                self.report(info.error, info.traceback)
            return True
        if _whence(info) == _whence(holder):
            if found.activate and info.name in self.found:
                self.found[info.name].activate = True
        elif found.broken:
            return self._add_aside(found)
        elif self.is_hopeless(info.name) and holder.state is PluginState.ERROR:
            del self.plugins[info.name]
            self._add_aside(self.found.pop(info.name))
            return self.add(found)
        else:
            self.report(
                f"plugin name {info.name!r} is taken: {_shown(holder)} keeps it, {_shown(info)} is left out;"
                f" rename one, or block both with -p no:{info.name}"
            )
        return False

    def _add_aside(self, found: Found) -> bool:
        """Take in one that could not be looked at: its name is only a guess, and hides nothing that has it."""
        found.info.metadata.name = f"{found.info.name} ({found.info.origin})"
        return self.add(found)

    def report(self, problem: str, traceback: str | None = None) -> None:
        """Keep a problem for the status, and log it once."""
        if problem not in self.problems:
            self.problems.append(problem)
            log.warning("%s%s", problem, f"\n{traceback}" if traceback else "")

    def is_hopeless(self, name: str) -> bool:
        """Whether a plugin could not even be looked at, so that nobody who did not ask for it need try again."""
        found = self.found.get(name)
        return found is not None and found.broken and found.info is self.plugins.get(name)

    def unknown(self, name: str) -> UsageError:
        """Return the error for a name that no source has."""
        meant = closest(name, self.plugins, cutoff=0.5)
        hint = f"did you mean {meant!r}?" if meant else "`tracelet plugins` lists all that can be found"
        return UsageError(f"no plugin is named {name!r}; {hint}")


def _whence(info: PluginInfo) -> tuple[str, str, str]:
    return info.origin, info.module_path, info.class_name


def _shown(info: PluginInfo) -> str:
    return f"{info.class_name} from {info.origin}" if info.class_name else f"the one from {info.origin}"
