"""Who may use the page, and what a run folder from somebody else can do to it."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from tracelet.errors import UsageError
from tracelet.store import Store, open_store
from tracelet.ui import Access
from tracelet.ui.page import STATIC, PageFiles

MakeClient = Callable[..., TestClient]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_other_machines_need_a_token(host: str) -> None:
    with pytest.raises(UsageError, match="expected a token"):
        Access(host=host)
    assert Access(host=host, token="secret").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3", "tracelet.localhost"])
def test_this_machine_needs_none(host: str) -> None:
    assert Access(host=host).allows_host(f"{host}:80" if ":" not in host else f"[{host}]:80")


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:80", "evil.example:80", "", "[::", "10.0.0.1"]
)
def test_name_that_leads_here_by_dns_is_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/api/v1/runs", "/static/main.js"):
        assert client.get(path, headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:8000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_request_of_another_site_is_refused(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get("/api/v1/runs", headers=headers).status_code == 403


def test_own_requests_are_not(client: TestClient) -> None:
    own = {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"}
    assert client.get("/api/v1/runs", headers=own).status_code == 200


def test_token_moves_from_the_address_into_a_cookie(store: Store, make_client: MakeClient) -> None:
    client = make_client(store, host="0.0.0.0", token="s3cret!", base_url="http://machine.example:6007")
    assert client.get("/").status_code == 401
    assert client.get("/api/v1/runs", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/?token=wrong").status_code == 401
    opened = client.get("/charts?run=a&token=s3cret!")
    assert opened.status_code == 303
    assert opened.headers["location"] == "/charts?run=a"
    cookie = opened.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/api/v1/runs").status_code == 200  # by the cookie


def test_program_sends_the_token_as_a_header(store: Store, make_client: MakeClient) -> None:
    client = make_client(store, host="0.0.0.0", token="s3cret!")
    assert client.get("/api/v1/runs", headers={"authorization": "Bearer s3cret!"}).status_code == 200


def test_page_runs_no_script_but_its_own(client: TestClient) -> None:
    for path in ("/", "/api/v1/runs", "/static/main.js"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_refusals_have_the_headers_too(client: TestClient) -> None:
    refused = client.get("/", headers={"host": "evil.example"})
    assert "default-src 'none'" in refused.headers["content-security-policy"]


# --- files -----------------------------------------------------------------------------------------------


def test_artifact_is_an_attachment(client: TestClient, store: Store) -> None:
    run = store.run("media").id
    files = client.get(f"/api/v1/runs/{run}/files").json()["artifacts"]
    path = next(one["path"] for one in files if one["path"].endswith("notes.txt"))
    answer = client.get(f"/api/v1/runs/{run}/file", params={"path": path, "show": "1"})
    assert answer.content.startswith(b"kept with the run\n")
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_html_is_shown_in_a_sandbox_only(client: TestClient, store: Store) -> None:
    run = store.run("media").id
    files = client.get(f"/api/v1/runs/{run}/files").json()["artifacts"]
    path = next(one["path"] for one in files if one["kind"] == "html")
    shown = client.get(f"/api/v1/runs/{run}/file", params={"path": path, "show": "1"})
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    alone = client.get(f"/api/v1/runs/{run}/file", params={"path": path})
    assert alone.headers["content-disposition"].startswith("attachment;")


@pytest.mark.parametrize(
    "path", ["", "../other", "/etc/passwd", "journal", "console", "artifacts/../journal"]
)
def test_only_listed_files_are_sent(client: TestClient, store: Store, path: str) -> None:
    run = store.run("media").id
    for what in ("file", "text", "content"):
        assert client.get(f"/api/v1/runs/{run}/{what}", params={"path": path}).status_code == 404


def test_link_in_a_run_folder_is_not_followed(
    samples: Path, store: Store, tmp_path: Path, make_client: MakeClient
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("of somebody else")
    original = store.run("media")
    copied = tmp_path / "data" / "runs" / original.id
    shutil.copytree(original.dir, copied)
    kept = copied / "artifacts" / "notes" / "notes.txt"
    kept.unlink()
    kept.symlink_to(secret)
    client = make_client(open_store(tmp_path / "data"))
    answer = client.get(f"/api/v1/runs/{original.id}/file", params={"path": "artifacts/notes/notes.txt"})
    assert answer.status_code == 404
    assert "of somebody else" not in answer.text


def test_damaged_content_is_an_error_of_its_own(
    store: Store, tmp_path: Path, make_client: MakeClient
) -> None:
    original = store.run("media")
    copied = tmp_path / "data" / "runs" / original.id
    shutil.copytree(original.dir, copied)
    (table,) = (copied / "media").glob("errors*.table.json")
    table.write_bytes(b"[" * 100_000)
    client = make_client(open_store(tmp_path / "data"))
    path = os.path.relpath(table, copied)
    answer = client.get(f"/api/v1/runs/{original.id}/content", params={"path": path})
    assert answer.status_code == 404
    assert path in answer.json()["error"]


def test_page_preloads_each_of_its_modules(client: TestClient) -> None:
    named = set(re.findall(r'(?:href|src)="(/static/[^"]+\.js)"', client.get("/").text))
    version = PageFiles().version
    assert named == {
        f"/static/{version}/{file.relative_to(STATIC).as_posix()}" for file in STATIC.rglob("*.js")
    }
    assert all(client.get(path).status_code == 200 for path in named)


def test_browsers_keep_files_of_one_version_only(client: TestClient, tmp_path: Path) -> None:
    version = PageFiles().version
    kept = client.get(f"/static/{version}/main.js")
    assert "immutable" in kept.headers["cache-control"]
    assert kept.content == (STATIC / "main.js").read_bytes()
    newest = client.get("/static/main.js")
    assert (newest.content, newest.headers["cache-control"]) == (kept.content, "no-store")
    for missing in (
        f"/static/{'0' * 16}/main.js",
        "/static/..%2Fapp.py",
        f"/static/{version}/..%2F..%2Fapp.py",
        "/static/",
    ):
        assert client.get(missing).status_code == 404
    plain = client.get(f"/static/{version}/main.js", headers={"accept-encoding": "identity"})
    assert (plain.content, plain.headers["content-encoding"]) == (kept.content, "identity")
    shutil.copytree(STATIC, tmp_path / "static")
    (tmp_path / "static" / "style.css").write_text("main {}")
    assert PageFiles(tmp_path / "static").version != version


def test_page_carries_what_the_server_says_of_itself(
    store: Store, tmp_path: Path, make_client: MakeClient
) -> None:
    folder = tmp_path / 'a "quoted" <b>&name'
    shutil.copytree(store.runs()[0].dir.parent, folder / "runs")
    client = make_client(open_store(folder))
    page = client.get("/").text
    about = re.search('<html data-about="([^"]*)"', page)
    assert about is not None
    assert json.loads(html.unescape(about[1])) == client.get("/api/v1/").json()
    assert "<b>" not in page
