"""Stores and runs from a stranger: nothing in them lies, hangs, leads out of the run or hides other runs."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import struct
import time
import zlib
from pathlib import Path

import pytest

from tracelet.errors import StoreError
from tracelet.store import open_store
from tracelet.store.index.schema import STATEMENTS, VERSION
from tracelet.store.index.seal import key_id


def change(file: Path, *statements: str) -> None:
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        for statement in statements:
            connection.execute(statement)
    connection.close()


# --- indexes -------------------------------------------------------------------------------------------------


def test_an_index_that_came_along_is_not_used(records, tmp_path):
    records.run("a", {"loss": [1.0]})
    store = records.store()
    store.runs()
    change(store.index_file, "UPDATE runs SET name = 'a lie'")
    assert records.store().runs()[0].name == "a lie"  # of its own index, a reader believes everything
    shutil.copytree(records.data, tmp_path / "copy" / ".tracelet")
    copied = open_store(tmp_path / "copy")
    assert [run.name for run in copied.runs()] == ["a"]


ODD_INDEXES = {
    "a view in place of a table": (
        "ALTER TABLE runs RENAME TO real_runs",
        "CREATE VIEW runs AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
        " SELECT x AS number, 'a' AS id, 1 AS looks, 'lie' AS name, '' AS problem, 1 AS settled, 0 AS doubtful FROM n",
    ),
    "a trigger": (
        "CREATE TRIGGER t AFTER INSERT ON runs BEGIN UPDATE runs SET name = 'a lie'; END",
        "DELETE FROM runs",
    ),
    "a further table": ("CREATE TABLE more (x)",),
    "an index on an expression": ("CREATE INDEX i ON runs (length(name))",),
    "a column more": ("ALTER TABLE runs ADD COLUMN extra TEXT",),
    "another version": (f"PRAGMA user_version = {VERSION + 1}",),
    "no seal": ("DELETE FROM origin",),
    "another seal": ("UPDATE origin SET seal = 'x'",),
    "two seals": ("INSERT INTO origin SELECT seal FROM origin",),
    "a seal that is no text": ("UPDATE origin SET seal = zeroblob(100)",),
    "nonsense in a row": ("UPDATE runs SET history = '[]', settled = 0",),
}


@pytest.mark.parametrize("what", ODD_INDEXES)
def test_an_odd_index_is_rebuilt(records, what):
    folder = records.run("a", {"loss": [1.0]})
    store = records.store()
    assert [run.name for run in store.runs()] == ["a"]
    change(store.index_file, *ODD_INDEXES[what])
    with open(next((folder / "journal").iterdir()), "ab") as segment:
        segment.write(bytes(32))  # so that there is a reason to look
    began = time.monotonic()
    assert [run.name for run in records.store().runs()] == ["a"]
    assert time.monotonic() - began < 5


def test_special_files_in_place_of_the_index(records, tmp_path):
    records.run("a", {"loss": [1.0]})
    folder = records.data / "index"
    folder.mkdir(mode=0o700)
    name = f"runs-{VERSION}-{key_id()}-{'0' * 16}.sqlite"
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")
    for make in (
        lambda file: os.mkfifo(file),
        lambda file: file.symlink_to(precious),
        lambda file: os.link(precious, file),
        lambda file: os.symlink("/dev/zero", file),
    ):
        make(folder / name)
        assert [run.name for run in records.store().runs()] == ["a"]
    assert precious.read_text() == "mine"


def test_an_index_folder_that_leads_elsewhere_is_not_used(records, tmp_path):
    records.run("a", {"loss": [1.0]})
    (tmp_path / "docs").mkdir()
    (records.data / "index").symlink_to(tmp_path / "docs")
    store = records.store()
    assert [run.name for run in store.runs()] == ["a"]
    assert not list((tmp_path / "docs").iterdir())
    assert store.index_file is not None


def test_without_a_place_for_the_key_there_is_an_index_all_the_same(records, monkeypatch, tmp_path):
    records.run("a", {"loss": [1.0]})
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(blocked))
    monkeypatch.setattr("tracelet.store.index.seal._known", {})
    assert [run.name for run in records.store().runs()] == ["a"]
    assert [run.name for run in records.store().runs()] == ["a"]


def test_the_schema_is_what_the_statements_say():
    with sqlite3.connect(":memory:") as connection:
        for statement in STATEMENTS:
            connection.execute(statement)
        found = [row[0] for row in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
    assert sorted(found) == sorted(STATEMENTS)


# --- journals ------------------------------------------------------------------------------------------------


def forge(data: Path, run_id: str, events: list[object], when: float | None = None) -> Path:
    """Write a run's journal by hand, with these events."""
    writer = f"{int(time.time() * 1000):012x}" + os.urandom(10).hex()
    when = time.time() if when is None else when
    fixed = struct.pack("<8sHHIQd16sI", b"TRACELET", 1, 32, 0, 0, 1.7e9, bytes.fromhex(writer), 0)
    body = fixed + struct.pack("<Id", zlib.crc32(fixed), -time.time())
    for event in events:
        text = event if isinstance(event, bytes) else json.dumps(event).encode()
        head = struct.pack("<IIqdI", zlib.crc32(text), len(text), -(1 << 63), when, 3 << 24)
        seq = (len(body) - 64) // 32
        body += head + struct.pack("<I", zlib.crc32(head, seq)) + text + bytes(-len(text) % 32)
    folder = data / "runs" / run_id
    (folder / "journal").mkdir(parents=True)
    (folder / "journal" / f"{writer}-000000.trj").write_bytes(body)
    return folder


