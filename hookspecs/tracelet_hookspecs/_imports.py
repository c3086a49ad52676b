"""What an importer yields: a run of another tracker, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from tracelet_hookspecs._records import MetricType


@attrs.define
class ImportedPoints:
    """Points of one metric, as columns of equal length, in an order that stays the same when the source grows.

    ``steps`` are whole numbers of 64 bits, ``values`` float64, ``timestamps`` seconds since the epoch. Lists,
    ``array.array`` and NumPy arrays are accepted. ``source`` names what measured the metric, as for
    :class:`MetricData`.
    """

    name: str
    steps: Sequence[int]
    values: Sequence[float]
    timestamps: Sequence[float]
    type: MetricType = MetricType.SCALAR
    source: str | None = None


@attrs.define
class ImportedFile:
    """An artifact, or a medium if ``kind`` is given: ``"image"``, ``"histogram"``, ``"text"``, ``"table"``, ...

    The content is ``data``, or the file at ``path``. That must be a regular file inside the source's folder, without
    links: anything else is left out and counted. ``name`` of an artifact is its file name, and ``artifact_path`` the
    folder among the run's artifacts that it belongs in. ``name`` of a medium is that of the metric, and ``suffix`` the
    end of its file's name (``".png"``).
    """

    name: str
    data: bytes | None = None
    path: str | None = None
    kind: str | None = None
    step: int | None = None
    timestamp: float | None = None
    artifact_path: str | None = None
    suffix: str = ""
    metadata: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.define
class ImportedRun:
    """A run of another tracker, or the next part of it.

    ``key`` identifies the run among all sources of this format, permanently: the run's id in tracelet is derived from
    it. An importer may yield a run in several parts, one after the other, with the same key: points and files are
    added, parameters and tags are merged, and a field of a later part replaces that of an earlier one.

    Times are seconds since the epoch. ``outcome`` is ``"finished"``, ``"failed"``, ``"killed"`` or ``"running"``, and
    ``None`` if the source does not say. ``parent`` is the key of another run of the source. ``facts`` describe the
    program and its machine: ``host``, ``script``, ``argv``, ``python``, and whatever else there is. ``damage`` counts,
    by reason, what could not be read since the part before.
    """

    key: str
    name: str | None = None
    project: str | None = None
    params: Mapping[str, Any] = attrs.field(factory=dict)
    tags: Mapping[str, Any] = attrs.field(factory=dict)
    points: Sequence[ImportedPoints] = ()
    files: Sequence[ImportedFile] = ()
    started_at: float | None = None
    ended_at: float | None = None
    outcome: str | None = None
    error: str | None = None
    group: str | None = None
    parent: str | None = None
    job_type: str | None = None
    notes: str | None = None
    facts: Mapping[str, Any] = attrs.field(factory=dict)
    damage: Mapping[str, int] = attrs.field(factory=dict)
