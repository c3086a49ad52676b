"""A backend that keeps all promises, its far side being an SQLite file, and variants that each break one."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from pathlib import Path

from tracelet.core.plugins import BackendPlugin, PluginMetadata
from tracelet.testing import FarSide

TABLES = """
    create table if not exists points (
        run text, writer text, seq integer, at integer, name text, step integer, value real, time real,
        primary key (run, writer, seq, at)
    );
    create table if not exists facts (run text, kind text, key text, value text, primary key (run, kind, key));
    create table if not exists files (run text, path text, data blob, primary key (run, path));
    create table if not exists media (run text, name text, step integer, kind text, data blob, id text unique);
"""


class Shelf(BackendPlugin):
    """Keeps everything in an SQLite file."""

    @classmethod
    def get_metadata(cls):
        schema = {"path": {"type": "string", "required": True}, "token": {"type": "string", "secret": True}}
        return PluginMetadata("shelf", "1", "backend", config_schema=schema)

    def initialize(self, config):
        self.path = config["path"]

    def start(self):
        self.base = sqlite3.connect(self.path)
        self.base.executescript(TABLES)

    def stop(self):
        self.base.close()

    def get_status(self):
        return {"path": self.path}

    def value_of(self, point):
        return "nan" if point.value != point.value else point.value  # SQLite keeps NaN as NULL

    def time_of(self, point):
        return point.timestamp

    def name_of(self, point):
        return point.name

    def log_metrics(self, points, run):
        rows = [
            (
                run.id,
                *point.id,
                self.name_of(point),
                point.iteration,
                self.value_of(point),
                self.time_of(point),
            )
            for point in points
        ]
        with self.base:
            self.base.executemany("insert or ignore into points values (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def log_metric(self, name, value, iteration): ...

    def log_params(self, params, run):
        self.keep_facts(run, "param", params)

    def set_tags(self, tags, run):
        self.keep_facts(run, "tag", tags)

    def keep_facts(self, run, kind, facts):
        rows = [(run.id, kind, key, json.dumps(value)) for key, value in facts.items()]
        with self.base:
            self.base.executemany("insert or replace into facts values (?, ?, ?, ?)", rows)

    def log_artifact(self, local_path, artifact_path, run):
        local = Path(local_path)
        files = [path for path in local.rglob("*") if path.is_file()] if local.is_dir() else [local]
        rows = []
        for path in files:
            inside = Path(artifact_path or "", local.name, *path.relative_to(local).parts)
            rows.append((run.id, inside.as_posix(), path.read_bytes()))
        with self.base:
            self.base.executemany("insert or replace into files values (?, ?, ?)", rows)

    def log_media(self, name, step, kind, path, run, id):
        with self.base:
            row = (run.id, name, step, kind, Path(path).read_bytes(), json.dumps(id))
            self.base.execute("insert or ignore into media values (?, ?, ?, ?, ?, ?)", row)


def read_shelf(path, run):
    """Return what the file has of a run."""
    base = sqlite3.connect(path)
    try:
        metrics = {}
        rows = base.execute(
            "select name, step, value, time from points where run = ? order by rowid", [run.id]
        )
        for name, step, value, when in rows:
            metrics.setdefault(name, []).append((step, float(value), when))
        facts = base.execute("select kind, key, value from facts where run = ?", [run.id]).fetchall()
        files = base.execute("select path, data from files where run = ?", [run.id]).fetchall()
        media = base.execute("select name, step, kind, data from media where run = ?", [run.id]).fetchall()
    finally:
        base.close()
    params = [(key, json.loads(value)) for kind, key, value in facts if kind == "param"]
    tags = [(key, json.loads(value)) for kind, key, value in facts if kind == "tag"]
    return FarSide(metrics, params, tags, files, media)


class Isolated(Shelf):
    """Runs in a process of its own by default, and refuses a wrong token when it is started."""

    @classmethod
    def get_metadata(cls):
        schema = Shelf.get_metadata().config_schema
        return PluginMetadata("shelf", "1", "backend", config_schema=schema, isolation="process")

    def start(self):
        if self.config["token"] == "wrong":
            raise PermissionError("the token is not valid")
        super().start()


class Forgets(Shelf):
    """Breaks ``restarted``: it knows what it has stored, but only until it is started again."""

    def start(self):
        super().start()
        self.seen = set()

    def log_metrics(self, points, run):
        fresh = [point for point in points if point.id not in self.seen]
        self.seen.update(point.id for point in fresh)
        with self.base:
            last = self.base.execute("select coalesce(max(seq), 0) from points").fetchone()[0]
        for at, point in enumerate(fresh, last + 1):
            point.id = ("any", at, 0)
        super().log_metrics(fresh, run)


class AppendsMedia(Shelf):
    """Breaks ``once_events`` and ``restarted_events``: each delivery of a media file is another row."""

    def log_media(self, name, step, kind, path, run, id):
        super().log_media(name, step, kind, path, run, [id, time.time_ns()])


class OwnTime(Shelf):
    """Breaks ``timestamps``."""

    def time_of(self, point):
        return time.time()


class Tells(Shelf):
    """Breaks ``secrets``."""

    def log_metrics(self, points, run):
        logging.getLogger("shelf").debug("posting with %s", self.config.get("token"))
        super().log_metrics(points, run)


class Pollutes(Shelf):
    """Breaks ``global_state``."""

    def start(self):
        super().start()
        os.environ["SHELF_PATH"] = self.path


class PartsOfBatches(Shelf):
    """Breaks ``killed``: a batch is stored in two transactions, and its ids hide the missing half."""

    def log_metrics(self, points, run):
        with self.base:
            known = set(self.base.execute("select writer, seq from points where run = ?", [run.id]))
        if points[0].id[:2] in known:
            return
        third = len(points) // 3  # not half: the next batch after a kill would be exactly the stored part
        for part in (points[:third], points[third:]):
            super().log_metrics(part, run)
            for _ in range(200):
                len(part)
