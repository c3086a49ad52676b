"""Metrics of one name from several sources: the program's and a collector's are kept apart."""

from __future__ import annotations


def record_both(records, *, finish: bool = True):
    writer = records.start("r")
    for step in range(3):
        writer.point("cpu", float(step), step)
        writer.point("cpu", 100.0 + step, step, type="system", source="system")
    if finish:
        writer.close("finished")
    return writer


def test_the_program_keeps_the_name(records):
    record_both(records)
    store = records.store()
    for run in (store.run("r"), store.runs()[0]):
        assert run.metrics() == ["cpu", "cpu@system"]
        assert run.metric("cpu").values == [0.0, 1.0, 2.0]
        assert (run.metric("cpu").type, run.metric("cpu").source) == ("scalar", None)
        assert run.metric("cpu@system").values == [100.0, 101.0, 102.0]
        assert (run.metric("cpu@system").type, run.metric("cpu@system").source) == ("system", "system")
        assert run.summary()["cpu"]["max"] == 2.0
        assert run.summary()["cpu@system"]["max"] == 102.0
        assert [series.name for series in run.series("cpu*")] == ["cpu", "cpu@system"]
        assert list(run.dataframe()) == ["iteration", "cpu"]
    assert [run.id for run in store.runs(where="metrics.cpu.max < 3")] == ["r"]
    assert [run.id for run in store.runs(where="metrics['cpu@system'].max > 100")] == ["r"]


def test_a_source_that_comes_later_moves_the_collector_aside(records):
    writer = records.start("r")
    writer.point("cpu", 100.0, 0, type="system", source="system")
    store = records.store()
    assert list(store.runs()[0].summary()) == ["cpu"]
    writer.point("cpu", 1.0, 0)
    assert {name: one["last"] for name, one in store.runs()[0].summary().items()} == {
        "cpu": 1.0,
        "cpu@system": 100.0,
    }
    writer.point("cpu", 101.0, 1, type="system", source="system")
    writer.close("finished")
    assert store.runs()[0].summary()["cpu@system"]["count"] == 2
    assert store.runs()[0].summary() == records.store().run("r").summary()


def test_two_collectors_and_no_program(records):
    writer = records.start("r")
    writer.point("temperature", 1.0, 0, type="system", source="a")
    writer.point("temperature", 2.0, 0, type="system", source="b")
    writer.close("finished")
    run = records.store().run("r")
    assert run.metrics() == ["temperature@a", "temperature@b"]
    assert run.metric("temperature@b").values == [2.0]


def test_ranks_and_sources(records):
    writers = [records.start("r", rank=rank, world_size=2) for rank in range(2)]
    for writer in writers:
        writer.point("cpu", 1.0, 0)
        writer.point("cpu", 50.0, 0, type="system", source="system")
        writer.close("finished")
    run = records.store().run("r")
    assert run.metric("cpu").values == [1.0, 1.0]
    assert run.metric("cpu@system").ranks == [0, 1]
    assert run.metric("cpu@system").rank(1).values == [50.0]
