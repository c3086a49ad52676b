"""The layout of the lake: names of objects, columns of files, and the version of both.

The writer (the backend ``lake``) and the reader (``open_store(url)``) both follow this module. ``docs/lake.md`` has the
same for people. All paths here are relative to the lake's URL, with ``/`` between their parts::

    runs/project=<project>/<run>.json                     the run document: all that a list of runs needs
    project=<project>/run=<run>/metrics/<name>.parquet    points
    project=<project>/run=<run>/params/<name>.parquet     parameters
    project=<project>/run=<run>/tags/<name>.parquet       tags
    project=<project>/run=<run>/events/<name>.parquet     everything that is not a point, as in the journal
    project=<project>/run=<run>/merged.json               which files have been merged, and into which
    artifacts/sha256/<first two digits>/<sha256>          contents of artifacts and media
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

__all__ = [
    "ARTIFACTS",
    "COLUMNS",
    "DICTIONARY_COLUMNS",
    "EVENTS",
    "FORMAT",
    "KEY",
    "KINDS",
    "MERGED_PREFIX",
    "METRICS",
    "NO_PROJECT",
    "PARAMS",
    "RUNS",
    "SORTED_BY",
    "TAGS",
    "FileName",
    "Place",
    "artifact_path",
    "data_file",
    "data_folder",
    "document_path",
    "is_merged",
    "manifest_path",
    "merged_name",
    "parse_document_path",
    "parse_file_name",
    "parse_run_folder",
    "place_text",
    "quote_part",
    "read_place",
    "run_folder",
    "unquote_part",
]

#: The version of the layout, in each run document and in the metadata of each Parquet file (``tracelet.format``). A
#: reader refuses a later one.
FORMAT: Final = 1

METRICS: Final = "metrics"
PARAMS: Final = "params"
TAGS: Final = "tags"
EVENTS: Final = "events"
#: The kinds of data files, each a folder of a run.
KINDS: Final = (METRICS, PARAMS, TAGS, EVENTS)

RUNS: Final = "runs"
ARTIFACTS: Final = "artifacts/sha256"
MERGED_PREFIX: Final = "merged-"
#: The partition of runs without a project. Engines that know Hive's partitions read it as NULL.
NO_PROJECT: Final = "__HIVE_DEFAULT_PARTITION__"

#: A record's id, and the key of each row: the same each time that the record is delivered.
KEY: Final = ("writer", "sequence", "index")

_ID: Final = {"rank": "int32", "writer": "string", "sequence": "int64", "index": "int32"}

#: The columns of each kind of file, in order, with their Arrow types. All may be NULL except those of the key, ``name``
#: and ``value`` of a point. ``time`` is in seconds since the epoch, exactly as recorded.
COLUMNS: Final[dict[str, dict[str, str]]] = {
    METRICS: {
        "name": "string",
        "step": "int64",
        "value": "float64",
        "time": "float64",
        "type": "string",  # "scalar", "system", ...
        "source": "string",  # the plugin that measured it; NULL for the program itself
        **_ID,
    },
    # ``value`` is JSON (NaN and infinities as in tracelet_hookspecs.strict_json). A later row replaces an earlier one.
    PARAMS: {"name": "string", "value": "string", "time": "float64", **_ID},
    # ``value`` is the text of the tag, or JSON for other types; NULL for a tag that was removed.
    TAGS: {"name": "string", "value": "string", "time": "float64", **_ID},
    EVENTS: {
        "type": "string",  # as in the journal ("writer", "run", "artifact", "outcome", ...); or "file"
        "name": "string",  # of an artifact or a medium
        "media": "string",  # the kind of a medium ("image", "table", ...)
        "step": "int64",  # of a medium
        "path": "string",  # of an artifact, or of a "file" of it: relative to the run's folder
        "size": "int64",  # of a "file", in bytes
        "sha256": "string",  # of a "file": its contents are at artifact_path(sha256)
        "time": "float64",
        "payload": "string",  # JSON, as in the journal; NULL for a "file"
        **_ID,  # the files of an artifact have its writer and sequence, and the index 1, 2, ...
    },
}

#: How the rows of each kind of file are sorted.
SORTED_BY: Final[dict[str, tuple[str, ...]]] = {
    METRICS: ("name", "type", "source", "writer", "sequence", "index"),
    PARAMS: ("writer", "sequence", "index"),
    TAGS: ("writer", "sequence", "index"),
    EVENTS: ("writer", "sequence", "index"),
}

#: Columns that are stored with a dictionary.
DICTIONARY_COLUMNS: Final = ("name", "type", "source", "rank", "writer")

_LONGEST_PART: Final = 180  # characters, after quoting: file systems allow 255 bytes
_DIGITS: Final = 16  # of a sequence number, so that names sort as numbers do
_NAME: Final = re.compile(
    r"(?P<writer>.+)-(?P<first>[0-9]{16,})(?:\.(?P<first_index>[0-9]+))?"
    r"-(?P<last>[0-9]{16,})(?:\.(?P<last_index>[0-9]+))?\.parquet"
)


class Place(NamedTuple):
    """A row's place among those of its writer."""

    sequence: int
    index: int = 0  # type: ignore[assignment]  # of the value in its record


