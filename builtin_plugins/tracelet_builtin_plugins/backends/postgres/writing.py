"""What is written: points by COPY, everything else by INSERT, each record once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime, timezone
from typing import Any, Final

from tracelet_builtin_plugins.backends.postgres.connection import Link, RepeatedRowError
from tracelet_builtin_plugins.backends.postgres.copying import (
    COLUMNS,
    Key,
    are_usual,
    encode_columns,
    encode_points,
    join_rows,
)
from tracelet_builtin_plugins.backends.postgres.mapping import (
    describe_change,
    fit_text,
    json_text,
    make_name,
    original_of,
    series_digest,
    tag_text,
    writer_uuid,
)
from tracelet_builtin_plugins.backends.postgres.schema import quote_schema
from tracelet_hookspecs import MetricColumns, MetricData, RecordId, RunView

__all__ = ["File", "RunWriter"]

_TRIES: Final = 3  # another process may deliver the same records at the same time
_MOST_KNOWN: Final = 200_000  # series to remember the numbers of

File = tuple[str, str | None, str, str | None, int | None, float | None, int | None, str | None]


class RunWriter:
    """Writes one run. Everything may be repeated: rows that exist already stay as they are."""

    def __init__(self, link: Link, schema: str, run: RunView) -> None:
        self._link = link
        self._schema = quote_schema(schema)
        self.id = run.id
        self.run_id = make_name(run.id)
        self._run = run
        self._exists = False
        self._connect = -1  # the number of the connection that the known numbers were read with
        self._series: dict[Key, int] = {}
        self._writers: dict[str, int] = {}
        self.latest: float | None = None  # the time of the latest point
        self.outcome: str | None = None
        self.counts = {"points": 0, "repeated_points": 0}

    # -- the run -----------------------------------------------------------------------------------

    def ensure_run(self) -> None:
        """Create the run's row; mark a run that was resumed as running."""
        self._link.open()
        if self._exists and self._connect == self._link.connects:
            return
        run, schema = self._run, self._schema
        started = moment(run.started_at)
        with self._link.transaction() as connection:
            connection.execute(
                f"INSERT INTO {schema}.runs (id, name, project, started_at) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                [self.run_id, fit_text(run.name), fit_text(run.project), started],
            )
            if started is not None and self.outcome is None:
                ended = connection.execute(
                    f"SELECT 1 FROM {schema}.runs WHERE id = %s AND outcome <> 'running'"
                    " AND greatest(ended_at, started_at + interval '1 second') < %s",
                    [self.run_id, started],
                ).fetchone()
                if ended:
                    self._insert_change(connection, json_text({"outcome": "running"}), uuid.uuid4(), 0)
        if self._connect != self._link.connects:  # it may be another server, after a failover
            self._series, self._writers = {}, {}
        self._exists, self._connect = True, self._link.connects

    def end(self, outcome: str) -> None:
        """Store how the run ended, and when, judging by its latest point."""
        self.outcome = outcome
        self.ensure_run()
        ended = None if self.latest is None or outcome == "running" else moment(self.latest)
        with self._link.transaction() as connection:
            same = connection.execute(
                f"SELECT 1 FROM {self._schema}.runs WHERE id = %s AND outcome = %s"
                " AND (%s::timestamptz IS NULL OR ended_at >= %s)",
                [self.run_id, fit_text(outcome), ended, ended],
            ).fetchone()
            if not same:
                change = {"outcome": outcome, **({"ended_at": ended.isoformat()} if ended else {})}
                self._insert_change(connection, json_text(change), uuid.uuid4(), 0)

    def change(self, changes: Mapping[str, Any], id: RecordId) -> None:
        """Store a change of the run."""
        self.ensure_run()
        with self._link.transaction() as connection:
            self._insert_change(connection, describe_change(changes), writer_uuid(id[0]), id[1])

    def _insert_change(self, connection: Any, changes: str, writer: uuid.UUID, sequence: int) -> None:
        connection.execute(
            f"INSERT INTO {self._schema}.run_changes (run_id, changes, writer, sequence, index)"
            " VALUES (%s, %s, %s, %s, 0) ON CONFLICT DO NOTHING",
            [self.run_id, changes, writer, sequence],
        )

    # -- points ------------------------------------------------------------------------------------

    def store_points(self, points: Sequence[MetricData]) -> None:
        """Store points. The ordinary case is one COPY; only if a row exists are the existing ones looked up."""
        self.ensure_run()
        try:
            rows = encode_points(points, self._series, self._writers)
        except KeyError:
            self._learn(points)
            rows = encode_points(points, self._series, self._writers)
        try:
            self._copy(rows)
        except RepeatedRowError:
            rows = self._copy_missing(points, rows)
        self.counts["points"] += len(rows)
        self.counts["repeated_points"] += len(points) - len(rows)
        if points:
            self.latest = max(points[-1].timestamp or 0.0, self.latest or 0.0)

    def store_columns(self, columns: MetricColumns) -> None:
        """Store points of one writer, which is faster as columns. What is unusual is stored point by point."""
        if not are_usual(columns):
            self.store_points(columns.points())
            return
        self.ensure_run()
        try:
            self._copy_columns(columns)
        except RepeatedRowError:
            self.store_points(columns.points())
            return
        self.counts["points"] += len(columns)
        self.latest = max(columns.times[-1], self.latest or 0.0)

    def _copy_columns(self, columns: MetricColumns) -> None:
        keys = [(name, kind.value, source) for name, kind, source in columns.keys]
        used = {keys[at] for at in set(columns.key_indices)}
        if columns.writer not in self._writers or not self._series.keys() >= used:
            self._learn_keys(used, {columns.writer})
        series = [self._series.get(key, 0) for key in keys]
        self._copy_pieces(encode_columns(columns, series, self._writers[columns.writer]))

    def _copy(self, rows: Sequence[bytes]) -> None:
        self._copy_pieces(join_rows(rows))

    def _copy_pieces(self, pieces: Iterable[bytes]) -> None:
        statement = f"COPY {self._schema}.points ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
        with (
            self._link.transaction() as connection,
            connection.cursor() as cursor,
            cursor.copy(statement) as copy,
        ):
            for piece in pieces:
                copy.write(piece)

    def _copy_missing(self, points: Sequence[MetricData], rows: Sequence[bytes]) -> list[bytes]:
        by_key = dict(zip(map(self._key_of, points), rows, strict=True))
        for _ in range(_TRIES):
            existing = self._existing(list(by_key))
            missing = [row for key, row in by_key.items() if key not in existing]
            try:
                self._copy(missing)
            except RepeatedRowError:
                continue
            return missing
        raise TimeoutError(f"{self._link.server}: another process keeps writing the same points")

    def _key_of(self, point: MetricData) -> tuple[int, int, int, int]:
        writer, sequence, index = point.id  # type: ignore[misc]
        return (
            self._series[point.name, point.type.value, point.source],
            sequence,
            self._writers[writer],
            index,
        )

    def _existing(self, keys: Sequence[tuple[int, int, int, int]]) -> set[tuple[int, int, int, int]]:
        with self._link.transaction() as connection:
            return set(
                connection.execute(
                    f"SELECT series, sequence, writer, index FROM {self._schema}.points JOIN"
                    " unnest(%s::bigint[], %s::bigint[], %s::integer[], %s::integer[])"
                    " AS k (series, sequence, writer, index) USING (series, sequence, writer, index)",
                    [list(column) for column in zip(*keys, strict=True)],
                )
            )

    def _learn(self, points: Iterable[MetricData]) -> None:
        """Find out the numbers of the points' writers and series."""
        keys = {(point.name, point.type.value, point.source) for point in points}
        self._learn_keys(keys, {point.id[0] for point in points if point.id})

    def _learn_keys(self, keys: Set[Key], names: Set[str]) -> None:
        """Find out the numbers of writers and series, and give out new ones."""
        if len(self._series) > _MOST_KNOWN:
            self._series = {}
        keys, names = keys - self._series.keys(), names - self._writers.keys()
        if not keys and not names:
            return
        with self._link.transaction() as connection:
            series = self._learn_series(connection, sorted(keys, key=sort_key)) if keys else {}
            writers = {name: self._learn_writer(connection, writer_uuid(name)) for name in names}
        self._series |= series  # only now, as a transaction that fails takes the numbers back
        self._writers |= writers

    def _learn_series(self, connection: Any, keys: Sequence[Key]) -> dict[Key, int]:
        described = [(make_name(name), kind, source and fit_text(source)) for name, kind, source in keys]
        digests = [series_digest(self.run_id, key[0], key[1], key[2]) for key in keys]
        find = f"SELECT digest, id FROM {self._schema}.series WHERE digest = ANY(%s)"
        known = dict(connection.execute(find, [digests]))
        if len(known) < len(keys):
            new = [at for at, digest in enumerate(digests) if digest not in known]
            columns = [
                *zip(*(described[at] for at in new), strict=True),
                [original_of(keys[at][0]) for at in new],
            ]
            connection.execute(
                f"INSERT INTO {self._schema}.series (run_id, name, kind, source, original_name, digest)"
                " SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::uuid[])"
                " ON CONFLICT DO NOTHING",
                [self.run_id, *map(list, columns), [digests[at] for at in new]],
            )
            known = dict(connection.execute(find, [digests]))
        return {key: known[digest] for key, digest in zip(keys, digests, strict=True)}

    def _learn_writer(self, connection: Any, writer: uuid.UUID) -> int:
        find = f"SELECT id FROM {self._schema}.writers WHERE run_id = %s AND writer = %s"
        row = connection.execute(find, [self.run_id, writer]).fetchone()
        if row is None:
            connection.execute(
                f"INSERT INTO {self._schema}.writers (run_id, writer) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                [self.run_id, writer],
            )
            row = connection.execute(find, [self.run_id, writer]).fetchone()
        number: int = row[0]
        return number

    # -- everything else ---------------------------------------------------------------------------

    def store_params(self, params: Mapping[str, Any], id: RecordId) -> None:
        """Store parameters, each as a row."""
        self._store_values("params", "jsonb", params, [json_text(value) for value in params.values()], id)

    def store_tags(self, tags: Mapping[str, Any], id: RecordId) -> None:
        """Store tags, each as a row."""
        self._store_values("tags", "text", tags, [tag_text(value) for value in tags.values()], id)

    def _store_values(
        self, table: str, kind: str, names: Iterable[str], values: Sequence[str | None], id: RecordId
    ) -> None:
        self.ensure_run()
        names = [str(name) for name in names]
        with self._link.transaction() as connection:
            connection.execute(
                f"INSERT INTO {self._schema}.{table}"
                " (run_id, writer, sequence, name, value, original_name, index)"
                f" SELECT %s, %s, %s, name, value::{kind}, original, number - 1"
                " FROM unnest(%s::text[], %s::text[], %s::text[])"
                " WITH ORDINALITY AS t (name, value, original, number) ORDER BY number ON CONFLICT DO NOTHING",
                [
                    *(self.run_id, writer_uuid(id[0]), id[1]),
                    *(
                        [make_name(name) for name in names],
                        list(values),
                        [original_of(name) for name in names],
                    ),
                ],
            )

    def store_files(self, files: Sequence[File], id: RecordId) -> None:
        """Store where artifacts or media are, each file as a row."""
        self.ensure_run()
        writer = writer_uuid(id[0])
        with self._link.transaction() as connection, connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {self._schema}.artifacts (run_id, writer, sequence, index,"
                " path, artifact_path, kind, name, step, time, size, sha256)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                [
                    (
                        *(
                            self.run_id,
                            writer,
                            id[1],
                            number,
                            fit_text(path),
                            artifact_path and fit_text(artifact_path),
                        ),
                        *(
                            kind,
                            name and fit_text(name),
                            step,
                            moment(when),
                            size,
                            digest and fit_text(digest),
                        ),
                    )
                    for number, (path, artifact_path, kind, name, step, when, size, digest) in enumerate(
                        files
                    )
                ],
            )


def moment(timestamp: float | None) -> datetime | None:
    """Return a time for a statement; ``None`` for one that no calendar has."""
    try:
        return None if timestamp is None else datetime.fromtimestamp(timestamp, timezone.utc)
    except (ValueError, OverflowError, OSError, TypeError):
        return None


def sort_key(key: Key) -> tuple[str, str, str]:
    """Return the place of a series among new ones: in one order everywhere, two processes cannot block each other."""
    name, kind, source = key
    return name, kind, source or ""
