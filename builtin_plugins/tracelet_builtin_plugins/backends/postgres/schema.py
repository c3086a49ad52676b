"""The tables: their SQL, version by version, and how they get into a database."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["LATEST", "ensure_schema", "installation", "quote_schema"]

_TABLES: Final = """
CREATE TABLE {schema}.runs (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    project text NOT NULL,
    started_at timestamptz,
    ended_at timestamptz,
    outcome text NOT NULL DEFAULT 'running',
    details jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE {schema}.run_changes (
    run_id text COLLATE "C" NOT NULL REFERENCES {schema}.runs ON DELETE CASCADE,
    changes jsonb NOT NULL,
    writer uuid NOT NULL,
    sequence bigint NOT NULL,
    index integer NOT NULL,
    received bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (run_id, writer, sequence, index)
);
CREATE TABLE {schema}.writers (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text COLLATE "C" NOT NULL REFERENCES {schema}.runs ON DELETE CASCADE,
    writer uuid NOT NULL,
    UNIQUE (run_id, writer)
);
CREATE TABLE {schema}.series (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text COLLATE "C" NOT NULL REFERENCES {schema}.runs ON DELETE CASCADE,
    name text NOT NULL,
    kind text NOT NULL,
    source text,
    original_name text,
    digest uuid NOT NULL UNIQUE
);
CREATE INDEX series_run_id ON {schema}.series (run_id);
-- No foreign keys here: checking them for each row would halve the speed.
CREATE TABLE {schema}.points (
    series bigint NOT NULL,
    sequence bigint NOT NULL,
    writer integer NOT NULL,
    index integer NOT NULL,
    step bigint,
    time timestamptz,
    value double precision NOT NULL,
    PRIMARY KEY (series, sequence, writer, index)
);
CREATE VIEW {schema}.metrics AS
    SELECT s.run_id, s.name, p.step, p.value, p.time, s.kind, s.source, w.writer, p.sequence, p.index
    FROM {schema}.points p
    JOIN {schema}.series s ON s.id = p.series
    LEFT JOIN {schema}.writers w ON w.id = p.writer;
CREATE TABLE {schema}.params (
    run_id text COLLATE "C" NOT NULL REFERENCES {schema}.runs ON DELETE CASCADE,
    name text NOT NULL,
    value jsonb NOT NULL,
    original_name text,
    writer uuid NOT NULL,
    sequence bigint NOT NULL,
    index integer NOT NULL,
    received bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (run_id, writer, sequence, index)
);
CREATE VIEW {schema}.current_params AS
    SELECT DISTINCT ON (run_id, name) run_id, name, value
    FROM {schema}.params ORDER BY run_id, name, received DESC;
CREATE TABLE {schema}.tags (
    run_id text COLLATE "C" NOT NULL REFERENCES {schema}.runs ON DELETE CASCADE,
    name text NOT NULL,
    value text,
    original_name text,
    writer uuid NOT NULL,
    sequence bigint NOT NULL,
    index integer NOT NULL,
    received bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (run_id, writer, sequence, index)
);
CREATE VIEW {schema}.current_tags AS
    SELECT run_id, name, value FROM (
        SELECT DISTINCT ON (run_id, name) run_id, name, value
        FROM {schema}.tags ORDER BY run_id, name, received DESC
    ) latest WHERE value IS NOT NULL;
CREATE TABLE {schema}.artifacts (
    run_id text COLLATE "C" NOT NULL REFERENCES {schema}.runs ON DELETE CASCADE,
    path text NOT NULL,
    artifact_path text,
    kind text NOT NULL,
    name text,
    step bigint,
    time timestamptz,
    size bigint,
    sha256 text,
    writer uuid NOT NULL,
    sequence bigint NOT NULL,
    index integer NOT NULL,
    PRIMARY KEY (run_id, writer, sequence, index)
);
-- A role that may only INSERT keeps "runs" current through this trigger, which runs with its owner's rights.
CREATE FUNCTION {schema}.apply_run_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE {schema}.runs SET
        name = coalesce(NEW.changes->>'name', name),
        project = coalesce(NEW.changes->>'project', project),
        outcome = coalesce(NEW.changes->>'outcome', outcome),
        ended_at = CASE WHEN NEW.changes->>'outcome' = 'running' THEN NULL
            ELSE greatest(ended_at, (NEW.changes->>'ended_at')::timestamptz) END,
        details = details || (NEW.changes - '{name,project,outcome,ended_at}'::text[])
    WHERE id = NEW.run_id;
    RETURN NULL;
END $$;
CREATE TRIGGER apply_run_change AFTER INSERT ON {schema}.run_changes
    FOR EACH ROW EXECUTE FUNCTION {schema}.apply_run_change();
"""

#: The SQL that leads to version 1, 2, ... A published one never changes.
MIGRATIONS: Final[list[str]] = [_TABLES]
LATEST: Final = len(MIGRATIONS)

_FIRST: Final = """
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE {schema}.schema_version (
    version integer PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""
_LOCK: Final = 0x7472_6163_656C_6574  # "tracelet": one process at a time changes tables

RUN_MODULE: Final = "tracelet_builtin_plugins.backends.postgres"


def quote_schema(name: str) -> str:
    """Return a schema's name as SQL. Raises ``ValueError`` for a name that cannot be one."""
    size = len(name.encode("utf-8", "surrogatepass"))
    if not 0 < size < 64 or "\x00" in name or name.startswith("pg_"):
        raise ValueError(
            "plugins.postgres.schema: expected a name of 1 to 63 bytes that does not begin with 'pg_',"
            f" found {name!r}"
        )
    return '"' + name.replace('"', '""') + '"'


def installation(schema: str, version: int = 0) -> str:
    """Return the SQL that takes a database from a version (0: nothing there) to the latest one."""
    parts = ["" if version else _FIRST]
    for number, text in enumerate(MIGRATIONS[version:], version + 1):
        parts += [text, f"INSERT INTO {{schema}}.schema_version (version) VALUES ({number});\n"]
    return "".join(parts).replace("{schema}", quote_schema(schema))


def ensure_schema(connection: Any, schema: str) -> None:
    """Create the tables, or bring them to the latest version, if necessary.

    Raises ``PermissionError`` if the role may not, with the commands that somebody else has to run, and
    ``ValueError`` if the tables are of a later version.
    """
    import psycopg

    try:
        if read_version(connection, schema) == LATEST:
            return
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
            version = read_version(connection, schema)
            if version != LATEST:
                connection.execute(_without_create(connection, schema, installation(schema, version)))
    except psycopg.errors.InsufficientPrivilege as error:
        raise PermissionError(_remedy(connection, schema, str(error))) from None


def _without_create(connection: Any, schema: str, text: str) -> str:
    """Leave out CREATE SCHEMA if the schema exists: even with IF NOT EXISTS it needs a privilege."""
    row = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone()
    return text.replace(f"CREATE SCHEMA IF NOT EXISTS {quote_schema(schema)};", "", 1) if row else text


def read_version(connection: Any, schema: str) -> int:
    """Return the version of the tables, 0 if there are none."""
    # Not to_regclass(): while this process waited for the lock, its cache may have missed what another one created.
    found = connection.execute(
        "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = 'schema_version'",
        [schema],
    ).fetchone()
    if found is None:
        return 0
    table = f"{quote_schema(schema)}.schema_version"
    version: int = connection.execute(f"SELECT coalesce(max(version), 0) FROM {table}").fetchone()[0]
    if version > LATEST:
        raise ValueError(
            f"plugins.postgres.schema: the tables in schema {schema!r} have version {version}, this tracelet knows"
            f" versions up to {LATEST}; run: pip install -U tracelet"
        )
    return version


def _remedy(connection: Any, schema: str, reason: str) -> str:
    database, role = connection.info.dbname, connection.info.user
    quoted, words = quote_schema(schema), "" if schema == "tracelet" else f" --schema {schema}"
    return (
        f"role {role!r} may not create or use the tables in schema {schema!r} of database {database!r}"
        f" ({' '.join(reason.split())}); have the database's owner run: python -m {RUN_MODULE}{words} | psql {database}"
        f" and then, in psql: GRANT USAGE ON SCHEMA {quoted} TO {role};"
        f" GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {quoted} TO {role}"
    )
