"""The tables of the index. A change here needs a new version and nothing else: an older index is left alone."""

from __future__ import annotations

from typing import Final

VERSION: Final = 3

STATEMENTS: Final = (
    """CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    looks INTEGER NOT NULL,      -- number of writes of this row: a writer must have read the latest version
    name TEXT NOT NULL,
    project TEXT NOT NULL,
    started REAL NOT NULL,       -- seconds since the epoch
    ended REAL,
    outcome TEXT NOT NULL,
    error TEXT,
    host TEXT,
    "group" TEXT,
    parent TEXT,                 -- the id of another run
    job_type TEXT,
    notes TEXT,
    archived INTEGER NOT NULL,
    goals TEXT NOT NULL,         -- JSON: as recorded
    problem TEXT,
    exact TEXT,                  -- JSON: the texts above if UTF-8 cannot hold them, else NULL
    params TEXT NOT NULL,        -- JSON, as recorded
    tags TEXT NOT NULL,
    active REAL NOT NULL,        -- seconds in all attempts that are over
    running_since REAL,
    settled INTEGER NOT NULL,    -- change of the journal's folder (ns) if no other change is possible, else 0
    doubtful INTEGER NOT NULL,   -- whether a process that seems to have been killed may still write
    seen TEXT NOT NULL,          -- JSON: the state of the journal's files at the last look, and the cursors
    history TEXT NOT NULL        -- JSON: the state that later events are added to
)""",
    """CREATE TABLE params (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    key TEXT NOT NULL,
    number,                      -- the value, if it is a number or reads like one
    text TEXT,
    PRIMARY KEY (run, key)
) WITHOUT ROWID""",
    """CREATE TABLE tags (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    key TEXT NOT NULL,
    number,
    text TEXT,
    PRIMARY KEY (run, key)
) WITHOUT ROWID""",
    """CREATE TABLE goals (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    place INTEGER NOT NULL,      -- of several that fit a metric, the exact name counts, then the last pattern
    pattern TEXT NOT NULL,
    goal TEXT NOT NULL,          -- min, max or last
    PRIMARY KEY (run, place)
) WITHOUT ROWID""",
    """CREATE TABLE metrics (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    name TEXT NOT NULL,          -- the key: the recorded name, with the source if several recorded it
    recorded TEXT NOT NULL,      -- JSON: the recorded name, exact
    last, min, max, mean,        -- NULL is NaN; without a type, because REAL would lose the sign of -0.0
    count INTEGER NOT NULL,
    nans INTEGER NOT NULL,
    last_step INTEGER NOT NULL,
    first_time, last_time,
    type TEXT NOT NULL,
    source TEXT,
    accumulators TEXT NOT NULL,  -- JSON: by process, the state that later points are added to
    PRIMARY KEY (run, name)
) WITHOUT ROWID""",
    "CREATE TABLE origin (seal TEXT NOT NULL)",  # proves that this user made the file, here
)
