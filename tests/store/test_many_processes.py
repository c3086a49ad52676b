"""Runs that several processes recorded: ranks, forked children, resumed runs, other machines."""

from __future__ import annotations

import os
import struct
import time

import pytest

from tracelet.journal import identity
from tracelet.journal.format import HEARTBEAT_OFFSET
from tracelet.store.history import Process
from tracelet.store.outcome import LastSeen, determine_outcome


def test_ranks_are_merged_by_step_and_each_can_be_had_alone(records):
    writers = [records.start("r", rank=rank, world_size=3) for rank in range(3)]
    for step in range(4):
        for rank in (2, 0, 1):
            writers[rank].point("loss", 10 * step + rank, step)
    writers[1].point("only one", 1.0)
    for writer in writers:
        writer.close("finished")
    run = records.store().run("r")
    series = run.metric("loss")
    assert series.iterations == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert series.values[:3] == [2.0, 0.0, 1.0]  # at a step by time
    assert series.ranks == [0, 1, 2]
    assert [series.rank(rank).values for rank in range(3)] == [
        [rank + 10.0 * s for s in range(4)] for rank in range(3)
    ]
    assert len(series.rank(7)) == 0
    assert series.last == series.values[-1] == run.summary()["loss"]["last"] == 31.0
    assert series.dataframe()["rank"].tolist()[:3] == [2, 0, 1]
    assert "rank" not in run.metric("only one").dataframe()
    assert records.store().runs()[0].summary() == run.summary()


def test_what_one_process_recorded_stays_in_its_order(records):
    writer = records.start("r")
    for step in (5, 2, 9, 2):
        writer.point("loss", float(step), step)
    writer.point("loss", 10.0)
    writer.close("finished")
    series = records.store().run("r").metric("loss")
    assert series.iterations == [5, 2, 9, 2, 10]
    assert series.last == 10.0


def test_a_resumed_run_has_the_outcome_of_its_last_attempt(records, program):
    died = program(
        """
        import sys
        from pathlib import Path
        from tracelet.journal import Writer
        writer = Writer(Path(sys.argv[1]) / "runs" / "r", {"run": {"name": "n", "project": "p"}})
        for step in range(10):
            writer.point("loss", step, step)
        import os; os.kill(os.getpid(), 9)
        """
    )
    died.wait()
    store = records.store()
    assert store.runs()[0].outcome == "killed"
    again = records.start("r", name="n", resumed=True)
    assert store.runs()[0].problem is None
    assert store.runs()[0].outcome == store.run("r").outcome == "running"
    for step in range(8, 12):  # from the last checkpoint, which was earlier
        again.point("loss", 100 + step, step)
    again.close("finished")
    run = store.runs()[0]
    assert run.outcome == "finished"
    assert run.metric("loss").iterations == [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9, 10, 11]
    assert run.metric("loss").values[8:10] == [8.0, 108.0]
    assert run.summary() == store.run("r").summary()


def test_a_forked_child_does_not_decide(records, program):
    parent = program(
        """
        import os, sys
        from pathlib import Path
        from tracelet.journal import Writer
        writer = Writer(Path(sys.argv[1]) / "runs" / "r", {"run": {"name": "n", "project": "p"}})
        writer.point("loss", 1.0, 0)
        child = os.fork()
        if not child:
            writer.point("loss", 2.0, 1)
            os.kill(os.getpid(), 9)
        os.waitpid(child, 0)
        writer.close("finished")
        """
    )
    _, told = parent.communicate()
    assert parent.returncode == 0, told
    run = records.store().run("r")
    assert run.outcome == "finished"
    assert run.metric("loss").values == [1.0, 2.0]
    assert [process.is_child for process in run.writers] == [False, True]


def _from_another_machine(records, *, beat: float) -> None:
    """Make a run look as if another machine records it: this one cannot see its process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identity, "host_name", lambda: "elsewhere")
        writer = records.start("r")
    writer.point("loss", 1.0)
    writer.sync()
    [file] = (records.folder("r") / "journal").iterdir()
    with open(file, "r+b") as out:
        out.seek(HEARTBEAT_OFFSET)
        out.write(struct.pack("<d", beat))


def test_a_run_of_another_machine_lives_by_its_heartbeat(records):
    _from_another_machine(records, beat=time.time() - 10)
    assert records.store().run("r").outcome == "running"


def test_a_run_of_another_machine_without_a_heartbeat_was_killed(records):
    beat = time.time() - 3600
    _from_another_machine(records, beat=beat)
    run = records.store().run("r")
    assert run.outcome == "killed"
    assert run.host == "elsewhere"
    assert run.metric("loss").values == [1.0]


def _process(
    id: str, started: float, state: str, outcome: str | None = None, **facts
) -> tuple[Process, LastSeen]:
    process = Process(
        id, facts, started_at=started, closed=outcome is not None, outcome=outcome, ended_at=started + 1
    )
    return process, LastSeen(state, started + 1)


def _outcome(*several) -> str:
    return determine_outcome([one for one, _ in several], {one.id: sign for one, sign in several}).outcome


def test_outcomes_of_jobs():
    def rank(number, started, state, outcome=None, **facts):
        return _process(
            f"{number}-{started}", started, state, outcome, rank=number, **{"world_size": 2, **facts}
        )

    assert _outcome(rank(0, 1, "ended", "finished"), rank(1, 1, "ended", "finished")) == "finished"
    assert _outcome(rank(0, 1, "ended", "finished"), rank(1, 1, "running")) == "running"
    assert _outcome(rank(0, 1, "ended", "finished"), rank(1, 1, "ended", "failed")) == "failed"
    assert _outcome(rank(0, 1, "ended", "finished"), rank(1, 1, "killed")) == "killed"
    # both resumed
    assert (
        _outcome(
            rank(0, 1, "killed"),
            rank(1, 1, "killed"),
            rank(0, 5, "ended", "finished", resumed=True),
            rank(1, 6, "ended", "finished", resumed=True),
        )
        == "finished"
    )
    # resumed on fewer machines
    assert (
        _outcome(
            rank(0, 1, "killed"),
            rank(1, 1, "killed"),
            rank(0, 5, "ended", "finished", resumed=True, world_size=1),
        )
        == "finished"
    )
    # a helper process that joined the run and was killed later does not speak for it
    assert _outcome(_process("a", 1, "ended", "finished"), _process("b", 2, "killed")) == "finished"
    assert _outcome() == "running"


def test_many_processes_into_one_run(records, program):
    several = [
        program(
            """
            import sys
            from pathlib import Path
            from tracelet.journal import Writer
            rank = int(sys.argv[2])
            writer = Writer(Path(sys.argv[1]) / "runs" / "r",
                            {"run": {"name": "n", "project": "p"}, "rank": rank, "world_size": 4})
            for step in range(500):
                writer.row({"loss": step + rank / 10, "acc": rank}, step)
            writer.close("finished")
            """,
            rank,
        )
        for rank in range(4)
    ]
    store = records.store()
    while any(process.poll() is None for process in several):
        store.runs()  # a reader at work all the time changes nothing
        time.sleep(0.02)
    assert [process.returncode for process in several] == [0] * 4
    run = store.runs()[0]
    assert run.summary()["loss"]["count"] == 2000
    assert run.metric("loss").count == 2000
    assert run.metric("loss").rank(3).values == [step + 3 / 10 for step in range(500)]
    assert run.summary() == store.run("r").summary()
    assert os.listdir(records.folder("r")) == ["journal"]
