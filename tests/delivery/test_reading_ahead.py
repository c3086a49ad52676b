"""The next batch is read while the backend stores the current one: nothing may be lost, repeated or out of order."""

from __future__ import annotations

import threading

from tracelet.delivery.pipeline.reader import Reader

MANY = 5000  # several batches


def test_a_backend_that_is_far_behind_gets_everything_once_and_in_order(stage, backend):
    values = stage.log(MANY)
    got = stage.add(backend())
    stage.flush()
    assert got.values == values
    assert stage.status()["delivered"] == MANY
    assert stage.delivery.finish(5) == {}


def test_the_next_batch_is_read_during_a_call(stage, backend, monkeypatch):
    reads = threading.Semaphore(0)
    read = Reader.read

    def counted(self, limit):
        found = read(self, limit)
        reads.release()
        return found

    monkeypatch.setattr(Reader, "read", counted)
    in_time = []

    def wait_for_next(hook, points):
        if not in_time:
            reads.acquire()  # the batch that this call gets
            in_time.append(reads.acquire(timeout=10))

    stage.log(MANY)
    stage.add(backend(before=wait_for_next))
    stage.flush()
    assert in_time == [True]


def test_a_failure_of_reading_ahead_loses_nothing(stage, backend, monkeypatch):
    read = Reader.read
    failures = []

    def fail_once(self, limit):
        found = read(self, limit)
        if in_call.is_set() and not failures:
            failures.append("the disk does not answer")
            raise OSError(5, failures[0])  # after the reader has moved on
        return found

    in_call = threading.Event()

    def call(hook, points):
        in_call.set()
        in_call.wait(5)

    monkeypatch.setattr(Reader, "read", fail_once)
    values = stage.log(MANY)
    got = stage.add(backend(before=call))
    stage.flush()
    assert failures
    assert got.values == values


def test_what_was_read_ahead_and_not_delivered_is_delivered_later(stage, backend):
    is_third = threading.Event()
    may_go_on = threading.Event()

    def stop_in_the_third(hook, points):
        if len(got.calls) == 2:
            is_third.set()
            may_go_on.wait(10)

    values = stage.log(MANY)
    got = backend(before=stop_in_the_third)
    stage.add(got)
    assert is_third.wait(10)
    ending = threading.Thread(target=stage.delivery.finish, args=(0.0,))
    ending.start()
    may_go_on.set()
    ending.join()
    assert 0 < len(got.values) < MANY
    rest = backend()
    stage.again(rest)
    stage.flush()
    assert got.values + rest.values == values


def test_a_changed_route_applies_to_what_was_read_ahead(stage, backend):
    is_first = threading.Event()
    may_go_on = threading.Event()

    def wait(hook, points):
        is_first.set()
        may_go_on.wait(10)

    stage.configure({"backend": {"metrics": ["loss"]}})
    stage.log(MANY)
    got = stage.add(backend(before=wait))
    assert is_first.wait(10)
    first = stage.settings.batch_first
    stage.manager.config.tables["backend"]["metrics"] = ["accuracy"]
    stage.delivery.reconfigure("backend")
    may_go_on.set()
    stage.flush()
    assert 0 < len(got.values) <= first
