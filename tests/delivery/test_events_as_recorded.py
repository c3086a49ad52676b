"""Backends that implement log_event receive everything of the journal, and the accounts stay right."""

from __future__ import annotations

import tracelet
from tracelet.delivery.ledger.verify import verify
from tracelet.delivery.sync import sync
from tracelet.host.plugins import PluginManager
from tracelet.store import open_store

SPECIFIC = {"log_params", "set_tags", "log_artifact", "log_media", "run_changed"}


def keep_events(backend):
    class Copy(backend):
        def __init__(self, *arguments, **more):
            super().__init__(*arguments, **more)
            self.events = []

        def log_event(self, type, payload, timestamp, id):
            self._take("log_event", type)
            self.events.append((type, payload, timestamp, id))

    return Copy


def test_log_event_receives_all_events_in_place_of_the_other_hooks(stage, backend):
    (stage.run_dir / "artifacts").mkdir(exist_ok=True)
    (stage.run_dir / "artifacts" / "weights").write_text("1")
    got = stage.add(keep_events(backend)())
    stage.writer.event("params", {"params": {"lr": 1}})
    stage.writer.event("tags", {"tags": {"team": "vision"}})
    stage.log(1)
    stage.writer.event("metric", {"name": "loss", "goal": "min"})
    stage.writer.event("fact", {"source": "environment", "facts": {"python": "3"}})
    stage.writer.event("artifact", {"path": "artifacts/weights", "artifact_path": None, "media": None})
    stage.writer.event("run", {"name": "second"})
    stage.writer.event("untag", {"tags": ["team"]})
    stage.flush()
    assert [type for type, *_ in got.events] == [
        *("writer", "params", "tags", "metric", "fact", "artifact", "run", "untag")
    ]
    assert SPECIFIC.isdisjoint(got.calls)
    assert got.events[1][1] == {"params": {"lr": 1}}
    seqs = [id[1] for *_, id in got.events]
    assert seqs == sorted(seqs)
    assert seqs[0] == 0
    stage.close()  # the accounts on disk are complete
    (row,) = verify(stage.run_dir).backends
    assert (row.recorded, row.delivered, row.accepted, row.agrees) == (6, 6, 6, True)


def test_an_event_that_log_event_refuses_is_dropped_without_disturbing_the_accounts(stage, backend):
    def refuse(hook, given):
        if given == "fact":
            raise ValueError("no")

    got = stage.add(keep_events(backend)(before=refuse))
    stage.writer.event("fact", {"source": "environment", "facts": {"python": "3"}})
    stage.log(3)
    stage.flush()
    assert got.values == [0.0, 1.0, 2.0]
    stage.close()  # the accounts on disk are complete
    (row,) = verify(stage.run_dir).backends
    assert (row.recorded, row.delivered, row.dropped, row.agrees) == (3, 3, {}, True)


def test_log_event_gets_no_artifact_whose_path_leads_out_of_the_run(stage, backend, tmp_path):
    (tmp_path / "secret").write_text("x")
    (stage.run_dir / "artifacts").symlink_to(tmp_path)
    got = stage.add(keep_events(backend)())
    stage.writer.event("artifact", {"path": "artifacts/secret", "artifact_path": None, "media": None})
    stage.log(1)
    stage.flush()
    assert [type for type, *_ in got.events] == ["writer"]
    stage.close()  # the accounts on disk are complete
    (row,) = verify(stage.run_dir).backends
    assert (row.dropped, row.agrees) == ({"unsafe path": 1}, True)


def test_the_outcome_reaches_log_event_when_the_run_ends(tmp_path, backend):
    copy = keep_events(backend)()
    with tracelet.start_run("r", dir=tmp_path, plugins=[copy]) as run:
        run.log_metric("loss", 1.0)
    types = [type for type, *_ in copy.events]
    assert types[0] == "writer"
    assert types[-1] == "outcome"
    assert "plugins" in types


def test_sync_tells_log_event_backends_when_processes_were_last_seen(tmp_path, backend):
    with tracelet.start_run("r", dir=tmp_path) as run:
        run.log_metric("loss", 1.0)
    seen = []

    class Copy(keep_events(backend)):
        def run_started(self, run):
            seen.append(run.writer_states)

    manager = PluginManager(use_default_paths=False)
    name = manager.register_plugin(Copy()).name
    assert sync(run.dir, manager, [name])[0].complete
    ((state, at),) = seen[0].values()
    assert state == "ended"
    assert abs(at - open_store(tmp_path).run().ended_at) < 5
