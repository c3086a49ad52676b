"""A folder and the lake that its runs were delivered to answer the same, for everything."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("duckdb", reason="reading a lake needs the extra lake: pip install 'tracelet[lake]'")

import numpy

from tracelet.errors import StoreError, UsageError
from tracelet.store.metric_keys import as_patterns
from tracelet.store.rewinds import split_rewinds

pytestmark = pytest.mark.xdist_group("lake")  # so that one worker makes the lake

RUNS = ("plain-1", "ranks-1", "killed-1", "edited-1", "failed-1")
SELECTIONS = (
    {},
    {"archived": None},
    {"project": "digits"},
    {"outcome": ["killed", "failed"]},
    {"params": {"lr": 0.2}},
    {"tags": {"team": "vision"}},
    {"group": "sweep"},
    {"parent": "plain-1"},
    {"where": "metrics.loss.max > 0.5 and params.lr == 3", "sort": "name"},
    {"where": "metrics.'train/acc'.best >= 0"},
    {"where": "archived", "sort": ("-name", "started")},
    {"where": "duration >= 0 and metrics.cpu > 1"},
    {"sort": "-metrics.loss.mean", "limit": 2, "offset": 1, "archived": None},
)


def same(one, other) -> bool:
    """Compare values exactly: NaN equals NaN, 1 is not 1.0, and -0.0 is not 0.0."""
    return repr(one) == repr(other)


def bits(series):
    return [numpy.asarray(column).tobytes() for column in series.points]


def plain(record, **left_out):
    """Return all that a record says, without where it is."""
    found = record.to_dict()
    del found["dir"]
    return json.dumps(found, default=str, sort_keys=True)


@pytest.mark.parametrize("run", RUNS)
def test_a_run_says_the_same(both, run):
    folder, lake = both.folder.run(run), both.lake.run(run)
    assert plain(folder) == plain(lake)
    for name in ("writers", "processes", "edits", "artifacts", "facts", "plugins", "overhead", "dropped"):
        assert same(getattr(folder, name), getattr(lake, name)), name
    assert list(folder.params) == list(lake.params)
    assert folder.children == lake.children
    assert lake.damage == {}


@pytest.mark.parametrize("run", RUNS)
def test_points_are_the_same_to_the_last_bit(both, run):
    folder, lake = both.folder.run(run), both.lake.run(run)
    assert folder.metrics() == lake.metrics()
    for name in folder.metrics():
        one, other = folder.metric(name), lake.metric(name)
        assert bits(one) == bits(other), name
        assert (one.type, one.source, one.ranks) == (other.type, other.source, other.ranks)
        assert same(one.summary, other.summary), name
        assert same(folder.summary()[name], lake.summary()[name]), name
        assert same(folder.goal(name), lake.goal(name))
        assert same(folder.best(name), lake.best(name))
        assert bits(one.downsample(4)) == bits(other.downsample(4))
        for rank in one.ranks:
            assert bits(one.rank(rank)) == bits(other.rank(rank))
    one, other = ([(each.name, bits(each)) for each in record.series()] for record in (folder, lake))
    assert one == other


@pytest.mark.parametrize("run", RUNS)
def test_frames_are_the_same(both, run):
    for layout in ("wide", "long"):
        one, other = (
            store.run(run).dataframe(layout=layout, library="pandas") for store in (both.folder, both.lake)
        )
        assert one.equals(other)
        assert list(one.columns) == list(other.columns)


def test_steps_that_a_resumed_run_computed_again_are_the_same(both):
    one, other = (split_rewinds(store.run("ranks-1").metric("loss")) for store in (both.folder, both.lake))
    assert bits(one.effective) == bits(other.effective)
    assert [(ghost.attempt, ghost.steps, ghost.deviation, bits(ghost.series)) for ghost in one.ghosts] == [
        (ghost.attempt, ghost.steps, ghost.deviation, bits(ghost.series)) for ghost in other.ghosts
    ]
    assert one.ghosts


@pytest.mark.parametrize("selection", SELECTIONS, ids=str)
def test_lists_are_the_same(both, selection):
    folder, lake = both.folder.runs(**selection), both.lake.runs(**selection)
    assert [one.id for one in folder] == [one.id for one in lake]
    for one, other in zip(folder, lake, strict=True):
        assert same(one.summary(), other.summary())
        assert same(one.params, other.params)
        assert same(one.tags, other.tags)
        for name in (
            "name",
            "project",
            "outcome",
            "error",
            "host",
            "started_at",
            "ended_at",
            "notes",
            "job_type",
        ):
            assert same(getattr(one, name), getattr(other, name)), name
        assert same(one.duration, other.duration)


def test_the_store_says_the_same_of_all_runs(both):
    folder, lake = both.folder, both.lake
    assert folder.projects() == lake.projects()
    assert folder.fields() == lake.fields()
    assert folder.count("metrics.loss.last > 0") == lake.count("metrics.loss.last > 0")
    assert folder.dataframe(statistic="mean", library="pandas").equals(
        lake.dataframe(statistic="mean", library="pandas")
    )
    several = [[bits(one) for one in store.series("loss", points=10)] for store in (folder, lake)]
    assert several[0] == several[1]


@pytest.mark.parametrize("key", ["plain-1", "plain", "renamed", "latest", "killed", "rank"])
def test_runs_are_found_by_the_same_keys(both, key):
    def found(store):
        try:
            return store.run(key).id
        except StoreError as error:
            return str(error).replace(store.location, "STORE")

    assert found(both.folder) == found(both.lake)


def test_patterns_and_missing_names_are_the_same(both):
    for patterns in (["row/*"], ["*", "!row/*"], ["l*"], as_patterns(["a*b[c]?"])):
        names = [
            [one.name for one in store.run("plain-1").series(patterns)] for store in (both.folder, both.lake)
        ]
        assert names[0] == names[1]
        assert names[0]
    for store in (both.folder, both.lake):
        with pytest.raises(StoreError, match="has no metric 'losss'"):
            store.run("plain-1").metric("losss")
        with pytest.raises(UsageError):
            store.runs(where="metrics.loss >")
