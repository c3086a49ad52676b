"""Groups of runs: the mean and band of their curves, the rows of the table, and x = another metric."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import fmean, pstdev

import pytest
from starlette.testclient import TestClient
from tests.ui.conftest import LOCAL
from tests.ui.sample_runs import PLAIN

import tracelet
from tracelet.store import Store, open_store
from tracelet.ui import create_app


def digits(store: Store) -> list[str]:
    return [record.id for record in store.runs(where="name ~ 'digits*'", sort="name")]


def values_at(store: Store, ids: list[str], name: str, low: float, high: float) -> list[list[float]]:
    """Return the finite values of each run whose step is in a range."""
    several = [store.run(id).metric(name) for id in ids]
    return [[y for x, y, _ in one if low <= x < high and math.isfinite(y)] for one in several]


def test_group_is_exact_where_every_step_fits(client: TestClient, store: Store) -> None:
    query = {"run": digits(store), "name": "val/accuracy", "by": "params.optimizer"}
    answer = client.get("/api/v1/series/groups", params=query).json()
    assert [group["value"] for group in answer["groups"]] == ["adam", "sgd"]
    adam = next(one for one in answer["series"] if one["group"] == 0)
    assert adam["x"] == [float(step) for step in range(0, 400, 10)]
    for place, step in enumerate(range(0, 400, 10)):
        (values,) = zip(
            *values_at(store, answer["groups"][0]["runs"], "val/accuracy", step, step + 1), strict=True
        )
        assert adam["mean"][place] == pytest.approx(fmean(values), rel=1e-12)
        assert adam["deviation"][place] == pytest.approx(pstdev(values), rel=1e-9)
        assert (adam["low"][place], adam["high"][place]) == (min(values), max(values))
    assert set(adam["runs"]) == {3}
    assert adam["first"] is adam["last"] is None  # every step is an entry of its own


def test_group_with_fewer_pixels_than_steps_uses_all_points(client: TestClient, store: Store) -> None:
    query = {"run": digits(store), "name": "train/loss", "by": "project", "pixels": 40}
    answer = client.get("/api/v1/series/groups", params=query).json()
    (one,) = answer["series"]
    assert len(one["x"]) == 40
    assert one["total"] == 2000
    assert one["not_finite"] == 5
    width = 399 / 40
    parts = values_at(store, answer["groups"][0]["runs"], "train/loss", 3 * width, 4 * width)
    assert one["mean"][3] == pytest.approx(fmean(map(fmean, parts)), rel=1e-12)
    assert (one["first"][3], one["last"][3]) == (30.0, 39.0)  # steps from 3 * width to 4 * width
    assert one["low"][3] == min(map(min, parts))
    assert one["high"][3] == max(map(max, parts))


def test_run_that_records_seldom_weighs_as_much_as_one_that_records_often(tmp_path: Path) -> None:
    for name, every, level in (("often", 1, 0.0), ("seldom", 50, 10.0)):
        with tracelet.start_run(name, group="pair", dir=tmp_path, plugins=PLAIN) as run:
            for step in range(0, 101, every):
                run.log_metric("level", level, step=step)
    with tracelet.start_run("short", group="pair", dir=tmp_path, plugins=PLAIN) as run:
        run.log_metric("level", 35.0, step=0)
    store = open_store(tmp_path / ".tracelet" if (tmp_path / ".tracelet").is_dir() else tmp_path)
    client = TestClient(create_app(store), base_url=LOCAL)
    query = {"run": [one.id for one in store.runs()], "name": "level", "by": "group"}
    (one,) = client.get("/api/v1/series/groups", params=query).json()["series"]
    assert one["mean"] == [15.0] + [5.0] * 100
    assert one["runs"] == [3] + [2] * 100


@pytest.mark.parametrize("pixels", [800, 5])
def test_mean_of_equal_values_is_that_value(tmp_path: Path, pixels: int) -> None:
    for name in ("a", "b", "c"):
        with tracelet.start_run(name, group="equal", dir=tmp_path, plugins=PLAIN) as run:
            for step in range(30):
                run.log_metric("percent", 0.1, step=step)
    store = open_store(tmp_path)
    client = TestClient(create_app(store), base_url=LOCAL)
    query = {"run": [one.id for one in store.runs()], "name": "percent", "by": "group", "pixels": pixels}
    (one,) = client.get("/api/v1/series/groups", params=query).json()["series"]
    assert set(one["mean"]) == set(one["low"]) == set(one["high"]) == {0.1}
    assert set(one["deviation"]) == {0.0}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1.7e308, 1e200, 1e-200, 1e-300])
@pytest.mark.parametrize("pixels", [800, 5])
def test_mean_and_deviation_of_extreme_values_are_numbers(tmp_path: Path, size: float, pixels: int) -> None:
    for name, factor in (("low", 0.5), ("high", 1.0)):
        with tracelet.start_run(name, group="pair", dir=tmp_path, plugins=PLAIN) as run:
            for step in range(50):
                run.log_metric("size", size * factor, step=step)
    store = open_store(tmp_path)
    client = TestClient(create_app(store), base_url=LOCAL)
    ids = [one.id for one in store.runs()]
    query = {"run": ids, "name": "size", "by": "group", "pixels": pixels}
    (one,) = client.get("/api/v1/series/groups", params=query).json()["series"]
    assert one["mean"] == pytest.approx([size * 0.75] * len(one["x"]), rel=1e-12)
    assert one["deviation"] == pytest.approx([size * 0.25] * len(one["x"]), rel=1e-12)
    assert (one["low"][0], one["high"][0]) == (size * 0.5, size)
    (one, _) = client.get(
        "/api/v1/series", params={"run": ids, "name": "size", "x": "metric:size", "pixels": 5}
    ).json()["series"]
    assert one["means"]["x"] == pytest.approx([one["values"][0]] * len(one["means"]["x"]), rel=1e-12)
    assert one["means"]["values"] == pytest.approx([one["values"][0]] * len(one["means"]["x"]), rel=1e-12)


def test_group_over_time_and_in_a_range(client: TestClient, store: Store) -> None:
    query = {"run": digits(store), "name": "train/accuracy", "by": "project", "from": 100, "to": 120}
    (one,) = client.get("/api/v1/series/groups", params=query).json()["series"]
    assert one["x"] == [float(step) for step in range(99, 122)]
    timed = {**query, "x": "relative", "from": "", "to": "", "pixels": 50}
    (one,) = client.get("/api/v1/series/groups", params=timed).json()["series"]
    assert one["x"] == sorted(one["x"])
    assert 0 <= one["x"][0] < one["x"][-1] < 60
    assert max(one["runs"]) <= 5


def test_x_can_be_another_metric(client: TestClient, store: Store) -> None:
    record = store.run("digits-1")
    query = {"run": record.id, "name": "train/loss", "x": "metric:val/accuracy", "pixels": 2000}
    (one,) = client.get("/api/v1/series", params=query).json()["series"]
    accuracy = {step: value for step, value, _ in record.metric("val/accuracy")}
    expected = sorted(
        ((accuracy[step // 10 * 10], step, value) for step, value, _ in record.metric("train/loss")),
        key=lambda each: each[0],
    )
    assert one["x"] == [x for x, _, _ in expected]
    assert one["steps"] == [step for _, step, _ in expected]
    assert one["values"] == [value for _, _, value in expected]


def test_points_before_the_first_x_and_with_an_x_that_is_not_finite_are_left_out(tmp_path: Path) -> None:
    with tracelet.start_run("holes", dir=tmp_path, plugins=PLAIN) as run:
        for step in range(10):
            run.log_metric("y", float(step), step=step)
        for step, tokens in ((3, 30.0), (5, math.nan), (7, 10.0)):
            run.log_metric("tokens", tokens, step=step)
    client = TestClient(create_app(open_store(tmp_path)), base_url=LOCAL)
    query = {"run": run.id, "name": "y", "x": "metric:tokens"}
    (one,) = client.get("/api/v1/series", params=query).json()["series"]
    assert one["x"] == [10.0, 10.0, 10.0, 30.0, 30.0]
    assert one["values"] == [7.0, 8.0, 9.0, 3.0, 4.0]
    (none,) = client.get("/api/v1/series", params={**query, "x": "metric:absent"}).json()["series"]
    assert none["x"] == []


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        ("series", {"x": "metric:"}, "x: expected one of 'step', 'time', 'relative', 'metric:NAME'"),
        ("series/groups", {}, "by: expected a field"),
        ("series/groups", {"by": "optimizer"}, "params.optimizer"),
        ("runs/groups", {}, "by: expected a field"),
        ("runs/groups", {"by": "nothing"}, "no field"),
    ],
)
def test_mistake_is_explained(
    client: TestClient, store: Store, path: str, query: dict[str, str], message: str
) -> None:
    whole = {"run": digits(store), "name": "train/loss", **query}
    answer = client.get(f"/api/v1/{path}", params=whole)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_rows_of_the_table_in_groups(client: TestClient, store: Store) -> None:
    query = {"by": "params.optimizer", "where": "project = 'digits'", "sort": "name"}
    answer = client.get("/api/v1/runs/groups", params=query).json()
    assert [(group["value"], group["count"]) for group in answer["groups"]] == [
        ("adam", 3),
        ("sgd", 2),
        (None, 3),
    ]
    rows = client.get("/api/v1/runs", params={"sort": "params.optimizer,name"}).json()["runs"]
    assert [id for group in answer["groups"] for id in group["ids"]] == [row["id"] for row in rows]


def test_trash_is_listed_restored_and_emptied(tmp_path: Path) -> None:
    ids = []
    for name in ("one", "two"):
        with tracelet.start_run(name, dir=tmp_path, plugins=PLAIN) as run:
            run.log_metric("loss", 1.0, step=0)
        ids.append(run.id)
    store = open_store(tmp_path)
    client = TestClient(create_app(store), base_url=LOCAL)
    for id in ids:
        assert client.post(f"/api/v1/runs/{id}/delete", json={}).status_code == 200
    assert [one["name"] for one in client.get("/api/v1/trash").json()["runs"]] == ["two", "one"]
    assert client.post(f"/api/v1/trash/{ids[0]}/restore", json={}).json()["name"] == "one"
    assert client.post("/api/v1/trash/empty", json={}).json() == {"removed": [ids[1]]}
    assert client.get("/api/v1/trash").json() == {"runs": []}
    assert [record.id for record in open_store(tmp_path).runs()] == [ids[0]]
