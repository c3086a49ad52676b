"""Delivering later, and reconciling."""

from __future__ import annotations

import time

import pytest

from tracelet.core.plugins import PluginManager
from tracelet.delivery import sync, verify
from tracelet.delivery.ledger.counting import ends
from tracelet.delivery.ledger.lease import Lease
from tracelet.delivery.ledger.ledger import Ledger, ledger_file
from tracelet.delivery.sync import LATER, is_due
from tracelet.errors import UsageError
from tracelet.journal import Cursor, Follower, PointRecord, writers
from tracelet.store import open_store


def synced(stage, *plugins, **options):
    with PluginManager(use_default_paths=False, config=stage.manager.config) as manager:
        names = [manager.register_plugin(plugin).name for plugin in plugins]
        return sync(stage.run_dir, manager, names, settings=stage.settings, **options)


@pytest.mark.parametrize("outcome", ["finished", None])
def test_a_backend_that_did_not_exist_then_gets_the_whole_run(stage, backend, outcome):
    class Watching(backend):
        heard: list[object] = []

        def run_started(self, run):
            self.heard.append(("started", run.name, run.project, run.id))
            run.set_tags({"left": "out"})

        def run_ended(self, run, outcome):
            self.heard.append(("ended", outcome))

    stage.writer.event("params", {"params": {"lr": 1}})
    stage.writer.event("run", {"name": "renamed"})
    values = stage.log(3000)
    if outcome:
        stage.writer.close(outcome)
    late = Watching("late")
    (result,) = synced(stage, late)
    assert result.complete
    assert result.delivered == 3001
    assert (late.values, late.params) == (values, {"lr": 1})
    assert late.heard == [("started", "renamed", "p", "run-1"), ("ended", outcome or "running")]
    (again,) = synced(stage, backend("late"))
    assert (again.complete, again.delivered) == (True, 0)
    stage.verified()


def test_only_what_is_due_is_delivered(stage, backend):
    first = stage.add(backend())
    values = stage.log(100)
    stage.flush()
    stage.close()
    values += stage.log(50, start=100)
    rest = backend()
    (result,) = synced(stage, rest)
    assert result.delivered == 50
    assert first.values + rest.values == values


def test_a_dead_backend_is_told_and_the_others_get_theirs(stage, backend):
    def dead(hook, given):
        raise ConnectionRefusedError("nobody there")

    values = stage.log(10)
    good = backend("good")
    bad, fine = synced(stage, backend("bad", before=dead), good)
    assert not bad.complete
    assert (bad.delivered, bad.due) == (0, "10 records")
    assert "nobody there" in bad.error
    assert fine.complete
    assert good.values == values


def test_a_batch_that_fails_for_no_reason_known_is_looked_into(stage, backend):
    def before(hook, given):
        if any(point.value == 5 for point in given):
            raise RuntimeError("I do not like fives")

    stage.log(10)
    got = backend(before=before)
    stage.settings = stage.settings._replace(failures_before_split=LATER.failures_before_split)
    (result,) = synced(stage, got)
    assert result.complete
    assert len(got.points) == 9


def test_what_a_live_process_delivers_is_left_to_it(stage, backend):
    lease = Lease(stage.run_dir, "backend", stage.settings)
    assert lease.acquire()
    stage.log(10)
    (result,) = synced(stage, backend())
    assert (result.complete, result.delivered) == (False, 0)
    assert "delivers to it" in result.error
    lease.release()


def test_what_cannot_be_delivered_to(stage):
    class Nothing:
        def get_metadata(self):
            from tracelet.core.plugins import PluginMetadata

            return PluginMetadata("nothing", "1", "backend")

        def initialize(self, config): ...
        def start(self): ...
        def stop(self): ...
        def get_status(self):
            return {}

    (result,) = synced(stage, Nothing())
    assert "implements none of log_metric" in result.error
    with PluginManager(use_default_paths=False, config=stage.manager.config) as manager:
        (unknown,) = sync(stage.run_dir, manager, ["mlfow"])
    assert "no plugin is named 'mlfow'" in unknown.error


def test_no_run_is_a_clear_error(tmp_path):
    with (
        PluginManager(use_default_paths=False) as manager,
        pytest.raises(UsageError, match="expected the folder of a run"),
    ):
        sync(tmp_path, manager, [])


def test_accounts_that_do_not_agree_are_found(stage, backend):
    stage.add(backend())
    stage.log(10)
    stage.flush()
    stage.close()
    assert verify(stage.run_dir).agrees
    file = ledger_file(stage.run_dir, "backend")
    file.write_text(file.read_text().replace('"delivered": 10', '"delivered": 9'))
    found = verify(stage.run_dir)
    assert not found.agrees
    (row,) = found.backends
    assert row.as_dict() == {
        "backend": "backend",
        "recorded": 10,
        "delivered": 9,
        "excluded": 0,
        "dropped": {},
        "pending": 0,
        "error": None,
        "accepted": 10,
        "agrees": False,
    }


def test_a_run_without_backends_has_nothing_to_reconcile(stage):
    stage.log(10)
    found = verify(stage.run_dir)
    assert (found.recorded, found.backends, found.agrees) == (10, [], True)


def test_a_record_that_came_late_is_due(stage, backend):
    """A cursor may have passed over a slot that was still being written."""
    values = stage.log(10)
    stage.flush()
    stage.writer.close("finished")
    (writer,) = writers(stage.run_dir)
    (end,) = ends(stage.run_dir, [writer]).values()
    places = [
        record.seq for record in Follower(stage.run_dir, writer).read() if isinstance(record, PointRecord)
    ]
    ledger = Ledger(stage.run_dir, "backend")
    ledger.page(writer).cursor = Cursor(end, ((places[3], places[4]),))
    ledger.page(writer).delivered = ledger.accepted = 9
    ledger.save()
    assert is_due(stage.run_dir, "backend")
    got = stage.manager.register_plugin(backend()).instance
    (result,) = sync(stage.run_dir, stage.manager, ["backend"])
    assert result.complete
    assert got.values == [values[3]]
    assert not is_due(stage.run_dir, "backend")
    stage.verified()


def test_sync_reports_its_progress(stage, backend):
    stage.log(500)
    stage.writer.close()
    slow = backend(before=lambda hook, given: time.sleep(0.5))
    seen = []
    synced(stage, slow, progress=lambda done, total: seen.append((done, total)))
    assert seen
    assert all(0 <= done <= total for done, total in seen)
    assert len(slow.values) == 500


def test_an_edit_comes_after_what_it_replaces(stage, backend):
    """Two writers are read in turn, so the edit of a long run would come too early."""

    class Watching(backend):
        def run_changed(self, run, changes):
            self.calls.append(changes)

    stage.log(3000)
    stage.writer.event("tags", {"tags": {"old": 1}})
    stage.writer.event("run", {"name": "late"})
    stage.writer.close()
    store = open_store(stage.run_dir)
    store.edit(store.run(), name="edited", untag="old")
    store.edit(store.run(), name="edited again")
    watching = Watching()
    synced(stage, watching)
    events = [call for call in watching.calls if call != "log_metrics"]
    assert events == [
        "set_tags",
        {"name": "late"},
        {"name": "edited"},
        {"untag": ["old"]},
        {"name": "edited again"},
    ]
    stage.verified()
