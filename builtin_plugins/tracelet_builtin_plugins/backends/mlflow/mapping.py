"""What MLflow can hold, and how everything else is mapped. Pure rules: no I/O, and no MLflow.

The limits are those of MLflow's ``utils/validation.py`` (3.1 to 3.17) and of the columns of its database.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from tracelet_builtin_plugins.naming import MARK_LENGTH, fit_name, mark_of

__all__ = [
    "MAPPING",
    "MAX_FLOAT",
    "artifact_name",
    "chunks",
    "cost",
    "experiment_name",
    "fit_text",
    "image_key",
    "metric_key",
    "milliseconds",
    "note_infinity",
    "number",
    "own_tag",
    "parts_of",
    "run_name",
    "status_of",
    "step_of",
    "tag_key",
    "text",
]

KEY_LIMIT: Final = 250
PARAM_LIMIT: Final = 6000
TAG_LIMIT: Final = 8000
NAME_LIMIT: Final = 250  # of runs and experiments: columns of the database
FILE_LIMIT: Final = 200  # bytes of a file's name; file systems take 255
METRICS_PER_REQUEST: Final = 1000
OTHERS_PER_REQUEST: Final = 100
REQUEST_LIMIT: Final = 900_000  # characters; MLflow refuses more than a million
MAX_PARTS: Final = 10
MAX_FLOAT: Final = 1.7976931348623157e308
_INT64: Final = 2**63 - 1

MAPPING: Final[Mapping[str, str]] = {
    "keys of metrics, parameters and tags": (
        "characters other than letters, digits and _-./: space become '_', parts such as '//' or '..' too, and keys are"
        " cut at 250 characters; a changed key ends in a hash, and tag tracelet.name.KEY has the original"
    ),
    "infinities": "stored as +-1.7976931348623157e308; tag tracelet.inf.KEY lists their steps",
    "NaN": "stored as NaN",
    "a missing step": "step 0",
    "timestamps": "milliseconds, of the journal; equal points of the same millisecond and step are stored once",
    "a parameter that changes": "the first value stays; tag tracelet.param.NAME has the latest",
    "a parameter over 6,000 or tag over 8,000 characters": (
        "cut, with a hash at the end; tags tracelet.param.NAME, tracelet.param.NAME.2, ... have up to 80,000 characters"
    ),
    "outcomes": (
        "finished: FINISHED, failed: FAILED, killed: KILLED; any other is FINISHED; tag tracelet.outcome has"
        " the original"
    ),
    "artifacts": "a later version replaces an earlier one; characters that a path cannot have become '_'",
    "images": "images/NAME+step+... as MLflow's log_image names them; tables as its log_table writes them",
}

# Names are used as paths in places, so MLflow refuses those that a file system would take for another name.
_REFUSED: Final = re.compile(r"[^/\w.\- :]|^/|/(?=/)|/$|(?:^|(?<=/))\.{1,2}(?=/|$)|^\.\.")
_REFUSED_TAG: Final = re.compile(rf"^tracelet\.|{_REFUSED.pattern}")
_REFUSED_IMAGE: Final = re.compile(r"[^a-zA-Z0-9_\-./ ]")
_REFUSED_FILE: Final = re.compile(r"[\x00-\x1f\x7f\\#%?:*\"<>|/]|^\.{1,2}$")

_STATUS: Final = {"running": "RUNNING", "failed": "FAILED", "killed": "KILLED"}
_ENDED_EARLY: Final = {"preempted", "interrupted", "cancelled", "canceled", "aborted", "terminated"}

Item = TypeVar("Item")


def metric_key(name: str) -> str:
    """Return the key of a metric or parameter."""
    return fit_name(name, refused=_REFUSED, limit=KEY_LIMIT)


def tag_key(name: str) -> str:
    """Return the key of a tag of the user's; keys with ``tracelet.`` in front belong to this plugin."""
    return fit_name(name, refused=_REFUSED_TAG, limit=KEY_LIMIT)


def own_tag(kind: str, key: str) -> str:
    """Return the key of a tag in which the plugin keeps what does not fit elsewhere."""
    return fit_name(f"tracelet.{kind}.{key}", refused=_REFUSED, limit=KEY_LIMIT)