END = {"type": "outcome", "outcome": "finished", "error": None}
WHO = {"type": "writer", "id": "x", "owner": None, "run": {"id": "evil", "name": "evil", "project": "p"}}

ODD_EVENTS: dict[str, list[object]] = {
    "a name of null": [{**WHO, "run": {"id": None, "name": None, "project": None}}, END],
    "a name of numbers": [{**WHO, "run": {"id": 1, "name": 2, "project": [3]}}, END],
    "a run that is a text": [{**WHO, "run": "run"}, END],
    "a host that is a list": [{**WHO, "host": ["h"], "started_at": "yesterday"}, END],
    "a start beyond all time": [{**WHO, "started_at": 1e300}, END],
    "a rank of 400 digits": [{**WHO, "rank": 10**400, "world_size": -1}, END],
    "a rank that is a text": [{**WHO, "rank": "0", "world_size": "2"}, END],
    "an attempt that is a text": [{**WHO, "attempt": "1"}, END],
    "an outcome of numbers": [WHO, {"type": "outcome", "outcome": 7, "error": 9}],
    "an outcome that is empty": [WHO, {"type": "outcome", "outcome": "", "error": ""}],
    "params that are a list": [WHO, {"type": "params", "params": [1]}, END],
    "a param of 400 digits": [WHO, {"type": "params", "params": {"a": 10**400, "b": -(10**400)}}, END],
    "params that are not finite": [WHO, b'{"type":"params","params":{"a":NaN,"b":-Infinity,"c":1e999}}', END],
    "keys that are empty": [WHO, {"type": "params", "params": {"": {"": {"": ""}}}}, END],
    "tags of tags": [WHO, {"type": "tags", "tags": {"a": {"b": [{"c": None}]}}}, END],
    "nested deeply": [WHO, b'{"type":"params","params":{"a":' + b"[" * 9000 + b"]" * 9000 + b"}}", END],
    "lone surrogates": [{**WHO, "run": {"name": "\ud800", "project": "\udfff"}, "host": "\udcff"}, END],
    "null characters": [{**WHO, "run": {"name": "a\0b", "project": "\0"}}, {"type": "name", "id": 1}, END],
    "drops of texts": [WHO, {"type": "drops", "drops": {"a": "x", "b": -1, "c": 1e300}}, END],
    "artifacts of numbers": [WHO, {"type": "artifact", "path": 5, "files": "x"}, END],
    "files without an artifact": [
        WHO,
        {"type": "artifact_files", "path": "x", "files": [{"path": "y"}]},
        END,
    ],
    "costs of texts": [
        WHO,
        {"type": "plugins", "plugins": {"a": {"calls": "x"}}, "overhead": {"share": "x"}},
    ],
    "costs of lists": [WHO, {"type": "plugins", "plugins": [1], "overhead": {"share": [1], "shed": 5}}, END],
    "costs of nothing": [WHO, {"type": "plugins", "plugins": {"a": {}}, "overhead": {"share": None}}, END],
    "facts of a text": [WHO, {"type": "fact", "source": ["x"], "facts": "x"}, END],
    "events without a type": [WHO, {"a": 1}, [1, 2], b"nonsense", b"\xff\xfe", b"", END],
    "no event at all": [],
    "the outcome first": [END, WHO],
}


@pytest.mark.parametrize("what", ODD_EVENTS)
def test_odd_events_hide_no_run_and_raise_nothing(records, what):
    records.run("good", {"loss": [1.0]}, project="p")
    times = {"evil": None, "nan": float("nan"), "late": 1e300, "early": -1.0}
    for run_id, when in times.items():
        forge(records.data, run_id, ODD_EVENTS[what], when)
    for _ in range(2):  # read from the journal, then from the index
        store = records.store()
        runs = {run.id: run for run in store.runs()}
        assert runs.keys() == {"good", *times}
        assert runs["good"].outcome == "finished"
    assert isinstance(store.projects(), list)
    store.dataframe()
    for run in (runs[run_id] for run_id in times):
        check_odd_run(run)
        check_odd_run(store.run(run.id))


