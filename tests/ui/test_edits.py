"""Changes by way of the page: they are the library's, and a read-only page refuses all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.ui.sample_runs import PLAIN

import tracelet
from tracelet.store import Store, open_store

MakeClient = Callable[..., TestClient]


@pytest.fixture
def own_store(tmp_path: Path) -> Store:
    with tracelet.start_run("first", tags={"old": "1"}, dir=tmp_path / "data", plugins=PLAIN) as run:
        run.log_metric("loss", 1.0)
    return open_store(tmp_path / "data")


def test_run_is_edited(own_store: Store, make_client: MakeClient) -> None:
    client, id = make_client(own_store), own_store.run("first").id
    changes = {
        "name": "second",
        "notes": "**good**",
        "tags": {"new": "2"},
        "untag": ["old"],
        "group": "sweep",
    }
    answer = client.post(f"/api/v1/runs/{id}/edit", json=changes)
    assert answer.status_code == 200
    record = own_store.run(id)
    assert (record.name, record.notes, record.tags, record.group) == (
        "second",
        "**good**",
        {"new": "2"},
        "sweep",
    )
    assert answer.json()["edits"][-1]["changes"]


def test_archived_run_leaves_the_table(own_store: Store, make_client: MakeClient) -> None:
    client, id = make_client(own_store), own_store.run("first").id
    assert client.get("/api/v1/runs").json()["total"] == 1
    client.post(f"/api/v1/runs/{id}/edit", json={"archived": True})
    assert client.get("/api/v1/runs").json()["total"] == 0
    assert client.get("/api/v1/runs", params={"where": "archived = true"}).json()["runs"][0]["id"] == id


def test_run_goes_to_the_trash_and_back(own_store: Store, make_client: MakeClient) -> None:
    client, id = make_client(own_store), own_store.run("first").id
    assert client.post(f"/api/v1/runs/{id}/delete", json={}).json() == {"id": id, "deleted": True}
    assert client.get(f"/api/v1/runs/{id}").status_code == 404
    assert [one["id"] for one in client.get("/api/v1/trash").json()["runs"]] == [id]
    assert client.post(f"/api/v1/trash/{id}/restore", json={}).json()["name"] == "first"
    assert client.get(f"/api/v1/runs/{id}").status_code == 200


@pytest.mark.parametrize("path", ["runs/{id}/edit", "runs/{id}/delete", "trash/{id}/restore"])
def test_read_only_page_changes_nothing(own_store: Store, make_client: MakeClient, path: str) -> None:
    client, id = make_client(own_store, read_only=True), own_store.run("first").id
    assert client.get("/api/v1/").json()["read_only"] is True
    answer = client.post(f"/api/v1/{path.format(id=id)}", json={"name": "other"})
    assert answer.status_code == 403
    assert "read-only" in answer.text
    assert own_store.run(id).name == "first"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "nothing"),
        ([], "JSON object"),
        ({"nme": "x"}, "'nme'"),
        ({"name": 3}, "name: expected a text"),
        ({"archived": "yes"}, "archived: expected"),
        ({"tags": 7}, "tags"),
        ({"untag": ["absent"]}, "absent"),
    ],
)
def test_mistake_in_an_edit_is_explained(
    own_store: Store, make_client: MakeClient, changes: object, message: str
) -> None:
    client, id = make_client(own_store), own_store.run("first").id
    answer = client.post(f"/api/v1/runs/{id}/edit", json=changes)
    assert answer.status_code in (400, 404)
    assert message in answer.json()["error"]


def test_form_of_another_site_changes_nothing(own_store: Store, make_client: MakeClient) -> None:
    client, id = make_client(own_store), own_store.run("first").id
    for type_ in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = client.post(f"/api/v1/runs/{id}/delete", content="{}", headers={"content-type": type_})
        assert answer.status_code == 400
    assert own_store.run(id).name == "first"


def test_several_runs_are_edited_and_deleted_at_once(own_store: Store, make_client: MakeClient) -> None:
    for name in ("second", "third"):
        with tracelet.start_run(name, dir=own_store.dir, plugins=PLAIN):
            pass
    client = make_client(own_store)
    first, second, third = (own_store.run(name).id for name in ("first", "second", "third"))
    changes = {"group": "sweep", "tags": {"new": "2"}, "untag": ["old"]}
    answer = client.post(
        "/api/v1/runs/edit", json={"runs": [first, "nothing", second, first], **changes}
    ).json()
    assert answer["done"] == [first, second]
    assert "nothing" in answer["failed"]["nothing"]
    assert [own_store.run(id).group for id in (first, second, third)] == ["sweep", "sweep", None]
    assert own_store.run(first).tags == own_store.run(second).tags == {"new": "2"}
    assert client.post("/api/v1/runs/delete", json={"runs": [second, third]}).json()["done"] == [
        second,
        third,
    ]
    assert [one.id for one in own_store.runs()] == [first]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"runs": []},
        {"runs": "x"},
        {"runs": [1]},
        {"runs": ["x"] * 201},
        ["x"],
        {"runs": ["x"], "nope": "y"},
    ],
)
def test_mistake_in_a_change_of_several_runs_is_explained(
    own_store: Store, make_client: MakeClient, data: object
) -> None:
    client = make_client(own_store)
    for path in ("edit", "delete"):
        answer = client.post(f"/api/v1/runs/{path}", json=data)
        assert answer.status_code == 400
        assert "expected" in answer.json()["error"]


def test_read_only_page_changes_no_runs(own_store: Store, make_client: MakeClient) -> None:
    client = make_client(own_store, read_only=True)
    for path in ("edit", "delete"):
        assert client.post(f"/api/v1/runs/{path}", json={"runs": [own_store.run().id]}).status_code == 403