def experiment_name(name: str) -> str:
    """Return the name of an experiment."""
    return fit_text(name.strip() or "Default", NAME_LIMIT)


def run_name(name: str) -> str:
    """Return the name of a run."""
    return fit_text(name, NAME_LIMIT)


def text(value: Any) -> str:
    """Return a value as MLflow's own client shows it (``str(value)``); lists and mappings become JSON.

    What a database cannot store becomes an escape sequence: a null character, and half of a surrogate pair.
    """
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else str(value)
    clean: str = value.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()
    return clean


def fit_text(value: str, limit: int) -> str:
    """Return a text that is cut at a limit; one that was cut ends in a hash of all of it."""
    clean = text(value)
    return clean if len(clean) <= limit else clean[: limit - MARK_LENGTH] + mark_of(clean)


def parts_of(kind: str, key: str, value: str) -> dict[str, str]:
    """Return tags with a whole text that a parameter or tag could not hold."""
    pieces = [value[at : at + TAG_LIMIT] for at in range(0, max(1, len(value)), TAG_LIMIT)][:MAX_PARTS]
    return {
        own_tag(kind, key if not number else f"{key}.{number + 1}"): piece
        for number, piece in enumerate(pieces)
    }


def number(value: float) -> float:
    """Return the value that MLflow stores: infinities become the largest number."""
    return math.copysign(MAX_FLOAT, value) if math.isinf(value) else value


def note_infinity(note: str, value: float, step: int) -> str:
    """Return the text of the tag that says at which steps a metric was infinite, with one more step.

    It stays within the limit of a tag: later steps are then left out, and ``"more"`` says so.
    """
    known: dict[str, Any] = json.loads(note) if note else {}
    sign = "inf" if value > 0 else "-inf"
    if known.get("more") or step in known.get(sign, ()):
        return note
    longer = json.dumps({**known, sign: [*known.get(sign, []), step]})
    return longer if len(longer) < TAG_LIMIT - 20 else json.dumps({**known, "more": True})


def step_of(iteration: int | None) -> int:
    """Return a step that MLflow can hold: a whole number of 64 bits."""
    return 0 if iteration is None else max(-_INT64, min(_INT64, int(iteration)))


def milliseconds(seconds: float | None) -> int:
    """Return a timestamp in milliseconds; MLflow refuses negative ones."""
    return max(0, round((seconds or 0.0) * 1000))


def status_of(outcome: str) -> str:
    """Return MLflow's status for an outcome."""
    return "KILLED" if outcome in _ENDED_EARLY else _STATUS.get(outcome, "FINISHED")


def artifact_name(name: str) -> str:
    """Return a file's name that MLflow's server and its storage accept; a short suffix, as ``.png``, stays."""
    clean = text(name)
    fitted = _REFUSED_FILE.sub("_", clean) or "_"
    if fitted == name and len(fitted.encode()) <= FILE_LIMIT:
        return name
    stem, suffix = os.path.splitext(fitted)
    if len(suffix.encode()) > MARK_LENGTH:
        stem, suffix = fitted, ""
    room = FILE_LIMIT - MARK_LENGTH - len(suffix.encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + mark_of(name) + suffix


def image_key(name: str) -> str:
    """Return an image's name in the form in which MLflow's ``log_image`` puts it into a file's name."""
    return fit_name(name, refused=_REFUSED_IMAGE, limit=100).replace("/", "~")


def cost(key: str, value: str = "") -> int:
    """Return about how many characters an entry takes in a request's JSON, in which ``\\uXXXX`` replaces others."""
    return 150 + sum(
        len(word) if word.isascii() and word.isprintable() else 12 * len(word) for word in (key, value)
    )


def chunks(items: Iterable[Item], cost_of: Callable[[Item], int], most: int) -> Iterator[list[Item]]:
    """Yield items in lists that fit into one request each."""
    chunk: list[Item] = []
    size = 0
    for item in items:
        size += (more := cost_of(item))
        if chunk and (len(chunk) == most or size > REQUEST_LIMIT):
            yield chunk
            chunk, size = [], more
        chunk.append(item)
    if chunk:
        yield chunk