class FileName(NamedTuple):
    """What the name of a data file says: whose rows it has, from the first to the last. Some between may be missing."""

    writer: str
    first: Place
    last: Place


def quote_part(text: str) -> str:
    """Return a text as a part of a path: percent-encoded, as Hive, Spark, DuckDB and PyArrow encode partitions.

    One that is too long for a file system is cut, and gets a hash at the end; the run document has all of it.
    """
    quoted = quote(text, safe="", errors="surrogatepass")
    if len(quoted) <= _LONGEST_PART:
        return quoted
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return re.sub("%[0-9A-F]?$", "", quoted[: _LONGEST_PART - 17]) + "~" + digest


def unquote_part(part: str) -> str:
    """Return the text of a part of a path."""
    return unquote(part, errors="surrogatepass")


def _project_part(project: str) -> str:
    return f"project={quote_part(project) if project else NO_PROJECT}"


def _project_of(part: str) -> str:
    return "" if part == NO_PROJECT else unquote_part(part)


def run_folder(project: str, run_id: str) -> str:
    """Return the folder of a run's data files."""
    return f"{_project_part(project)}/run={quote_part(run_id)}"


def parse_run_folder(path: str) -> tuple[str, str] | None:
    """Return project and run id of a path that contains the folder of a run, ``None`` for any other path."""
    found = re.search(r"(?:^|/)project=([^/]*)/run=([^/]+)(?:/|$)", path)
    if found is None:
        return None
    return _project_of(found[1]), unquote_part(found[2])


def document_path(project: str, run_id: str) -> str:
    """Return the path of a run's document."""
    return f"{RUNS}/{_project_part(project)}/{quote_part(run_id)}.json"


def parse_document_path(path: str) -> tuple[str, str] | None:
    """Return project and run id of a run document's path, ``None`` for any other path."""
    found = re.search(r"(?:^|/)runs/project=([^/]*)/([^/]+)\.json$", path)
    if found is None:
        return None
    return _project_of(found[1]), unquote_part(found[2])


def data_folder(project: str, run_id: str, kind: str) -> str:
    """Return the folder of a run's files of one of :data:`KINDS`."""
    return f"{run_folder(project, run_id)}/{kind}"


def data_file(project: str, run_id: str, kind: str, name: FileName) -> str:
    """Return the path of a data file. The same rows always have the same path."""
    places = f"{place_text(name.first)}-{place_text(name.last)}"
    return f"{data_folder(project, run_id, kind)}/{quote_part(name.writer)}-{places}.parquet"


def place_text(place: Place) -> str:
    """Return a place as text; the index only if it isn't 0."""
    return f"{place.sequence:0{_DIGITS}d}" + (f".{place.index}" if place.index else "")


def read_place(text: str) -> Place:
    """Return the place that a text stands for."""
    sequence, _, index = text.partition(".")
    return Place(int(sequence), int(index or 0))


def parse_file_name(path: str) -> FileName | None:
    """Return what the name of a data file says, ``None`` for a merged file and for any other path."""
    name = path.rpartition("/")[2]
    found = _NAME.fullmatch(name)
    if found is None or is_merged(name):
        return None
    first = Place(int(found["first"]), int(found["first_index"] or 0))
    last = Place(int(found["last"]), int(found["last_index"] or 0))
    return FileName(unquote_part(found["writer"]), first, last)


def merged_name(generation: int, digest: str) -> str:
    """Return the name of a file that has the rows of several; ``digest`` is that of its contents."""
    return f"{MERGED_PREFIX}{generation:06d}-{digest[:12]}.parquet"


def is_merged(path: str) -> bool:
    """Say whether a path is that of a merged file. It counts only if the run's manifest lists it."""
    return path.rpartition("/")[2].startswith(MERGED_PREFIX)


def manifest_path(project: str, run_id: str) -> str:
    """Return the path of a run's manifest, a JSON object.

    ``format``; ``generation``; ``files``, the merged files; ``replaced``, the files whose rows they have, which may
    still exist; ``replaced_at``, since when; ``merged_at``. All paths in it are relative to the run's folder. The data
    files of a run are ``files``, and all others that are neither merged files nor ``replaced``.
    """
    return f"{run_folder(project, run_id)}/merged.json"


def artifact_path(sha256: str) -> str:
    """Return the path of the contents with this SHA-256."""
    return f"{ARTIFACTS}/{sha256[:2]}/{sha256}"
