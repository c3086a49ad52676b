"""The index is a cache: in step with the journals, shared, disposable."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tracelet.journal import Writer
from tracelet.store import open_store
from tracelet.store.index import index_folder

LIST = """
    import json, sys
    from tracelet.store import open_store
    print("up", flush=True)
    sys.stdin.readline()
    runs = open_store(sys.argv[1]).runs(sort="id")
    print(json.dumps([[run.id, run.outcome, run.params, run.summary()] for run in runs]))
"""


def listed(store) -> str:
    """Return all that a list of runs tells, as text (in which NaN equals NaN)."""
    runs = store.runs(sort="id")
    return json.dumps([[*run._details, run.summary()] for run in runs], indent=1, sort_keys=True)


def rebuilt(data: Path) -> str:
    store = open_store(data)
    store.rebuild()
    assert store.index_file is None or not list((data / "index").glob("*.part"))
    return listed(store)


def age(data: Path) -> None:
    """Let the journals' folders look as if they had been left alone for a while."""
    for folder in data.glob("runs/*/journal"):
        os.utime(folder, (time.time() - 100, time.time() - 100))


def test_it_is_in_step_with_what_is_appended(records):
    store = records.store()
    assert store.runs() == []
    writer = records.start("r", name="n")
    for step in range(5):
        writer.point("loss", 1 / (step + 1))
        writer.event("params", {"params": {"step": step}})
        [run] = store.runs()
        assert run.summary()["loss"]["count"] == step + 1
        assert run.summary()["loss"]["last"] == 1 / (step + 1)
        assert run.params == {"step": step}
    writer.event("tags", {"tags": {"good": ""}})
    writer.close("finished")
    assert [run.outcome for run in store.runs(tags=["good"])] == ["finished"]
    assert listed(store) == rebuilt(records.data)


actions = st.lists(
    st.tuples(
        st.integers(0, 2),  # which run
        st.integers(0, 1),  # which of its processes
        st.sampled_from(["point", "point", "row", "params", "tags", "close", "look", "look elsewhere"]),
        st.sampled_from(["loss", "acc", "train/loss"]),
        st.floats(),
        st.integers(-5, 20),
    ),
    max_size=40,
)


