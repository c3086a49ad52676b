"""Delivered means received: ids of events, fresh values, unfinished answers, other exceptions, outages at start."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from concurrent.futures import Future

import pytest

from tracelet import hookimpl
from tracelet.core.plugins import PluginInfo, PluginMetadata, PluginState
from tracelet.delivery.ledger.ledger import Ledger
from tracelet.delivery.ledger.verify import verify
from tracelet.delivery.sync import is_due, sync
from tracelet.store import open_store

EVENTS = ("log_params", "set_tags", "log_artifact")


def record_events(stage) -> None:
    (stage.run_dir / "artifacts").mkdir(exist_ok=True)
    (stage.run_dir / "artifacts" / "weights").write_text("1")
    stage.writer.event("params", {"params": {"lr": 1, "nested": [1, 2]}})
    stage.writer.event("tags", {"tags": {"team": "vision"}})
    stage.writer.event("artifact", {"path": "artifacts/weights", "artifact_path": None, "media": None})


# -- what is pending stays pending ---------------------------------------------------------------------


def test_events_pending_in_an_outage_stay_pending_when_the_run_ends(stage, backend):
    def fail(hook, given):
        raise ConnectionError("down")

    got = stage.add(backend(before=fail))
    record_events(stage)
    stage.log(1)
    assert not stage.delivery.flush(5)
    assert stage.delivery.finish(1) == {"backend": "4 records"}
    (row,) = verify(stage.run_dir).backends
    assert (row.delivered, row.pending, row.accepted, row.agrees) == (0, 4, 0, True)
    assert is_due(stage.run_dir, "backend")
    got.before = lambda hook, given: None
    stage.again(got)
    stage.flush()
    assert got.calls == ["log_params", "set_tags", "log_artifact", "log_metrics"]
    stage.verified()


@pytest.mark.parametrize("failing", EVENTS)
def test_what_comes_before_an_event_that_fails_is_booked_and_not_the_event(stage, backend, failing):
    def fail(hook, given):
        if hook == failing:
            raise ConnectionError("down")

    stage.add(backend(before=fail))
    stage.log(3)
    record_events(stage)
    stage.delivery.flush(5)
    pending = 3 - EVENTS.index(failing)
    assert stage.delivery.finish(1) == {"backend": f"{pending} record{'s' * (pending != 1)}"}
    stage.verified()


def test_verify_finds_a_ledger_that_claims_more_than_the_backend_accepted(stage, backend):
    stage.add(backend())
    stage.log(10)
    stage.flush()
    stage.close()
    ledger = Ledger(stage.run_dir, "backend")
    assert ledger.accepted == 10
    ledger.accepted = 9
    ledger.save()
    (row,) = verify(stage.run_dir).backends
    assert (row.recorded, row.accounted, row.agrees) == (10, 10, False)


def test_each_record_has_an_id_that_is_the_same_when_it_is_repeated(stage, backend):
    seen: list[tuple] = []

    class Identified(backend):
        failures = 4

        def _note(self, hook, id):
            seen.append((hook, id))
            if self.failures and len(seen) % 2:
                self.failures -= 1
                raise ConnectionError("once more")

        def log_params(self, params, id):
            self._note("params", id)

        def set_tags(self, tags, id):
            self._note("tags", id)

        def log_artifact(self, local_path, id):
            self._note("artifact", id)

        def log_metrics(self, points):
            self._note("points", points[0].id)

    stage.add(Identified())
    record_events(stage)
    stage.log(1)
    stage.flush()
    ids = [id for _, id in seen]
    assert ids[::2] == ids[1::2]
    assert len(set(ids)) == 4
    writers = {writer for writer, _, _ in ids}
    assert len(writers) == 1
    assert [index for _, _, index in ids] == [0] * 8


# -- what a hook is given is its own -------------------------------------------------------------------


def test_what_a_backend_does_to_what_it_is_given_does_not_reach_the_retry(stage, backend):
    class Destroyer(backend):
        tries = 0

        def _destroy(self, given):
            self.tries += 1
            kept = json.dumps(
                given, default=lambda point: (point.name, point.value, point.iteration, point.id[2])
            )
            for point in given if isinstance(given, list) else []:
                point.name = point.value = point.id = None
            given.clear()
            if self.tries % 2:
                raise ConnectionError("once more")
            self.calls.append(json.loads(kept))

        def log_metrics(self, points):
            self._destroy(points)

        def log_params(self, params):
            params["nested"].append(3)
            self._destroy(params)

        def set_tags(self, tags):
            self._destroy(tags)

    got = stage.add(Destroyer())
    other = stage.add(backend("other"))
    record_events(stage)
    values = stage.log(2)
    stage.flush()
    assert got.calls == [
        {"lr": 1, "nested": [1, 2, 3]},
        {"team": "vision"},
        "log_artifact",
        [["loss", 0.0, 0, 0], ["loss", 1.0, 1, 0]],
    ]
    assert other.values == values
    assert other.params == {"lr": 1, "nested": [1, 2]}
    stage.verified()


# -- answers that mean that nothing has happened -------------------------------------------------------


async def coroutine():
    raise AssertionError("never awaited")


def generator():
    yield


async def async_generator():
    yield


class Awaitable:
    def __await__(self):
        raise AssertionError("never awaited")


UNFINISHED = {
    "a coroutine": coroutine,
    "a generator": generator,
    "an async generator": async_generator,
    "an awaitable (Awaitable)": Awaitable,
    "an iterator (map)": lambda: map(str, [1]),
}


@pytest.mark.parametrize("hook", ["log_metrics", "log_metric", "log_params"])
@pytest.mark.parametrize("what", UNFINISHED)
def test_an_unfinished_answer_is_a_failure(stage, backend, one_by_one, what, hook):
    class Lazy(one_by_one if hook == "log_metric" else backend):
        pass

    def work(self, *, name=None, points=None, params=None):
        return UNFINISHED[what]()

    names = {"log_metric": "name", "log_metrics": "points", "log_params": "params"}
    namespace = {"answer": UNFINISHED[what]}
    exec(f"def {hook}(self, {names[hook]}): return answer()", namespace)
    setattr(Lazy, hook, namespace[hook])
    stage.add(Lazy())
    if hook == "log_params":
        record_events(stage)
    else:
        stage.log(2)
    assert not stage.delivery.flush(5)
    status = stage.status()
    assert f"{hook} returned {what}" in status["error"]
    assert (status["delivered"], status["state"]) == (0, "resting")
    assert stage.manager.plugins["backend"].state is PluginState.ERROR
    assert status["pending"] == (3 if hook == "log_params" else 2)
    stage.verified()


@pytest.mark.parametrize("answer", [None, True, 3, "done", [1], {"status": "ok"}, object()])
def test_any_other_answer_is_ignored(stage, backend, answer):
    class Answering(backend):
        def log_metrics(self, points):
            super().log_metrics(points, stage)
            return answer

        id = None

    stage.id = "run-1"
    got = stage.add(Answering())
    values = stage.log(2)
    stage.flush()
    assert got.values == values


@pytest.mark.parametrize("hook", ["log_metrics", "log_params"])
def test_false_is_accepted_and_reported_once(stage, backend, hook, caplog):
    """What it was given counts as delivered; a hook that could not deliver has to raise."""

    class Answering(backend):
        def log_metrics(self, points):
            self.points += points
            return False if hook == "log_metrics" else None

        def log_params(self, params):
            super().log_params(params)
            return False if hook == "log_params" else None

    got = stage.add(Answering())
    values = []
    for start in range(3):
        values += stage.log(1, start=start)
        stage.writer.event("params", {"params": {str(start): start}})
        stage.flush()
    assert (got.values, len(got.params)) == (values, 3)
    assert caplog.text.count(f"plugin 'backend': {hook} returned False, which is ignored") == 1
    assert "raise an exception for what was not" in caplog.text
    stage.verified()


class OwnException(BaseException):
    pass


@pytest.mark.parametrize(
    "kind", [asyncio.CancelledError, GeneratorExit, SystemExit, KeyboardInterrupt, OwnException]
)
def test_any_exception_is_a_failure_that_is_retried(stage, backend, one_by_one, kind):
    failures = {"backend": 2, "single": 2}

    def failing(name):
        def fail(hook, given):
            if failures[name]:
                failures[name] -= 1
                raise kind("now and then")

        return fail

    got = stage.add(backend(before=failing("backend")))
    single = stage.add(one_by_one("single", before=failing("single")))
    record_events(stage)
    values = stage.log(5)
    stage.flush()
    assert got.values == single.values == values
    assert got.params == single.params
    assert stage.status()["retries"] == 2
    stage.verified()


def test_recording_into_the_run_from_a_data_hook_does_not_loop(stage, backend, caplog):
    class Chatty(backend):
        def log_metrics(self, points, run):
            super().log_metrics(points, run)
            run.log_metric("points", len(points))
            run.set_tags({"sent": "yes"})

    class Run:
        id, name, project, dir, started_at = "run-1", "first", "p", stage.run_dir, 0.0

        def log_metric(self, *point):
            stage.writer.point(*point)

        def set_tags(self, tags):
            stage.writer.event("tags", {"tags": tags})

    stage.delivery = type(stage.delivery)(stage.manager, Run(), stage.run_dir, settings=stage.settings)
    got = stage.add(Chatty())
    values = stage.log(3)
    stage.flush()
    assert got.values == values
    assert stage.writer.recorded == 3
    assert caplog.text.count("records nothing, because the record would pass through that hook again") == 2


# -- outages at start ----------------------------------------------------------------------------------


def start(stage, plugin):
    """Start a plugin as a run does."""
    from tracelet.delivery.attaching import is_backend, start_and_attach
    from tracelet.delivery.sync import RecordedRun

    name = stage.manager.register_plugin(plugin).name

    def attach(name):
        if is_backend(stage.manager, name):
            stage.delivery.add(name)

    run = RecordedRun(stage.run_dir)
    return start_and_attach(stage.manager, [name], run, attach, delivery=stage.delivery)


@pytest.mark.parametrize("step", ["start", "initialize"])
def test_an_outage_at_start_is_waited_out(stage, backend, step):
    is_up = threading.Event()

    class Connecting(backend):
        started: list = []

        def _connect(self):
            if not is_up.is_set():
                raise ConnectionError("nobody answers")

        def initialize(self, config):
            if step == "initialize":
                self._connect()

        def start(self):
            if step == "start":
                self._connect()

        def run_started(self, run):
            self.started.append(len(self.points))

    got = Connecting()
    assert start(stage, got) == []
    values = stage.log(3)
    assert not stage.delivery.flush(0.3)
    status = stage.status()
    assert (status["state"], status["pending"], status["delivered"]) == ("retrying", 3, 0)
    assert "nobody answers" in status["error"]
    assert is_due(stage.run_dir, "backend")
    assert verify(stage.run_dir).backends[0].pending == 3
    is_up.set()
    stage.flush()
    assert got.values == values
    assert got.started == [0], "it knows the run before the first point"
    assert stage.delivery.finish(1) == {}
    stage.verified()


def test_a_run_that_ends_in_an_outage_at_start_names_what_is_pending_and_sync_delivers(stage, backend):
    class Down(backend):
        def start(self):
            raise OSError("unreachable")

    start(stage, Down())
    stage.log(2)
    assert stage.delivery.finish(0.3) == {"backend": "2 records"}
    stage.manager.stop_all_plugins()
    assert is_due(stage.run_dir, "backend")
    stage.again()
    got = backend()
    stage.manager.register_plugin(got)
    (result,) = sync(stage.run_dir, stage.manager, ["backend"])
    assert result.complete
    assert got.values == [0.0, 1.0]


def test_sync_in_an_outage_at_start_ends_by_itself(stage, backend):
    class Down(backend):
        tries = 0

        def start(self):
            type(self).tries += 1
            raise ConnectionError("unreachable")

    stage.log(2)
    stage.manager.register_plugin(Down())
    (result,) = sync(stage.run_dir, stage.manager, ["backend"], settings=stage.settings)
    assert (result.due, result.complete) == ("2 records", False)
    assert "unreachable" in result.error
    assert Down.tries >= stage.settings.breaker_after


@pytest.mark.parametrize("error", [PermissionError("denied"), ValueError("bad url"), RuntimeError("broken")])
def test_another_failure_at_start_is_not_retried_and_what_it_should_get_is_pending(stage, backend, error):
    class Refusing(backend):
        tries = 0

        def start(self):
            type(self).tries += 1
            raise error

    start(stage, Refusing())
    stage.log(2)
    assert not stage.delivery.flush(5)
    assert stage.status()["state"] == "resting"
    assert stage.delivery.finish(1) == {"backend": "2 records"}
    assert Refusing.tries == 1
    assert is_due(stage.run_dir, "backend")


def test_an_outage_of_a_dependency_is_waited_out_too(stage, backend):
    is_up = threading.Event()

    class Base(backend):
        def start(self):
            if not is_up.is_set():
                raise ConnectionError("the pool is empty")

    class Dependent(backend):
        def get_metadata(self):
            metadata = super().get_metadata()
            metadata.dependencies = ["base"]
            return metadata

    stage.manager.register_plugin(Base("base"))
    got = Dependent()
    start(stage, got)
    values = stage.log(2)
    assert not stage.delivery.flush(0.2)
    assert stage.status()["state"] == "retrying"
    is_up.set()
    stage.flush()
    assert got.values == values


# -- the same backend under two names ------------------------------------------------------------------


def test_a_class_under_two_names_gets_each_record_once(stage, backend, caplog):
    got = []

    class Printer(backend):
        def log_metrics(self, points):
            got.extend(point.value for point in points)

    for name in ("printer", "acme-printer"):
        metadata = PluginMetadata(name, "1", "backend")
        stage.manager.plugins[name] = PluginInfo(metadata, instance=Printer, state=PluginState.LOADED)
        assert stage.manager.start_plugins([name]) == {name: True}
        stage.delivery.add(name)
    values = stage.log(3)
    stage.flush()
    assert got == values
    assert "is the same backend as 'printer', with the same configuration" in caplog.text


def test_a_class_under_two_names_with_two_configurations_is_two_backends(stage, backend):
    got = []

    class Printer(backend):
        def log_metrics(self, points):
            got.extend((self.config["to"], point.value) for point in points)

    for name in ("first", "second"):
        metadata = PluginMetadata(name, "1", "backend")
        stage.manager.plugins[name] = PluginInfo(metadata, instance=Printer, state=PluginState.LOADED)
        assert stage.manager.start_plugins({name: {"to": name}}) == {name: True}
        stage.delivery.add(name)
    stage.log(1)
    stage.flush()
    assert sorted(got) == [("first", 0.0), ("second", 0.0)]


# -- changes of the run --------------------------------------------------------------------------------


def test_a_change_of_the_run_reaches_run_changed_in_order(stage, backend):
    class Watching(backend):
        def run_changed(self, run, changes, id):
            self.calls.append((run.id, changes, id[2]))

    got = stage.add(Watching())
    other = stage.add(backend("other"))
    stage.log(1)
    stage.writer.event("run", {"name": "second", "notes": "better"})
    stage.log(1)
    stage.flush()
    assert got.calls == ["log_metrics", ("run-1", {"name": "second", "notes": "better"}, 0), "log_metrics"]
    assert stage.delivery.status()["other"]["excluded"] == 1
    assert len(other.values) == 2
    stage.verified()


def test_tags_reach_run_changed_of_a_backend_without_set_tags(stage):
    class Notifier:
        def __init__(self):
            self.got = []

        @hookimpl
        def run_changed(self, changes):
            self.got.append(changes)

    got = Notifier()
    name = stage.manager.register_plugin(got, name="notifier").name
    stage.manager.start_plugins([name])
    stage.delivery.add(name)
    stage.writer.event("tags", {"tags": {"team": "vision"}})
    stage.flush()
    assert got.got == [{"tags": {"team": "vision"}}]
    stage.verified()


# -- media ---------------------------------------------------------------------------------------------


def medium(stage, file: str, kind: str, **more):
    path = stage.run_dir / "media" / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"data")
    files = [{"path": f"media/{file}", "size": 4, "sha256": "00"}]
    given = {"path": f"media/{file}", "artifact_path": "media", "name": "val/x", "media": kind, "step": 3}
    stage.writer.event("artifact", {**given, "files": files, **more})
    return str(path)


def test_media_reach_log_media_with_name_step_kind_and_metadata(stage, backend):
    class Gallery(backend):
        def log_media(self, name, step, kind, path, metadata):
            metadata.pop("timestamp")
            self.calls.append((name, step, kind, path, dict(metadata)))
            metadata.clear()

    got = stage.add(Gallery())
    plain = stage.add(backend("plain"))
    image = medium(stage, "x.png", "image", metadata={"caption": "a cat"})
    table = medium(stage, "x.table.json", "custom", step=None)
    record_events(stage)
    stage.flush()
    about = {"artifact_path": "media", "size": 4, "sha256": "00"}
    assert got.calls == [
        ("val/x", 3, "image", image, {**about, "caption": "a cat"}),
        ("val/x", None, "table", table, about),
        *("log_params", "set_tags", "log_artifact"),
    ]
    assert [path for path, _ in plain.artifacts[:2]] == [image, table]
    stage.verified()


LOOPING = """
    import tracelet
    from tracelet.core.plugins import BackendPlugin, PluginMetadata, ProcessorPlugin

    class Life:
        def initialize(self, config):
            self.got = 0
        def start(self): ...
        def stop(self): ...
        def get_status(self):
            return {"got": self.got}
        def log_params(self, params): ...
        def log_artifact(self, local_path, artifact_path=None): ...
        def log_metric(self, name, value, iteration): ...

    class Sink(Life, BackendPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata("sink", "1", "backend")

        def run_started(self, run):
            self.run = run

        def log_metrics(self, points, run):
            self.got += len(points)
            run.log_metric("given", 1.0)
            self.run.log({"kept": 1.0})
            tracelet.log_metric("global", 1.0)
            tracelet.log_text("note", "text")

    class Looper(Life, ProcessorPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata("looper", "1", "processor")

        def process_metric(self, metric):
            tracelet.log({"processed": 1.0})
            return metric
"""


LOOPED = """
    import tracelet

    with tracelet.start_run("loop") as run:
        run.wait_started(30)
        for step in range(3):
            run.log_metric("loss", step, step)
        assert run.flush(timeout=20)
        status = run.status()
    print(status["recorded"], status["plugins"]["sink"]["status"]["got"])
"""


def test_no_way_to_record_from_a_data_hook_loops(project):
    project.write("tracelet_plugins.py", LOOPING)
    project.write("tracelet.toml", 'plugins = ["no:system", "no:environment", "no:gpu"]\n')
    project.write("train.py", LOOPED)
    done = project.python("train.py")
    assert done.stdout == "3 3\n"
    for call in ("log_metric", "log", "log_text"):
        assert f"plugin 'sink': {call} was called in the hook log_metrics and records nothing" in done.stderr
    assert "plugin 'looper': log was called in the hook process_metric" in done.stderr


THREADED = LOOPING.replace(
    """            run.log_metric("given", 1.0)
            self.run.log({"kept": 1.0})
            tracelet.log_metric("global", 1.0)
            tracelet.log_text("note", "text")
""",
    """            self.record(run)

        def record(self, run):
            def work():
                run.log_metric("given", 1.0)
                self.run.log({"kept": 1.0})
                tracelet.log_metric("global", 1.0)
                inner = threading.Thread(target=tracelet.log, args=({"inner": 1.0},))
                inner.start()
                inner.join()
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                pool.submit(work).result()
            timer = threading.Timer(0, work)
            timer.start()
            timer.join()
""",
).replace("import tracelet\n", "import concurrent.futures, threading\n    import tracelet\n", 1)


def test_a_thread_that_a_data_hook_starts_does_not_loop_either(project):
    project.write("tracelet_plugins.py", THREADED)
    project.write("tracelet.toml", 'plugins = ["no:system", "no:environment", "no:gpu"]\n')
    project.write("train.py", LOOPED)
    done = project.python("train.py")
    assert done.stdout == "3 3\n"
    for call in ("log_metric", "log"):
        assert f"plugin 'sink': {call} was called in the hook log_metrics and records nothing" in done.stderr


def test_a_thread_that_was_started_before_records(project):
    project.write(
        "tracelet_plugins.py",
        """
        import queue, threading, tracelet

        class Side:
            @tracelet.hookimpl
            def run_started(self, run):
                self.queue = queue.Queue()
                self.thread = threading.Thread(target=self.work, daemon=True)
                self.thread.start()

            def work(self):
                while (value := self.queue.get()) is not None:
                    tracelet.log({"seen": value})

            @tracelet.hookimpl
            def log_metric(self, name, value):
                if name != "seen":
                    self.queue.put(value)

            @tracelet.hookimpl
            def run_ended(self):
                self.queue.put(None)
        """,
    )
    project.write("tracelet.toml", 'plugins = ["no:system", "no:environment", "no:gpu"]\n')
    project.write(
        "train.py",
        """
        import time, tracelet
        with tracelet.start_run("side") as run:
            run.wait_started(30)
            run.log_metric("loss", 2.5, 1)
            end = time.monotonic() + 60
            while "seen" not in tracelet.open_store().run(run.id).metrics() and time.monotonic() < end:
                time.sleep(0.05)  # the thread records after delivery has handed over
        print(tracelet.open_store().run(run.id).metric("seen").values[-1])
        """,
    )
    assert project.python("train.py").stdout == "2.5\n"


# -- what a hook answers, and what reading its exception does ------------------------------------------


class Refusal:
    """A response as HTTP clients have it."""

    def raise_for_status(self):
        raise ConnectionError("503")


FAILED = {
    "an exception": (lambda: ConnectionError("gone"), "ConnectionError: gone"),
    "a refusal": (Refusal, "ConnectionError: 503"),
    "not implemented": (lambda: NotImplemented, "log_metrics returned NotImplemented"),
    "a future": (Future, "log_metrics returned a future (Future)"),
}


@pytest.mark.parametrize("what", FAILED)
def test_an_answer_that_is_a_failure_is_not_taken_for_received(stage, backend, what):
    make, message = FAILED[what]

    class Answers(backend):
        def log_metrics(self, points):
            return make()

    stage.add(Answers())
    stage.log(2)
    assert not stage.delivery.flush(5)
    status = stage.status()
    assert (status["delivered"], status["pending"]) == (0, 2)
    assert message in status["error"]
    stage.verified()


class Odd(Exception):
    """Each of its attributes fails when it is read."""

    @property
    def status_code(self):
        raise RuntimeError("no")

    @property
    def response(self):
        raise SystemExit(3)

    def __str__(self):
        raise asyncio.CancelledError


@pytest.mark.parametrize("hook", ["log_metrics", "start"])
def test_an_exception_that_cannot_be_read_ends_no_worker(stage, backend, hook):
    class Raises(backend):
        pass

    def fail(self, points=None):
        raise Odd

    setattr(Raises, hook, fail)
    if hook == "log_metrics":
        stage.add(Raises())
    else:
        stage.manager.register_plugin(Raises())
        assert stage.manager.start_plugins({"backend": {}}) == {"backend": False}
        stage.delivery.hold("backend", lambda: None)
    stage.log(2)
    assert not stage.delivery.flush(5)
    status = stage.status()
    assert (status["state"], status["pending"]) == ("retrying" if hook == "log_metrics" else "resting", 2)
    assert f"{hook} failed: Odd" in status["error"]


@pytest.mark.parametrize("method", ["__str__", "code"])
def test_an_exception_that_hangs_as_it_is_read_hangs_its_own_plugin_only(stage, backend, method):
    ended = threading.Event()

    class Hangs(Exception):
        pass

    setattr(Hangs, method, lambda error: ended.wait(60))

    class Raises(backend):
        def log_metrics(self, points):
            raise Hangs

    stage.add(Raises())
    stage.manager.handle("backend").limits["log"] = 0.3
    stage.log(2)
    assert not stage.delivery.flush(10)
    status = stage.status()
    ended.set()
    assert "log_metrics was still running" in status["error"]
    assert (status["state"], status["pending"]) == ("resting", 2)


def test_a_child_that_a_hook_forks_and_that_returns_ends(stage, backend):
    children = []

    class Forks(backend):
        def log_params(self, params):
            child = os.fork()
            if child:
                children.append(child)

    stage.add(Forks())
    record_events(stage)
    stage.flush()
    assert os.waitstatus_to_exitcode(os.waitpid(children[0], 0)[1]) == 0
    stage.verified()


def test_an_edit_of_another_process_reaches_run_changed(stage, backend):
    class Watching(backend):
        def run_changed(self, run, changes):
            self.calls.append(changes)

    got = stage.add(Watching())
    stage.writer.event("tags", {"tags": {"old": 1}})
    stage.flush()
    store = open_store(stage.run_dir)
    store.edit(store.run(), name="edited", tags={"good": True}, untag="old", archived=True)
    stage.flush()
    assert got.calls == ["set_tags", {"name": "edited", "archived": True}, "set_tags", {"untag": ["old"]}]
    assert got.tags == {"old": 1, "good": True}
    stage.verified()
