"""Promises on delivery: what arrives, and what survives kills, outages and refusals."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final

from tracelet.delivery import sync
from tracelet.journal import Writer
from tracelet.testing import faults as kinds
from tracelet.testing.conformance.far_mapping import FarMapping, RunAtRest
from tracelet.testing.conformance.promises import BETTER, NEEDED, broken, promise
from tracelet.testing.expected import expected
from tracelet.testing.faults import Fault
from tracelet.testing.harness import QUICK, Harness
from tracelet.testing.program import Ended, Program, run_program
from tracelet.testing.proxy import FaultyProxy

POINTS: Final = ("log_columns", "log_metrics", "log_metric")
_MANY: Final = 10_000
_IN_A_PROGRAM: Final = 400  # points of a program that is killed: several batches
_OUTAGE: Final = 0.15  # seconds


class DeliveryPromises(FarMapping):
    """What a backend promises on delivery."""

    #: The key of ``config`` that holds the far side's address: a URL, or a host and a port. With it, outages are those
    #: of a real connection, through a :class:`~tracelet.testing.FaultyProxy`.
    endpoint: str | None = None
    #: A configuration with credentials that the far side refuses, in place of ``config``; or a method that returns it.
    wrong_credentials: Any = None

    def outage(self, harness: Harness) -> AbstractContextManager[None]:
        """Return a context in which the far side is down. Override it to stop a real server."""
        return self._outage_of(harness)

    @contextlib.contextmanager
    def _outage_of(self, harness: Harness) -> Iterator[None]:
        if harness.proxy is not None:
            harness.proxy.refuse()
            try:
                yield
            finally:
                harness.proxy.forward()
            return
        fault = harness.fail_with(ConnectionRefusedError("the far side is down"), times=None)
        try:
            yield
        finally:
            harness.clear(fault)

    def _behind_proxy(self, **options: Any) -> Harness:
        """Drive the plugin; its connection goes through a proxy if the suite names the endpoint's key."""
        if self.endpoint is None:
            return self.harness(**options)
        table = self.table()
        proxy = FaultyProxy(str(table[self.endpoint]))
        self._request.addfinalizer(proxy.close)
        is_url = "://" in str(table[self.endpoint])
        table[self.endpoint] = proxy.url if is_url else proxy.address
        harness = self.harness(config=table, **options)
        harness.proxy = proxy
        return harness

    # -- what arrives ----------------------------------------------------------------------------------

    @promise(
        "delivered",
        "What finish() has delivered is at the far side, even if the program is killed the moment after",
        read_back=NEEDED,
        both=True,
    )
    def test_delivered_means_that_the_far_side_has_it(self, isolation: str) -> None:
        """A program records, finishes, and is killed right after."""
        steps = [("params", {"lr": 0.1}), ("tags", {"team": "vision"}), ("points", "loss", 0, 50)]
        folder, run = self._new_run()
        ended = self._run(folder, run, [*steps, ("finish",), ("kill",)])
        _check_ended(ended, killed=True)
        if not ended.answers or ended.answers[0]["pending"]:
            broken(f"finish() did not deliver everything: {ended.answers or ended.err.strip()}")
        self._compare_run(run)

    @promise("many", "10,000 points arrive, each once", read_back=BETTER, hooks=POINTS)
    def test_ten_thousand_points_arrive(self) -> None:
        """Many metrics at many steps."""
        harness = self.harness()
        for step in range(_MANY // 10):
            harness.run.log({f"metric/{number}": step + number / 16 for number in range(10)}, step=step)
        harness.wait(120)
        self.check_far_side(harness)
        harness.verify()

    @promise(
        "two_writers",
        "Points of two processes that record into one run arrive",
        read_back=BETTER,
        hooks=POINTS,
    )
    def test_two_writers_of_one_run(self) -> None:
        """Two journals of one run, written at the same time."""
        harness = self.harness()
        run = harness.run
        other = Writer(harness.run_dir, {"run": {"id": run.id, "name": run.name, "project": run.project}})
        try:
            for step in range(100):
                run.log_metric("loss", step / 4, step)
                other.point("loss/other", step / 8, step)
        finally:
            other.close()
        harness.wait()
        self.check_far_side(harness)

    @promise(
        "timestamps",
        "The time of a point is the time at which it was recorded",
        read_back=NEEDED,
        hooks=POINTS,
    )
    def test_timestamps_are_those_of_the_journal(self) -> None:
        """Delivered later than recorded."""
        harness = self.harness(start=False)
        for step in range(5):
            harness.run.log_metric("loss", step / 2, step)
        time.sleep(max(0.05, min(2.0, 3 * self.time_resolution)))
        harness.start()
        harness.wait()
        found = self.check_far_side(harness, times=True)
        rows = [row for several in (found.metrics or {}).values() for row in several]
        if rows and all(row[2] is None for row in rows):
            self.not_applicable("read_back() returns no times")

    @promise("stop", "stop() loses nothing: it flushes, and closes what is open", read_back=NEEDED)
    def test_stop_flushes(self) -> None:
        """What was accepted is at the far side after the plugin was stopped."""
        harness = self.harness()
        harness.send([("loss", step / 2, step) for step in range(100)])
        if pending := harness.stop():
            broken(f"after the end of the run, {pending} is pending")
        harness.check()
        self.check_far_side(harness)

    @promise(
        "resume",
        "A run that is resumed in another process continues at the far side",
        read_back=NEEDED,
        hooks=POINTS,
    )
    def test_a_run_resumed_in_a_second_process_continues(self) -> None:
        """Two programs, one after the other, with one run id."""
        folder, run = self._new_run()
        _check_ended(
            self._run(folder, run, [("params", {"lr": 0.1}), ("points", "loss", 0, 30), ("finish",)])
        )
        more = [("points", "loss", 30, 30), ("params", {"epochs": 3}), ("finish",)]
        _check_ended(self._run(folder, run, more, resume=True))
        self._compare_run(run)

    @promise("later", "`tracelet sync` delivers a run that has ended, all of it", read_back=NEEDED)
    def test_sync_delivers_a_run_that_has_ended(self) -> None:
        """The backend is started long after the run."""
        harness = self.harness(start=False)
        harness.run.log_params({"lr": 0.1})
        for step in range(20):
            harness.run.log_metric("loss", step / 2, step)
        harness.run.writer.close("finished")
        self._sync(harness.run_dir, harness)
        self.check_far_side(harness)

    # -- what survives ---------------------------------------------------------------------------------

    @promise("once", "A batch that is delivered again is stored once", read_back=NEEDED, hooks=POINTS)
    def test_a_batch_delivered_again_is_stored_once(self) -> None:
        """The last batch again, then everything again, then a batch whose answer was lost."""
        harness = self.harness()
        harness.send([("loss", step / 2, step) for step in range(50)])
        harness.send([("loss", step / 2, step) for step in range(50, 80)])
        harness.send_again("last")
        harness.send_again("all")
        harness.lose_answer()
        harness.send([("loss", step / 2, step) for step in range(80, 100)])
        self._check_once(harness)

    @promise(
        "restarted",
        "What is delivered again after the plugin was started again is stored once",
        read_back=NEEDED,
        hooks=POINTS,
    )
    def test_a_batch_delivered_again_to_a_new_process_is_stored_once(self) -> None:
        """As after a crash: the plugin has forgotten what it has stored, the far side has not."""
        harness = self.harness()
        harness.send([("loss", step / 2, step) for step in range(60)])
        harness.kill()
        harness.restart()
        harness.send_again("all")
        self._check_once(harness)

    def _check_once(self, harness: Harness) -> None:
        limits, self.limits = self.limits, {}  # whatever is declared, each point must be there once
        try:
            self.check_far_side(harness)
        finally:
            self.limits = limits

    @promise(
        "killed",
        "A program killed in the middle of a batch, or right after it, loses nothing",
        read_back=NEEDED,
        hooks=POINTS,
    )
    def test_killed_in_the_middle_of_a_batch_then_resumed(self) -> None:
        """One program is killed during a call, the next one after a call, then the rest is delivered."""
        folder, run = self._new_run()
        hook = self._point_hook()
        # The middle is half of what the call before did: not the first call, which may open a connection.
        middle = Fault(kinds.KILL_DURING, hook, call=100 if hook == "log_metric" else 3)
        ended = self._run(folder, run, [("points", "loss", 0, _IN_A_PROGRAM), ("finish",)], faults=[middle])
        _check_ended(ended, killed=True)
        after = Fault(kinds.KILL_AFTER, hook, call=1)
        more = [("points", "loss", _IN_A_PROGRAM, 10), ("finish",)]
        _check_ended(self._run(folder, run, more, faults=[after], resume=True), killed=True)
        self._sync(run.dir)
        self._compare_run(run, once=False)

    @promise(
        "outage",
        "An outage loses nothing: all points arrive afterwards, in order",
        read_back=BETTER,
        hooks=POINTS,
        both=True,
    )
    def test_an_outage_then_catch_up_in_order(self, isolation: str) -> None:
        """The far side is down while the run goes on."""
        harness = self._behind_proxy()
        harness.send([("loss", step / 2, step) for step in range(20)])
        with self.outage(harness):
            harness.send([("loss", step / 2, step) for step in range(20, 200)], wait=False)
            time.sleep(_OUTAGE)
        harness.wait(60)
        self.check_far_side(harness, ordered=True)
        harness.verify()

    @promise(
        "down_at_start",
        "A far side that is down at the start gets everything once it is up",
        read_back=BETTER,
        hooks=POINTS,
    )
    def test_a_far_side_that_is_down_at_the_start(self) -> None:
        """The plugin may start or not; the training goes on, and everything arrives later."""
        harness = self._behind_proxy(start=False)
        with self.outage(harness):
            harness.start(must=False)
            harness.send([("loss", step / 2, step) for step in range(20)], wait=False)
            time.sleep(_OUTAGE)
        harness.wait(60)
        self.check_far_side(harness, ordered=True)

    @promise(
        "refusal", "One point that is refused for good costs only itself", read_back=BETTER, hooks=POINTS
    )
    def test_one_refused_point_costs_only_itself(self) -> None:
        """The points before and after it arrive; it is counted with the reason."""
        harness = self.harness()
        harness.fail_with(ValueError("this point is refused"), times=None, metric="refused")
        points = [("loss", step / 2, step) for step in range(30)]
        harness.send([*points[:15], ("refused", 1.0, 0), *points[15:]], wait=False)
        harness.wait_for(lambda: harness.delivery.status()[harness.name]["dropped"])
        harness.wait()
        self.check_far_side(harness, without=["refused"])
        if (dropped := sum(harness.delivery.status()[harness.name]["dropped"].values())) != 1:
            broken(f"expected one dropped record, found {dropped}")

    @promise("credentials", "Wrong credentials are reported at once, and not tried again", both=True)
    def test_wrong_credentials_are_reported_and_not_tried_again(self, isolation: str) -> None:
        """The backend goes to state ERROR, or rests, with an error that says so."""
        table = self._wrong_table()
        harness = self.harness(config=table, start="try")
        harness.send([("loss", 0.5, 0)], wait=False)
        harness.run.log_params({"lr": 0.1})
        harness.wait_for(lambda: self._is_refused(harness))
        before = len(harness.calls)
        time.sleep(20 * QUICK.retry_longest / 10)
        if len(harness.calls) > before:
            broken(
                f"it was called {len(harness.calls) - before} more times after the credentials were refused"
            )
        error = harness.info.error or harness.delivery.status()[harness.name]["error"]
        if not error:
            broken("the state has no error that says why")

    def _wrong_table(self) -> Mapping[str, Any]:
        given: Any = type(self).wrong_credentials
        if given is None:
            self.not_applicable("the suite has no wrong_credentials")
        return dict(self.call("wrong_credentials") if self._provides("wrong_credentials") else given)

    def _is_refused(self, harness: Harness) -> bool:
        status = harness.delivery.status().get(harness.name, {})
        return status.get("breaker") == "permanent" or (
            harness.info.state.name == "ERROR" and status.get("state") in ("resting", None)
        )

    # -- programs --------------------------------------------------------------------------------------

    def _point_hook(self) -> str:
        return next((hook for hook in POINTS if hook in self._hooks()), POINTS[0])

    def _new_run(self) -> tuple[Path, RunAtRest]:
        from tracelet.layout import runs_folder
        from tracelet.run.folder import new_run_id

        if why := self._why_not_elsewhere():
            self.not_applicable(why)
        folder, run_id = self.folder(), new_run_id()
        return folder, RunAtRest(run_id, "a program", "kit", runs_folder(folder) / run_id)

    def _run(self, folder: Path, run: RunAtRest, steps: Any, **options: Any) -> Ended:
        given = {"plugin": self._spec(), "name": self.metadata.name, "config": self.table(), **options}
        isolation = "thread" if options.get("faults") else self._isolation
        return run_program(Program(folder=folder, run_id=run.id, steps=steps, isolation=isolation, **given))

    def _compare_run(self, run: RunAtRest, *, once: bool = True) -> None:
        harness = self._reader(run)
        self.compare(run, expected(run.dir, harness.name, harness.manager), once=once)

    def _reader(self, run: RunAtRest) -> Harness:
        """Return what knows the plugin, without starting it."""
        reader = self.harness(start=False)
        reader.run_dir = run.dir
        reader.prepare()
        return reader

    def _sync(self, run_dir: Path, harness: Harness | None = None) -> None:
        """Deliver what is pending, as `tracelet sync` does."""
        mine = harness or self.harness(start=False)
        mine.prepare()
        [result] = sync(run_dir, mine.manager, [mine.name], timeout=60, settings=QUICK)
        if not result.complete:
            broken(f"sync did not deliver everything: {result.due or result.error}")


def _check_ended(ended: Ended, *, killed: bool = False) -> None:
    wanted = -signal.SIGKILL if killed else os.EX_OK
    if ended.status != wanted:
        end = ended.err.strip().splitlines()[-15:]
        broken(f"the program ended with status {ended.status}, not {wanted}: " + "\n".join(end))