@settings(max_examples=15, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(actions)
def test_it_equals_what_a_rebuild_gives(tmp_path_factory, todo):
    """Whatever is recorded in whatever order, looked at whenever by whom: the same as reading all of it once."""
    data = tmp_path_factory.mktemp("data")
    store = open_store(data)
    writers: dict[tuple[int, int], Writer] = {}
    closed: set[tuple[int, int]] = set()
    for number, process, what, name, value, step in todo:
        key = (number, process)
        if what.startswith("look"):
            (store if what == "look" else open_store(data)).runs()
            continue
        if key in closed:
            continue
        if key not in writers:
            facts = {"run": {"name": f"run {number}", "project": "p"}, "rank": process, "world_size": 2}
            writers[key] = Writer(data / "runs" / f"r{number}", facts)
        writer = writers[key]
        if what == "point":
            writer.point(name, value, step)
        elif what == "row":
            writer.row({name: value, "other": step}, step)
        elif what == "params":
            writer.event("params", {"params": {name: value}})
        elif what == "tags":
            writer.event("tags", {"tags": {name: str(step)}})
        else:
            writer.close("finished")
            closed.add(key)
    try:
        in_step = listed(store)
        assert in_step == rebuilt(data)
        direct = {run.id: store.run(run.id) for run in store.runs()}
        for run in store.runs():
            assert str(direct[run.id]._details) == str(run._details)
            assert str(direct[run.id].summary()) == str(run.summary())
    finally:
        for writer in writers.values():
            writer.close("finished")
    assert listed(store) == rebuilt(data)


def test_sums_are_the_same_in_any_batches(records):
    """Means of values that cancel or overflow do not depend on when somebody looked."""
    random.seed(7)
    values = [random.choice([1e308, -1e308, 1e-300, 1.0, 3e292]) * random.random() for _ in range(300)]
    store = records.store()
    writer = records.start("r")
    for value in values:
        writer.point("wild", value)
        if random.random() < 0.1:
            store.runs()
    in_step = listed(store)
    assert in_step == rebuilt(records.data)
    [run] = store.runs()
    assert run.summary()["wild"]["mean"] == float(sum(map(Fraction, values)) / len(values))


def test_it_can_be_deleted_at_any_time(records):
    records.run("a", {"loss": [1.0, 2.0]})
    store = records.store()
    before = listed(store)
    assert store.index_file.parent == records.data / "index"
    shutil.rmtree(records.data / "index")
    assert listed(store) == before
    store.index_file.unlink()  # and leave what SQLite keeps beside it
    assert listed(store) == listed(records.store()) == before


@pytest.mark.parametrize("damage", ["garbage", "cut", "empty", "flipped", "foreign", "older", "rows"])
def test_a_damaged_one_is_rebuilt(records, damage, caplog):
    for number in range(20):
        records.run(f"r{number:02}", {f"metric/{name}": [1.0, 2.0] for name in range(20)}, params={"lr": 0.1})
    store = records.store()
    before = listed(store)
    file = store.index_file
    data = bytearray(file.read_bytes())
    if damage == "garbage":
        file.write_bytes(os.urandom(50_000))
    elif damage == "cut":
        file.write_bytes(data[: len(data) // 2])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "flipped":
        for page in range(4096, len(data), 4096):
            data[page : page + 8] = bytes(8)
        file.write_bytes(data)
    else:
        with sqlite3.connect(file) as connection:
            connection.execute(
                {
                    "foreign": "DROP TABLE metrics",
                    "older": "PRAGMA user_version = 99",
                    "rows": "UPDATE runs SET params = '{', settled = 0",
                }[damage]
            )
        connection.close()
    assert listed(store) == before
    assert listed(records.store()) == before
    assert len(list((records.data / "index").glob("*.sqlite"))) == 1


def test_many_first_openers_at_once(records, program):
    for number in range(60):
        records.run(f"r{number:03}", {"loss": [float(number), math.nan]}, params={"n": number})
    live = records.start("live")
    live.point("loss", 1.0)
    openers = [program(LIST) for _ in range(8)]
    for opener in openers:
        assert opener.stdout.readline() == "up\n"
    for opener in openers:
        opener.stdin.write("go\n")
        opener.stdin.flush()
    told = [opener.communicate(timeout=60) for opener in openers]
    assert [opener.returncode for opener in openers] == [0] * 8, told
    assert len({out for out, _ in told}) == 1
    runs = json.loads(told[0][0])
    assert len(runs) == 61
    assert runs[6][2] == {"n": 5}
    assert records.store().index_file is not None
    assert len(list((records.data / "index").glob("*.sqlite"))) == 1
    assert listed(records.store()) == rebuilt(records.data)


def test_many_readers_while_runs_are_recorded(records, program):
    recorders = [
        program(
            """
            import sys
            from pathlib import Path
            from tracelet.journal import Writer
            for number in range(10):
                with Writer(Path(sys.argv[1]) / "runs" / f"r{sys.argv[2]}-{number}", {"run": {"name": "n"}}) as writer:
                    for step in range(200):
                        writer.row({"loss": step, "acc": 1}, step)
            """,
            number,
        )
        for number in range(2)
    ]
    readers = [
        program(
            """
            import sys
            from tracelet.store import open_store
            store, seen = open_store(sys.argv[1]), {}
            while len(seen) < 20 or any(count < 400 for count in seen.values()):
                for run in store.runs():
                    assert not run.problem, run.problem
                    count = sum(summary["count"] for summary in run.summary().values())
                    assert count >= seen.get(run.id, 0), (run.id, count, seen[run.id])
                    seen[run.id] = count
            assert set(seen.values()) == {400}, seen
            """
        )
        for _ in range(3)
    ]
    for process in (*recorders, *readers):
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
    assert listed(records.store()) == rebuilt(records.data)


def test_threads_may_share_a_store(records):
    writer = records.start("r")
    store = records.store()
    faults: list[Exception] = []

    def look() -> None:
        try:
            for _ in range(20):
                store.runs()
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for step in range(2000):
        writer.point("loss", step)
    for thread in threads:
        thread.join()
    assert not faults
    assert store.runs()[0].summary()["loss"]["count"] == 2000


def test_a_reader_that_stops_while_it_writes_does_not_stop_the_others(records, program, monkeypatch):
    from tracelet.store.index import database

    monkeypatch.setattr(database, "PATIENCE", 0.2)  # seconds; the others wait that long for it
    records.run("a", {"loss": [1.0]})
    store = records.store()
    store.runs()
    holder = program(
        """
        import sqlite3, sys
        connection = sqlite3.connect(sys.argv[2], isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM runs")
        print("held", flush=True)
        sys.stdin.read()
        """,
        store.index_file,
    )
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGSTOP)
    records.run("b", {"loss": [2.0]})
    assert [run.id for run in records.store().runs(sort="id")] == ["a", "b"]
    holder.kill()
    holder.wait()
    assert [run.id for run in records.store().runs(sort="id")] == ["a", "b"]


def test_deleted_and_replaced_runs(records):
    records.run("a", {"loss": [1.0]})
    records.run("b", {"loss": [2.0]})
    age(records.data)
    store = records.store()
    assert {run.id for run in store.runs()} == {"a", "b"}
    shutil.rmtree(records.folder("a"))
    assert {run.id for run in store.runs()} == {"b"}
    shutil.rmtree(records.folder("b"))
    records.run("b", {"acc": [3.0]}, name="another")
    [run] = store.runs()
    assert (run.name, run.metrics()) == ("another", ["acc"])


def test_a_run_that_was_copied_in_part_is_read_on_when_the_rest_comes(records, tmp_path):
    """As with rsync from a cluster: the copy shows what it has, and grows."""
    elsewhere = tmp_path / "elsewhere"
    writer = Writer(elsewhere / "journal" / "..", {"run": {"name": "far"}})
    folder = elsewhere / "journal"
    copy = records.folder("r") / "journal"
    store = records.store()
    for step in range(3):
        for _ in range(100):
            writer.point("loss", step)
        if step == 2:
            writer.close("finished")
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir(parents=True)
        for file in folder.iterdir():
            shutil.copy2(file, copy / file.name)
        [run] = store.runs()
        assert run.summary()["loss"]["count"] == 100 * (step + 1)
        assert listed(store) == rebuilt(records.data)
    assert run.outcome == "finished"


def test_what_ended_is_not_read_again(records, monkeypatch):
    records.run("a", {"loss": [1.0]})
    age(records.data)
    records.store().runs()
    opened: list[str] = []
    from tracelet.journal.reading import source

    monkeypatch.setattr(source.Source, "read", lambda *_: opened.append("read") or b"")
    assert [run.summary()["loss"]["last"] for run in records.store().runs()] == [1.0]
    assert not opened


def test_a_large_run_takes_its_events_from_the_index(records, monkeypatch):
    with records.start("r", name="n") as writer:
        writer.event("params", {"params": {"lr": 0.1, "nested": {"a": [1, None]}}})
        writer.event("tags", {"tags": {"kind": "x"}})
        writer.row({"loss": 0.5, "acc": 1.0}, 0)
        writer.close("finished")
    age(records.data)
    store = records.store()
    expected = store.run("r")
    monkeypatch.setattr("tracelet.store.store._LARGE", 0)
    assert store.run("r").params == expected.params  # not in the index yet
    store.runs()
    with monkeypatch.context() as patch:
        patch.setattr("tracelet.store.journal_access.read_history", None)  # it cannot be called
        known = store.run("r")
        assert (known._details, known.metrics(), known.summary()) == (
            expected._details,
            expected.metrics(),
            expected.summary(),
        )
        assert [one.id for one in known.writers] == [one.id for one in expected.writers]
    store.edit("r", notes="seen", tags={"kind": "y"})
    assert (store.run("r").notes, store.run("r").tags) == ("seen", {"kind": "y"})
    segment = next(expected.dir.glob("journal/*.trj"))
    segment.write_bytes(segment.read_bytes() + bytes(64))
    assert store.run("r").params == expected.params  # another size: it is read again


def test_looking_at_a_live_run_again_writes_nothing_when_nothing_is_new(records):
    writer = records.start("r")
    writer.point("loss", 1.0)
    store = records.store()
    age(records.data)
    store.runs()

    def looks() -> int:
        with sqlite3.connect(store.index_file) as connection:
            return connection.execute("SELECT looks FROM runs").fetchone()[0]

    before = looks()
    store.runs()
    records.store().runs()
    assert looks() == before
    writer.point("loss", 2.0)
    store.runs()
    assert looks() == before + 1


def test_where_there_is_no_room_beside_the_runs_the_users_cache_has_it(records, tmp_path):
    records.run("a", {"loss": [1.0]})
    (records.data / "index").write_text("in the way")
    store = records.store()
    assert [run.id for run in store.runs()] == ["a"]
    assert store.index_file.is_relative_to(tmp_path / "cache" / "tracelet")
    assert listed(store) == listed(records.store())


def test_a_network_file_system_does_not_get_it(records, tmp_path, monkeypatch):
    records.run("a", {"loss": [1.0]})
    real = index_folder.file_system
    monkeypatch.setattr(
        index_folder, "file_system", lambda path: "nfs4" if path.is_relative_to(records.data) else real(path)
    )
    store = records.store()
    assert [run.id for run in store.runs()] == ["a"]
    assert store.index_file.is_relative_to(tmp_path / "cache")
    assert not (records.data / "index").exists()


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_without_any_place_it_is_kept_in_memory(records, monkeypatch):
    records.run("a", {"loss": [1.0]})
    monkeypatch.setattr(index_folder, "file_system", lambda _: "nfs4")
    store = records.store()
    assert [run.id for run in store.runs()] == ["a"]
    assert store.index_file is None
    records.run("b", {"loss": [1.0]})
    assert len(store.runs()) == 2
    child = multiprocessing.get_context("fork").Process(target=_look_in_child, args=(store,))
    child.start()  # a forked process has a memory of its own
    child.join()
    assert child.exitcode == 0


def _look_in_child(store) -> None:
    os._exit(0 if len(store.runs()) == 2 else 1)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_is_not_kept_waiting_by_a_thread_that_did_not_come_along(records):
    records.run("a", {"loss": [1.0]})
    store = records.store()
    store.runs()
    with store._index._lock:
        child = os.fork()
        if not child:
            look = threading.Thread(target=lambda: os._exit(len(store.runs())))
            look.start()
            look.join(20)
            os._exit(99)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a read-only file system")
def test_a_read_only_folder(records, tmp_path):
    records.run("a", {"loss": [1.0]})
    text = (
        "from tracelet.store import open_store; import sys; store = open_store(sys.argv[1]);"
        "print([run.id for run in store.runs()], store.index_file)"
    )
    import sys

    mount = f"mount --bind {records.data} {records.data} && mount -o remount,ro,bind {records.data}"
    done = subprocess.run(
        [
            "unshare",
            "-m",
            "sh",
            "-c",
            f'{mount} || exit 77; exec "$0" "$@"',
            sys.executable,
            "-c",
            text,
            records.data,
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode in (1, 77) and "ermitted" in done.stderr:
        pytest.skip("no mounts here")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("['a'] ")
    assert str(tmp_path / "cache") in done.stdout


def test_only_the_user_may_read_it(records):
    records.run("a", {"loss": [1.0]})
    store = records.store()
    store.runs()
    assert store.index_file.stat().st_mode & 0o077 == 0
    assert store.index_file.parent.stat().st_mode & 0o077 == 0


def test_a_run_that_cannot_be_read_hides_no_other(records):
    records.run("good", {"loss": [1.0]})
    records.run("cut", {"loss": [1.0]})
    [segment] = (records.folder("cut") / "journal").iterdir()
    segment.write_bytes(b"")
    empty = records.folder("empty")
    empty.mkdir(parents=True)
    os.utime(empty, (0, 0))
    strange = records.folder("strange")
    strange.mkdir()
    (strange / "journal").write_text("a file where a folder should be")
    records.folder("born").mkdir()
    (records.data / "runs" / "a-file").write_text("no run")
    (records.data / "runs" / "dangling").symlink_to("nowhere")
    store = records.store()
    runs = {run.id: run for run in store.runs()}
    assert runs.keys() == {"good", "cut", "empty", "strange", "born"}
    assert (runs["good"].outcome, runs["good"].problem) == ("finished", None)
    assert (runs["empty"].outcome, runs["empty"].problem) == ("empty", "has no journal")
    assert runs["strange"].outcome == "unreadable"
    assert "cannot be read" in runs["strange"].problem
    assert (runs["born"].outcome, runs["born"].problem, runs["born"].duration) == ("empty", None, 0)
    assert runs["cut"].problem
    assert listed(store) == rebuilt(records.data)
    for id, run in runs.items():
        assert store.run(id).problem == run.problem
        assert store.run(id).outcome == run.outcome


def test_odd_texts(records):
    odd = "a'b\"c\\d\0e\ud800é%_*"
    records.run("r", {odd: [1.0]}, name=odd, params={odd: odd}, tags={odd: odd})
    store = records.store()
    [run] = store.runs(where="name ~ 'a*'")
    assert store.run("r").name == odd
    assert store.run("r").metric(odd).values == [1.0]
    assert run.params == {odd: odd}


@pytest.mark.parametrize("numpy", [True, False])
def test_far_behind_is_caught_up_with_in_strides(records, numpy, monkeypatch):
    """Many points at once take another way than few; damage and holes on the way change nothing."""
    from tracelet.store.index import bulk_reader, run_updates

    if not numpy:
        monkeypatch.setattr(bulk_reader, "load_numpy", lambda: None)
    monkeypatch.setattr(bulk_reader, "MIN_SLOTS", 50)
    monkeypatch.setattr(bulk_reader, "_BLOCK", 64)
    monkeypatch.setattr(run_updates, "_BATCH", 100)
    random.seed(3)
    store = records.store()
    writer = records.start("r")
    for step in range(3000):
        what = random.random()
        if what < 0.01:
            writer.event("params", {"params": {f"p{step}": "x" * random.randrange(5000)}})
        elif what < 0.3:
            writer.row({f"m{column}": step * column for column in range(random.randrange(1, 40))}, step)
        else:
            writer.point("loss", random.random(), step)
        if what > 0.998:
            store.runs()
    told = listed(store)
    assert json.loads(told)[0][-1] == json.loads(json.dumps(store.run("r").summary()))
    assert told == rebuilt(records.data)
    writer.close("finished")
    [segment] = (records.folder("r") / "journal").iterdir()
    with open(segment, "r+b") as file:
        for place in range(100_000, segment.stat().st_size, 50_000):
            file.seek(place)
            file.write(b"\xff" * 40)
    store.rebuild()  # what was read before the damage would be kept
    [run] = store.runs()
    assert run.summary() == store.run("r").summary()
    left = sum(summary["count"] for summary in run.summary().values())
    assert left < sum(summary["count"] for summary in json.loads(told)[0][-1].values())
    assert store.run("r").damage


def test_building_an_index_reports_its_progress(records):
    for run in "abc":
        records.run(run)
    store, seen = records.store(), []
    store.report_progress(lambda *one: seen.append(one))
    store.runs()
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    store.report_progress(None)
    store.runs()
    assert len(seen) == 4
