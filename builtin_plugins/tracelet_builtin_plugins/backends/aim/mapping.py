"""How names, values, parameters and media appear in Aim. Pure rules, without input or output."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from tracelet_builtin_plugins.naming import fit_name

__all__ = [
    "MAPPING",
    "bins_of",
    "media_context",
    "media_type",
    "parameter_key",
    "parameter_value",
    "run_hash",
    "sequence_name",
    "step_of",
    "tag_key",
    "tag_text",
    "text",
]

NAME_LIMIT: Final = 1000
MOST_BINS: Final = 512  # of a distribution
MOST_INT: Final = 2**63 - 1

MAPPING: Final[Mapping[str, str]] = {
    "names over 1,000 characters": "shortened, with a hash at the end; half surrogates become '_'",
    "a repeated step": "Aim keeps the last value of a metric at a step",
    "a missing step": "whole milliseconds since the run's start",
    "steps beyond 2^53": "neighbors may meet, since Aim looks steps up as float64",
    "NaN and infinities": "kept",
    "timestamps": "those of the journal",
    "parameters": "run['hparams', NAME]; a number beyond 64 bits is a text; the last value counts",
    "tags": "run['tags', KEY]; Aim's own tags have key=value, or the key alone",
    "media": "images, texts, audio and histograms with equal bins as Aim's objects, with the context {'media': KIND};"
    " everything else as artifacts",
    "artifacts": "by reference: the address of the copy in the run's folder",
}

_UNENCODABLE: Final = re.compile(r"[\ud800-\udfff\0]")
_NO_TAG_KEY: Final = re.compile(r"[\ud800-\udfff\0=]")
_TYPES: Final = {
    "image": "image",
    "figure": "image",
    "text": "text",
    "audio": "audio",
    "histogram": "distribution",
}
_PICTURES: Final = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")
_SOUNDS: Final = (".wav", ".mp3", ".flac")


def run_hash(run_id: str) -> str:
    """Return the hash of the run in Aim: 24 hexadecimal digits, as Aim's own."""
    return hashlib.sha256(run_id.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def sequence_name(name: str) -> str:
    """Return the name of a metric or a medium."""
    return fit_name(name, refused=_UNENCODABLE, limit=NAME_LIMIT)


def step_of(step: int | None, timestamp: float | None, started_at: float) -> int:
    """Return the step of a point; without one, the whole milliseconds since the run's start."""
    if step is None:
        step = max(0, round(((timestamp or started_at) - started_at) * 1000))
    return max(-MOST_INT - 1, min(MOST_INT, int(step)))


def parameter_key(name: str) -> str:
    """Return the key of a parameter."""
    return fit_name(name, refused=_UNENCODABLE, limit=NAME_LIMIT)


def parameter_value(value: Any) -> Any:
    """Return a value that Aim can store: numbers, texts, and lists and mappings of them."""
    if isinstance(value, Mapping):
        return {text(str(key)): parameter_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [parameter_value(one) for one in value]
    if isinstance(value, bool | float) or value is None:
        return value
    if isinstance(value, int) and -MOST_INT - 1 <= value <= MOST_INT:
        return value
    return text(str(value))


def tag_key(key: str) -> str:
    """Return a tag's key; a ``=`` in it would be taken for the beginning of the value."""
    return fit_name(key, refused=_NO_TAG_KEY, limit=NAME_LIMIT)


def tag_text(key: str, value: Any) -> str:
    """Return a tag: ``key=value``, or the key alone if the value is empty."""
    return tag_key(key) if value in ("", None, True) else text(f"{tag_key(key)}={value}")


def text(value: str) -> str:
    r"""Return a text without what UTF-8 or a database cannot hold: ``\0``, and half of a surrogate pair."""
    return value.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


def media_type(kind: str, file: str) -> str | None:
    """Return which of Aim's objects a medium is, or ``None`` if it is none: then it is an artifact."""
    known = _TYPES.get(kind)
    suffixes = {"image": _PICTURES, "audio": _SOUNDS}.get(known or "")
    return known if suffixes is None or file.lower().endswith(suffixes) else None


def media_context(kind: str) -> dict[str, str]:
    """Return the context of media: Aim cannot keep two types of values under one name and context."""
    return {"media": text(kind)}


def bins_of(content: bytes) -> tuple[list[float], tuple[float, float]] | None:
    """Return the counts and the range of a histogram, or ``None`` if its bins do not have equal widths."""
    try:
        histogram = json.loads(content)
        edges = [float(edge) for edge in histogram["edges"]]
        counts = [float(count) for count in histogram["counts"]]
    except (ValueError, LookupError, TypeError):
        return None
    if not 1 <= len(counts) <= MOST_BINS or len(edges) != len(counts) + 1:
        return None
    width = (edges[-1] - edges[0]) / len(counts)
    if not all(math.isclose(high - low, width, rel_tol=1e-6) for low, high in pairwise(edges)):
        return None
    return counts, (edges[0], edges[-1])
