"""Packing runs: their files, compressed, behind a page that shows them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from html import escape
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple

from tracelet.errors import StoreError, UsageError
from tracelet.messages import plain
from tracelet.safe_files import open_file, read_at, walk_files
from tracelet.store.details import EMPTY, UNREADABLE
from tracelet.store.packing.layout import CLOSING, GENERATOR, LEFT_OUT, LINE, MAGIC, OPENING, VERSION
from tracelet.store.packing.view_data import describe_view
from tracelet_hookspecs.strict_json import to_json

if TYPE_CHECKING:
    from tracelet.store.record import RunRecord

Progress = Callable[[int, int], None]  # bytes done, bytes in all
_BLOCK: Final = 1 << 20
_MOST_RUNS: Final = 1000
_SCRIPTS: Final = ("viewer_numbers.js", "viewer_media.js", "viewer.js")


class Packed(NamedTuple):
    """What was packed. ``left_out`` names files that are none (links, pipes), or that could not be read."""

    file: Path
    runs: int
    files: int
    size: int  # bytes of the file
    original: int  # bytes of the runs' files
    left_out: list[str]


def pack(
    records: Sequence[RunRecord],
    file: str | os.PathLike[str],
    *,
    title: str | None = None,
    artifacts: bool = True,
    progress: Progress | None = None,
) -> Packed:
    """Pack runs into one HTML file, which shows them in any browser and from which they can be restored.

    The file has every byte of the runs' journals, artifacts and media; what belongs to this machine (the state of
    delivery) is left out. A run that is still recording is packed as it is now.

    Args:
        records: the runs.
        file: the file to write, whole or not at all.
        title: the title of the page; by default, the names of the runs.
        artifacts: whether to pack the files of artifacts and media as well. Their SHA-256 is in the journal either way.
        progress: called with the number of bytes done and the number in all.

    Raises:
        UsageError: there is nothing to pack.
        StoreError: a run cannot be read, or the file cannot be written.
    """
    records = list({record.id: record for record in records}.values())
    if not 0 < len(records) <= _MOST_RUNS:
        raise UsageError(f"pack: expected 1 to {_MOST_RUNS} runs, found {len(records)}")
    for record in records:
        if record.outcome in (EMPTY, UNREADABLE):
            why = record.problem or "has no journal yet"
            raise StoreError(f"run {record.id} cannot be packed, since it cannot be read: {why}")
    target = Path(file)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with open(part, "w", encoding="ascii", newline="\n", opener=_private) as stream:
            packed = _write(stream, records, title or _title(records), artifacts, progress)
        os.replace(part, target)
    except OSError as error:
        raise StoreError(f"pack: {target} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
    return packed._replace(file=target, size=target.stat().st_size)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL, 0o600)


def _title(records: Sequence[RunRecord]) -> str:
    names = ", ".join(record.name for record in records[:3])
    return names if len(records) <= 3 else f"{names} and {len(records) - 3} more"


def _write(
    stream: IO[str], records: Sequence[RunRecord], title: str, artifacts: bool, progress: Progress | None
) -> Packed:
    left_out: list[str] = []
    found = list(_find_files(records, artifacts, left_out))
    total = sum(size for _, _, size in found)
    keys = {(record.id, path) for record, path, _ in found}
    view = describe_view(records, title, sys.modules["tracelet"].__version__, keys)
    stream.write(_page_head(title, view))
    stream.write(f"{OPENING}\n{MAGIC} {VERSION}\n")
    lines = _Lines(stream)
    lines.write({"runs": [record.id for record in records], "files": len(found), "size": total})
    done = 0
    for record, path, size in found:
        for read in _write_file(stream, lines, record, path, size):
            done += read
            if progress is not None:
                progress(done, total)
    lines.write({"end": True, "sha256": lines.digest})
    stream.write(f"{CLOSING}\n</body></html>\n")
    return Packed(Path(), len(records), len(found), 0, total, left_out)


def _find_files(
    records: Sequence[RunRecord], artifacts: bool, left_out: list[str]
) -> Iterator[tuple[RunRecord, str, int]]:
    """Yield each regular file of the runs, with its size now: a live run appends to its journal."""
    for record in records:
        for path in sorted(walk_files(record.dir)):
            top = path.partition("/")[0]
            if top in LEFT_OUT or (not artifacts and top != "journal"):
                continue
            try:
                size = open_file(record.dir, path).stat().st_size
            except OSError as error:
                left_out.append(f"{record.id}/{path}: {error}")
                continue
            yield record, path, size


class _Lines:
    """Writes the lines that say what the data is, and adds up their digest."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The digest of all lines so far."""
        return self._digest.hexdigest()

    def write(self, value: Any) -> None:
        """Write a JSON object."""
        line = _as_json(value) + "\n"
        self._digest.update(line.encode())
        self._stream.write(line)


def _write_file(stream: IO[str], lines: _Lines, record: RunRecord, path: str, size: int) -> Iterator[int]:
    """Write a file as far as it reached when it was found, and yield how many bytes were done."""
    opened = open_file(record.dir, path)
    lines.write({"run": record.id, "path": path})
    compressor, digest, waiting, at = zlib.compressobj(6), hashlib.sha256(), b"", 0
    while at < size and (block := read_at(opened, min(_BLOCK, size - at), at)):
        digest.update(block)
        at += len(block)
        waiting = _write_base64(stream, waiting + compressor.compress(block))
        yield len(block)
    _write_base64(stream, waiting + compressor.flush(), whole=True)
    lines.write({"size": at, "sha256": digest.hexdigest()})


def _write_base64(stream: IO[str], data: bytes, *, whole: bool = False) -> bytes:
    """Write full lines of data, and the rest if there is no more; return what is left."""
    at = 0
    while len(data) - at >= LINE or (whole and at < len(data)):
        stream.write(base64.b64encode(data[at : at + LINE]).decode() + "\n")
        at += LINE
    return data[at:]


def _as_json(value: Any) -> str:
    """Return JSON that a script element can hold: nothing in it ends the element, or begins another."""
    text = json.dumps(to_json(value), separators=(",", ":"))  # ASCII only
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _page_head(title: str, view: dict[str, Any]) -> str:
    folder = Path(__file__).parent
    script = "".join((folder / name).read_text(encoding="utf-8") for name in _SCRIPTS)
    style = (folder / "viewer.css").read_text(encoding="utf-8")
    script, style = _ascii(script), _ascii(style)
    # The page may run this script and nothing else, and may not load anything from anywhere.
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data: blob:;"
        " media-src blob:; base-uri 'none'; form-action 'none'"
    )
    name = escape(plain(title)).encode("ascii", "xmlcharrefreplace").decode()
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{GENERATOR}\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>{style}</style></head>\n"
        '<body><main id="app"><noscript>This page draws its charts with JavaScript, which is switched off.</noscript>'
        f'</main>\n<script type="application/json" id="tracelet-view">{_as_json(view)}</script>\n'
        f'<script type="module">{script}</script>\n'
    )


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