def check_odd_run(run) -> None:
    for value in (run.name, run.project, run.outcome):
        assert isinstance(value, str)
    assert 0 <= run.started_at < 253402300800
    assert run.duration >= 0
    assert isinstance(run.damage, dict)
    assert run.overhead == {} or isinstance(run.overhead["share"], float)
    for plugin in run.plugins.values():
        assert plugin["calls"] + plugin["errors"] + plugin["wall_s"] >= 0
    assert run.summary() == {}
    json.dumps(run.to_dict())


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../../../etc/passwd", "artifacts/../../../x", "..", "a\0b", "..\\..\\x", "\\x", 5, None],
)
def test_artifacts_never_lead_out_of_the_run(records, path):
    fine = {"type": "artifact", "path": "artifacts/w.pt", "files": [{"path": "artifacts/w.pt", "size": 1}]}
    forge(
        records.data,
        "evil",
        [
            WHO,
            {"type": "artifact", "path": path, "files": []},
            {"type": "artifact", "path": "artifacts/a", "files": [{"path": path, "size": 1, "sha256": "x"}]},
            fine,
            END,
        ],
    )
    run = records.store().run("evil")
    for artifact in run.artifacts:
        for one in (artifact, *artifact["files"]):
            assert (run.dir / one["path"]).resolve().is_relative_to(run.dir.resolve())
    assert run.artifacts[-1]["path"] == "artifacts/w.pt"
    assert run.damage["invalid"] >= 1


# --- files ---------------------------------------------------------------------------------------------------


def test_special_files_in_a_run(records, tmp_path):
    records.run("good", {"loss": [1.0]})
    for number, make in enumerate(
        (
            lambda journal: os.mkfifo(journal / ("f" * 32 + "-000000.trj")),
            lambda journal: os.mkfifo(journal / ("f" * 32 + "-000000.trz")),
            lambda journal: (journal / ("f" * 32 + "-000000.trj")).symlink_to("/dev/zero"),
            lambda journal: (journal / ("f" * 32 + "-000000.trj")).mkdir(),
            lambda journal: (journal.parent / "delivery").symlink_to("/etc"),
            lambda journal: (
                (journal.parent / "delivery").mkdir(),
                os.mkfifo(journal.parent / "delivery" / "j.json"),
            ),
        )
    ):
        folder = forge(records.data, f"evil{number}", [WHO, END])
        make(folder / "journal")
    began = time.monotonic()
    runs = {run.id: run for run in records.store().runs()}
    assert len(runs) == 7
    assert runs["good"].outcome == "finished"
    for run in runs.values():
        assert isinstance(run.status, dict)
        assert isinstance(run.metrics(), list)
        records.store().run(run.id).to_dict()
    assert time.monotonic() - began < 20


def test_a_journal_that_leads_elsewhere_is_not_followed(records, tmp_path):
    elsewhere = records.run("elsewhere", {"secret": [1.0]})
    shutil.move(elsewhere / "journal", tmp_path / "docs")
    shutil.rmtree(elsewhere)
    folder = records.data / "runs" / "evil"
    folder.mkdir()
    (folder / "journal").symlink_to(tmp_path / "docs")
    [run] = records.store().runs()
    assert run.outcome == "unreadable"
    assert "symbolic link" in run.problem
    assert records.store().run("evil").metrics() == []


# --- single runs ---------------------------------------------------------------------------------------------


def test_the_folder_of_a_single_run(records, tmp_path):
    folder = records.run("a", {"loss": [1.0]})
    records.run("b", {"loss": [2.0]})
    everything = records.store()
    assert len(everything.runs()) == 2
    store = open_store(folder)
    assert [run.id for run in store.runs()] == ["a"]
    assert store.run().id == store.run("a").id == "a"
    assert store.projects() == ["digits"]
    assert store.run("a").summary()["loss"]["last"] == 1.0
    with pytest.raises(StoreError, match="no run 'b'"):
        store.run("b")
    assert everything.run(str(folder)).id == "a"
    assert len(everything.runs()) == 2  # the index still has both


def test_a_single_run_that_was_copied_elsewhere(records, tmp_path):
    shutil.copytree(records.run("a", {"loss": [1.0]}), tmp_path / "downloads" / "somebody's run")
    copied = tmp_path / "downloads" / "somebody's run"
    before = sorted(copied.rglob("*"))
    store = open_store(copied)
    [run] = store.runs()
    assert run.summary()["loss"]["last"] == 1.0
    assert run.dir == copied
    assert store.run().metric("loss").values == [1.0]
    assert sorted(copied.rglob("*")) == before  # nothing is written there
    assert records.store().run(f"{copied}/").id == "somebody's run"


def test_a_folder_of_runs_that_cannot_be_read_is_named(records):
    records.run("a", {"loss": [1.0]})
    runs = records.data / "runs"
    shutil.rmtree(runs)
    runs.symlink_to("runs")
    with pytest.raises(
        StoreError, match=r"expected a folder of runs that can be read at .*runs, found: Too many"
    ):
        open_store(records.data).runs()
