"""The tables of the index. A change here needs a new version, and nothing else: older indexes are left alone."""

from __future__ import annotations

from typing import Final

VERSION: Final = 1

TABLES: Final = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    looks INTEGER NOT NULL,      -- how often the row was written: who writes it next must have seen the last
    name TEXT NOT NULL,
    project TEXT NOT NULL,
    started REAL NOT NULL,       -- seconds since the epoch
    ended REAL,
    outcome TEXT NOT NULL,
    error TEXT,
    host TEXT,
    problem TEXT,
    params TEXT NOT NULL,        -- JSON, as recorded
    tags TEXT NOT NULL,
    settled INTEGER NOT NULL,    -- when the journal's folder changed last (ns), where nothing else can have; else 0
    doubtful INTEGER NOT NULL,   -- whether a process only seems to have been killed, and may write on
    seen TEXT NOT NULL,          -- JSON: the state of the journal's files at the last look, and the cursors
    history TEXT NOT NULL        -- JSON: what later events are added to
);
CREATE TABLE params (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    key TEXT NOT NULL,
    number,                      -- the value, where it is a number or reads like one
    text TEXT,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE TABLE tags (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    key TEXT NOT NULL,
    number,
    text TEXT,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE TABLE metrics (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
    name TEXT NOT NULL,
    last, min, max, mean,        -- NULL stands for NaN; without a type, since REAL would take the sign of -0.0
    count INTEGER NOT NULL,
    nans INTEGER NOT NULL,
    last_step INTEGER NOT NULL,
    first_time, last_time,
    type TEXT NOT NULL,
    source TEXT,
    tallies TEXT NOT NULL,       -- JSON: by process, what later points are added to
    PRIMARY KEY (run, name)
) WITHOUT ROWID;
"""
