"""Which importers there are, and the runs that one of them finds in a source.

Importers are plugins with the hook ``import_runs``. tracelet's own folders and tables as text are read here, since no
other tracker is behind them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracelet.errors import PluginError, UsageError
from tracelet.importers.table import read_table
from tracelet.messages import did_you_mean
from tracelet.secrets import redact
from tracelet_hookspecs import ImportedFile, ImportedPoints, ImportedRun

if TYPE_CHECKING:
    from tracelet.host.plugins import PluginManager

HOOK: Final = "import_runs"
STORE: Final = "tracelet"

Parts = Iterator["ImportedRun | None"]
Opener = Callable[[str, bool], "Parts | None"]


class Importer(NamedTuple):
    """One format: its name, and a function that opens a source or returns ``None`` if it is of another format."""

    name: str
    open: Opener


def find_importers(manager: PluginManager, wanted: str | None = None) -> list[Importer]:
    """Return the importers of all known plugins, or the one of a name.

    Raises:
        UsageError: there is no importer of that name.
        PluginError: the plugin of that name cannot be loaded.
    """
    from tracelet.host.discovery import implementations

    found = [Importer("csv", lambda source, _: read_table(source, asked=wanted is not None))]
    names = {"csv", STORE}
    for name in list(manager.plugins):
        if wanted not in (None, name):
            names.add(name)
            continue
        loaded = manager.load_plugin(name)
        if not loaded and wanted == name:
            raise PluginError(f"{manager.plugins[name].error}", plugin=name)
        hooks = {one.hook for one in implementations(manager.plugins[name].instance)} if loaded else set()
        if HOOK in hooks and manager.prepare_plugin(name):
            found.append(Importer(name, _opener(manager, name)))
        elif HOOK in hooks and wanted == name:
            raise PluginError(f"{manager.plugins[name].error}", plugin=name)
    if wanted is None:
        return found
    chosen = [one for one in found if one.name == wanted]
    if not chosen:
        every = sorted({STORE, *(one.name for one in find_importers(manager))})
        hint = did_you_mean(wanted, every)
        raise UsageError(f"import: expected one of {', '.join(every)} as the format, found {wanted!r}{hint}")
    return chosen


def _opener(manager: PluginManager, name: str) -> Opener:
    """Return a function that calls a plugin's hook. Each step of what it returns runs on the plugin's thread, too."""
    handle = manager.handle(name)

    def open_source(source: str, follow: bool) -> Parts | None:
        answer = handle.call(HOOK, source=source, follow=follow, accept=_as_iterator)
        return None if answer is None else steps(answer)

    def steps(iterator: Iterator[Any]) -> Parts:
        end = object()
        while True:
            part = handle.submit(lambda: _checked(name, next(iterator, end), end), step=HOOK, calls=0)
            if part is end:
                return
            yield part

    return open_source


def _as_iterator(answer: Any) -> Iterator[Any] | None:
    if answer is None:
        return None
    if isinstance(answer, (ImportedRun, Mapping)):
        answer = [answer]
    iterator: Iterator[Any] = iter(answer)
    return iterator


def _checked(plugin: str, part: Any, end: object) -> Any:
    """Return a part as an :class:`ImportedRun`. A mapping with the names of its fields is accepted, too."""
    if part is end or part is None:
        return part
    if isinstance(part, Mapping):
        part = ImportedRun(**part)
    if not isinstance(part, ImportedRun):
        raise TypeError(f"{HOOK} of {plugin}: expected an ImportedRun, found {type(part).__name__}")
    if not isinstance(part.key, str) or not part.key:
        raise TypeError(
            f"{HOOK} of {plugin}: expected a text that is not empty as the key, found {part.key!r}"
        )
    part.points = [_as(ImportedPoints, one) for one in part.points]
    part.files = [_as(ImportedFile, one) for one in part.files]
    return part


def _as(cls: type[Any], value: Any) -> Any:
    return cls(**value) if isinstance(value, Mapping) else value


class OpenSource(NamedTuple):
    """A source that an importer reads."""

    format: str
    parts: Iterable[ImportedRun | None]


def open_source(importers: Iterable[Importer], source: str, *, follow: bool, asked: bool) -> OpenSource:
    """Return what the only importer of a source's format finds there.

    Raises:
        UsageError: none takes the source, or several do.
    """
    found: list[OpenSource] = []
    failures: list[str] = []
    for importer in importers:
        try:
            parts = importer.open(source, follow)
            opened = _peeked(parts) if parts is not None else None
        except PluginError as error:
            if asked:
                raise
            failures.append(str(error))
            continue
        if opened is not None or (asked and parts is not None):
            found.append(OpenSource(importer.name, opened or ()))
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(one.format for one in found)
        raise UsageError(f"import: {redact(source)} has runs of {names}; choose one with --from")
    raise UsageError(_describe_unknown(source, asked, importers, failures))


def _peeked(parts: Parts) -> Iterable[ImportedRun | None] | None:
    """Return the parts, or ``None`` if there are none: a generator cannot say that the source is not its own."""
    end = object()
    first = next(parts, end)
    if first is end:
        return None

    def every() -> Parts:
        yield first  # type: ignore[misc]
        yield from parts

    return every()


def _describe_unknown(source: str, asked: bool, importers: Iterable[Importer], failures: list[str]) -> str:
    names = ", ".join(sorted({STORE, *(one.name for one in importers)}))
    source = redact(source)
    if "://" not in source and not os.path.lexists(source):
        return f"import: expected a file, a folder or a URL, found nothing at {source}"
    expected = f"runs of {names}" if asked else f"a source of one of the formats {names}"
    more = f" ({'; '.join(failures)})" if failures else ""
    return f"import: expected {expected}, found none of them in {source}{more}; --from names the format"


def root_of(source: str) -> Path | None:
    """Return the folder that files of a source have to be in; ``None`` for a URL."""
    if "://" in source:
        return None
    path = Path(os.path.abspath(source))
    return path if path.is_dir() else path.parent
