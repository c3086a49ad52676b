"""The JSON API: every answer is compared with what the library says of the same runs."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from starlette.testclient import TestClient
from tests.nasty_names import NAMES, field, nasty_values
from tests.ui.sample_runs import PLAIN

import tracelet
from tracelet.journal import Writer
from tracelet.store import Store, open_store
from tracelet.ui.embeddings import flatten_embedding


def run_id(store: Store, name: str) -> str:
    return store.run(name).id


def test_api_says_its_name_and_version(client: TestClient, store: Store) -> None:
    about = client.get("/api/v1/").json()
    assert about["name"] == "tracelet"
    assert about["api"] == 1
    assert about["folder"] == str(store.dir)


def test_table_has_the_columns_that_were_asked_for(client: TestClient, store: Store) -> None:
    columns = ["params.lr", "metrics.train/loss.min", "tags.team"]
    page = client.get("/api/v1/runs", params={"column": columns, "sort": "name"}).json()
    records = store.runs(sort="name")
    assert page["total"] == len(records)
    assert [run["id"] for run in page["runs"]] == [record.id for record in records]
    row = next(run for run in page["runs"] if run["name"] == "digits-1")
    expected = store.run("digits-1")
    assert row["cells"] == [0.1, expected.summary()["train/loss"]["min"], "vision"]


def test_table_is_filtered_sorted_and_paged(client: TestClient, store: Store) -> None:
    where = "params.lr < 0.2 and metrics.val/accuracy > 0.1"
    query = {"where": where, "sort": "params.lr", "limit": 2, "offset": 1}
    page = client.get("/api/v1/runs", params=query).json()
    expected = store.runs(where=where, sort="params.lr")
    assert page["total"] == len(expected) > 3
    assert [run["id"] for run in page["runs"]] == [record.id for record in expected[1:3]]


def test_filter_is_an_expression_or_words(client: TestClient) -> None:
    def names(**query: str) -> tuple[list[str], list[str]]:
        page = client.get("/api/v1/runs", params={"sort": "name", **query}).json()
        assert page["total"] == len(page["runs"])
        return [run["name"] for run in page["runs"]], page["texts"]

    assert names(filter="DIGITS-3") == (["digits-3"], ["DIGITS-3"])
    assert names(filter="vision digits-1") == (["digits-1"], ["vision", "digits-1"])
    assert names(filter="name = 'digits-2'") == (["digits-2"], [])
    assert names(filter="'digits' and params.lr > 0.2", where="name ~ '*0'") == (["digits-0"], ["digits"])
    assert names(filter="digits-1 or digits-2", where="params.lr < 0.05") == (
        ["digits-2"],
        ["digits-1", "digits-2"],
    )
    query = {"filter": "digits", "sort": "name", "by": "params.optimizer"}
    assert client.get("/api/v1/runs/groups", params=query).json()["total"] == 5
    ids = client.get("/api/v1/runs/ids", params=query).json()["ids"]
    rows = list(csv.reader(io.StringIO(client.get("/api/v1/runs/export", params=query).text)))
    assert [row[0] for row in rows[1:]] == ids


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"filter": "params.lr <"}, "put it in quotes"),
        ({"where": "digits"}, "put a text in quotes"),
        ({"where": "params.lr <"}, "column 12"),
        ({"sort": "parms.lr"}, "no field"),
        ({"limit": "-1"}, "limit: expected a number"),
        ({"offset": "x"}, "offset: expected a number"),
        ({"column": "metrics"}, "no field"),
    ],
)
def test_mistake_in_a_query_is_explained(client: TestClient, query: dict[str, str], message: str) -> None:
    answer = client.get("/api/v1/runs", params=query)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_fields_name_everything_that_a_column_can_show(client: TestClient) -> None:
    fields = client.get("/api/v1/fields").json()
    assert "model/depth" in fields["params"]
    assert fields["tags"] == ["team"]
    assert {"train/loss", "val/accuracy"} <= set(fields["metrics"])
    newest = client.get("/api/v1/fields", params={"newest": 1}).json()
    assert newest["metrics"] == ["train/loss"]  # of the run that failed


def test_run_has_everything_but_its_points(client: TestClient, store: Store) -> None:
    record = store.run("digits-2")
    run = client.get(f"/api/v1/runs/{record.id}").json()
    assert run["params"] == {"lr": 0.03, "optimizer": "adam", "model/hidden": 64, "model/depth": 4, "seed": 2}
    loss = next(one for one in run["metrics"] if one["name"] == "val/loss")
    assert (loss["goal"], loss["best"]) == ("min", record.summary()["val/loss"]["min"])
    assert run["outcome"] == "finished"
    assert run["processes"][0]["pid"] > 0


@pytest.mark.parametrize("id", ["nothing", "..", "%2e%2e", "~", "latest", "digits-1"])
def test_run_is_found_by_its_id_alone(client: TestClient, id: str) -> None:
    assert client.get(f"/api/v1/runs/{id}/files").status_code == 404


def test_run_of_another_folder_is_not_served(client: TestClient, store: Store) -> None:
    outside = str(store.run("digits-1").dir)
    answer = client.get("/api/v1/series", params={"run": outside, "name": "train/loss"})
    assert answer.status_code == 404


def test_series_that_fits_the_screen_is_exact(client: TestClient, store: Store) -> None:
    record = store.run("digits-1")
    query = {"run": record.id, "name": ["train/loss", "val/loss", "absent"]}
    found = {one["name"]: one for one in client.get("/api/v1/series", params=query).json()["series"]}
    assert set(found) == {"train/loss", "val/loss"}
    assert found["train/loss"]["values"] == record.metric("train/loss").values
    assert found["val/loss"]["x"] == record.metric("val/loss").iterations
    assert found["train/loss"]["means"] is None


def test_series_keeps_peaks_means_and_what_is_not_finite(client: TestClient, store: Store) -> None:
    record = store.run("digits-0")
    query = {"run": record.id, "name": "train/loss", "pixels": 20}
    one = client.get("/api/v1/series", params=query).json()["series"][0]
    values = [float(value) for value in one["values"]]
    series = record.metric("train/loss")
    finite = [value for value in series.values if math.isfinite(value)]
    assert len(values) < 70 < one["total"] == 400
    assert min(value for value in values if math.isfinite(value)) == min(finite)
    assert any(map(math.isnan, values))
    assert math.inf in values
    assert len(one["means"]["x"]) == 20
    first = [value for step, value in zip(series.iterations, series.values, strict=True) if step < 20]
    assert one["means"]["values"][0] == pytest.approx(sum(first) / len(first))


def test_series_of_a_range_has_the_points_next_to_it(client: TestClient, store: Store) -> None:
    query = {"run": run_id(store, "digits-1"), "name": "train/loss", "from": 100.5, "to": 110}
    one = client.get("/api/v1/series", params=query).json()["series"][0]
    assert one["x"] == list(range(100, 112))


@pytest.mark.parametrize("axis", ["time", "relative"])
def test_series_over_time(client: TestClient, store: Store, axis: str) -> None:
    record = store.run("digits-1")
    query = {"run": record.id, "name": "train/loss", "x": axis}
    one = client.get("/api/v1/series", params=query).json()["series"][0]
    start = record.started_at if axis == "relative" else 0
    assert one["x"] == pytest.approx([time - start for time in record.metric("train/loss").timestamps])


def test_recomputed_stretch_is_a_ghost_with_its_deviation(client: TestClient, store: Store) -> None:
    record = store.run("resumed")
    query = {"run": record.id, "name": "train/loss"}
    one = client.get("/api/v1/series", params=query).json()["series"][0]
    assert one["x"] == list(range(300))
    (ghost,) = one["ghosts"]
    assert ghost["x"] == list(range(140, 200))
    assert ghost["shared_steps"] == 60
    apart = [abs(a - b) for a, b in zip(one["values"][140:200], ghost["values"], strict=True)]
    assert ghost["deviation"] == max(apart) > 0
    assert ghost["at_step"] == 140 + apart.index(max(apart))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({}, "at least one run"),
        ({"x": "clock"}, "x: expected"),
        ({"from": "nan"}, "from: expected a number"),
        ({"pixels": "many"}, "pixels: expected"),
    ],
)
def test_mistake_in_a_request_for_series(
    client: TestClient, store: Store, query: dict[str, str], message: str
) -> None:
    whole = {"run": run_id(store, "digits-1"), "name": "train/loss", **query} if query else {}
    answer = client.get("/api/v1/series", params=whole)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


def test_console_can_be_searched_and_paged(client: TestClient, store: Store) -> None:
    path = f"/api/v1/runs/{run_id(store, 'media')}/console"
    whole = client.get(path).json()
    assert whole["lines"][0]["text"] == "epoch 0: <b>loss</b> 1.000"
    found = client.get(path, params={"search": "EPOCH 4"}).json()
    assert [line["number"] for line in found["lines"]] == [5]
    assert (found["found"], found["total"]) == (1, whole["total"])
    assert [
        line["number"] for line in client.get(path, params={"offset": 1, "limit": 2}).json()["lines"]
    ] == [2, 3]


def test_losses_are_counted(client: TestClient, store: Store) -> None:
    record = store.run("media")
    losses = client.get(f"/api/v1/runs/{record.id}/losses").json()
    assert losses == {"dropped": record.dropped, "damage": {}, "problem": None}
    assert sum(losses["dropped"].values()) == 1


def test_events_are_in_order(client: TestClient, store: Store) -> None:
    found = client.get(f"/api/v1/runs/{run_id(store, 'digits-1')}/events").json()["events"]
    types = [one["type"] for one in found]
    assert types[0] == "writer"
    assert {"params", "tags", "outcome"} <= set(types)


def test_comparison_names_what_differs(client: TestClient, store: Store) -> None:
    ids = [run_id(store, name) for name in ("digits-0", "digits-2")]
    data = client.get("/api/v1/compare", params={"run": ids}).json()
    assert [run["id"] for run in data["runs"]] == ids
    assert set(data["differing"]) == {"lr", "model/depth", "seed"}
    assert data["params"]["optimizer"] == ["adam", "adam"]
    assert (
        data["metrics"]["val/accuracy"][0]["best"] == store.run("digits-0").summary()["val/accuracy"]["max"]
    )


def test_table_is_exported(client: TestClient) -> None:
    query = {
        "format": "csv",
        "sort": "name",
        "column": ["params.lr", "metrics.val/accuracy.max"],
        "where": "name ~ 'digits*'",
    }
    rows = list(csv.reader(io.StringIO(client.get("/api/v1/runs/export", params=query).text)))
    assert rows[0] == ["id", "name", "params.lr", "metrics.val/accuracy.max"]
    assert [row[1] for row in rows[1:]] == [f"digits-{i}" for i in range(5)]
    latex = client.get("/api/v1/runs/export", params={**query, "format": "latex"}).text
    assert r"digits-3 & 0.01 & 0.4" in latex
    assert latex.startswith(r"\begin{tabular}{llrr}")
    assert client.get("/api/v1/runs/export", params={"format": "pdf"}).status_code == 400


def test_any_name_is_exported(nasty: Path, make_client: Callable[..., TestClient]) -> None:
    client = make_client(open_store(nasty))
    columns = {(kind, name): field(kind, name) for kind in ("params", "tags", "metrics") for name in NAMES}
    query = {"sort": "name", "column": [*columns.values()]}
    text = client.get("/api/v1/runs/export", params={**query, "format": "csv"}).text
    head, *rows = csv.reader(io.StringIO(text, newline=""))
    assert head == ["id", "name", *columns.values()]
    for number, row in enumerate(rows):
        expected = [str(nasty_values(kind, number)[name]) for kind, name in columns]
        assert row[2:] == expected
    latex = client.get("/api/v1/runs/export", params={**query, "format": "latex"}).text
    assert r'metrics["\textless{}b\textgreater{}"]' in latex
    assert len([line for line in latex.splitlines() if line.startswith("20")]) == 2  # rows begin with an id


def test_answers_are_strict_json(client: TestClient, store: Store) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    text = client.get(f"/api/v1/runs/{run_id(store, 'media')}").text
    assert json.loads(text, parse_constant=refuse)["metrics"][0]["last"] == "NaN"


def test_unknown_address_of_the_api_is_json(client: TestClient) -> None:
    answer = client.get("/api/v1/nothing/here")
    assert answer.status_code == 404
    assert "no such resource" in answer.json()["error"]


def test_every_view_is_the_page(client: TestClient) -> None:
    for path in ("/", "/charts", "/compare", "/run/anything"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert re.search('<script type="module" src="/static/[0-9a-f]+/main.js">', answer.text)


def test_progress_of_the_first_look_at_many_runs(
    tmp_path: Path, make_client: Callable[..., TestClient]
) -> None:
    for number in range(30):
        with Writer(
            tmp_path / "data" / "runs" / f"r{number}", {"run": {"id": f"r{number}", "name": "n"}}
        ) as writer:
            writer.close("finished")
    store = open_store(tmp_path / "data")
    told: list[tuple[int, int]] = []
    store.report_progress(lambda done, total: told.append((done, total)))
    client = make_client(store)
    seen: list[dict[str, int]] = []
    sources = client.app.state.sources  # type: ignore[attr-defined]
    note = sources._note_progress

    def look(done: int, total: int) -> None:
        note(done, total)
        seen.append(client.get("/api/v1/progress").json())

    store.report_progress(look)
    assert client.get("/api/v1/progress").json() == {"done": None, "total": None}
    assert client.get("/api/v1/runs").json()["total"] == 30
    assert seen[:2] == [{"done": 0, "total": 30}, {"done": 1, "total": 30}]
    assert seen[-1] == {"done": None, "total": None}
    assert told[-1] == (30, 30)  # the terminal is told, too


def test_whole_numbers_and_relatives_are_exact(
    make_client: Callable[..., TestClient], tmp_path: Path
) -> None:
    with tracelet.start_run("sweep", dir=tmp_path, plugins=PLAIN) as sweep:
        sweep.log_metric("loss", 1.0)
    params = {"seed": 2**70 + 1, "lr": 0.1234567890123}
    with tracelet.start_run("try", dir=tmp_path, plugins=PLAIN, params=params, parent=sweep.id) as run:
        run.log_metric("loss", 1.0)
    client = make_client(open_store(tmp_path))
    child = client.get(f"/api/v1/runs/{run.id}").json()
    assert child["params"] == params
    assert child["relatives"] == {sweep.id: {"name": "sweep", "outcome": "finished"}}
    above = client.get(f"/api/v1/runs/{sweep.id}").json()
    assert above["children"] == [run.id]
    assert above["relatives"] == {run.id: {"name": "try", "outcome": "finished"}}
    cells = client.get("/api/v1/runs", params={"column": "params.seed", "sort": "started"}).json()["runs"]
    assert [one["cells"] for one in cells] == [[None], [2**70 + 1]]


def test_embedding_is_projected_to_a_plane(make_client: Callable[..., TestClient], tmp_path: Path) -> None:
    line = numpy.arange(40.0)[:, None] * numpy.array([[1.0, 2.0, 3.0, 4.0]])
    with tracelet.start_run("points", dir=tmp_path, plugins=PLAIN) as run:
        run.log_embedding("line", line, labels=[f"point {i}" for i in range(40)])
        run.log_embedding("two", [[1.0, 2.0], [3.0, 4.0]])
    client = make_client(open_store(tmp_path))
    artifacts = client.get(f"/api/v1/runs/{run.id}/files").json()["artifacts"]
    paths = {one["name"]: one["files"][0]["path"] for one in artifacts}
    found = client.get(f"/api/v1/runs/{run.id}/content", params={"path": paths["line"]}).json()
    assert (found["total"], found["dimensions"], found["labels"][39]) == (40, 4, "point 39")
    gaps = numpy.diff(found["x"])
    assert numpy.allclose(abs(gaps), 30**0.5)  # of one vector to the next
    assert numpy.allclose(found["y"], 0.0, atol=1e-9)
    two = client.get(f"/api/v1/runs/{run.id}/content", params={"path": paths["two"]}).json()
    assert (two["x"], two["y"], two["labels"]) == ([1.0, 3.0], [2.0, 4.0], None)


def test_embedding_that_unpacks_to_too_much_is_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("vectors.npy", bytes(300 << 20))
    with pytest.raises(ValueError, match="256 MiB"):
        flatten_embedding(file.getvalue())
    with pytest.raises(ValueError, match="no embedding"):
        flatten_embedding(b"PK, and no more")
