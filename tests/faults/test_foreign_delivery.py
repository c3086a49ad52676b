"""Delivery of a run folder from somebody else: nothing in it leads out of it, hangs, or takes memory."""

from __future__ import annotations

import json
import os
import time

import pytest

import tracelet
from tracelet.cli import main
from tracelet.delivery import Settings, sync, verify
from tracelet.delivery.ledger.lease import Lease
from tracelet.delivery.ledger.ledger import Ledger, backends, ledger_file
from tracelet.errors import JournalError
from tracelet.safe_files import UnsafeFileError

QUIET = ["no:system", "no:environment", "no:gpu"]


@pytest.fixture
def secret(tmp_path):
    file = tmp_path / "id_rsa"
    file.write_text("PRIVATE KEY")
    return file


def artifact(stage, path, **more):
    stage.writer.event("artifact", {"path": path, "artifact_path": None, "media": None, **more})


def test_an_artifact_outside_the_run_is_never_delivered(stage, backend, secret, caplog):
    inside = stage.run_dir / "artifacts"
    inside.mkdir()
    (inside / "good").write_text("mine")
    (inside / "link").symlink_to(secret)
    (inside / "up").symlink_to(secret.parent)
    (inside / "folder" / "deep").mkdir(parents=True)
    (inside / "folder" / "deep" / "link").symlink_to(secret)
    os.mkfifo(inside / "pipe")
    (inside / "with-pipe").mkdir()
    os.mkfifo(inside / "with-pipe" / "pipe")
    unsafe = [
        str(secret),
        "../../id_rsa",
        "artifacts/../../../id_rsa",
        "artifacts/link",
        "artifacts/up/id_rsa",
        "artifacts/folder",
        "artifacts/pipe",
        "artifacts/with-pipe",
        "",
        "/",
        "C:/Windows",
        "..\\..\\id_rsa",
        "artifacts/\0",
    ]
    for path in unsafe:
        artifact(stage, path)
    artifact(stage, "artifacts/good")
    got = stage.add(backend())
    stage.flush()
    assert got.artifacts == [(str(inside / "good"), None)]
    dropped, damage = stage.status()["dropped"]["unsafe path"], stage.verified().damage["invalid"]
    assert dropped >= 5
    assert dropped + damage == len(unsafe), "the others are no valid events"
    assert caplog.text.count("dropped, unsafe path") == 1


@pytest.mark.parametrize(
    "target", ["../../etc/cron.d", "/etc/cron.d", "a/../../b", "..\\b", "c:\\b", 5, [], {}]
)
@pytest.mark.parametrize("media", [None, "image"])
def test_a_target_outside_the_artifacts_is_refused(stage, backend, target, media):
    (stage.run_dir / "artifacts").mkdir()
    (stage.run_dir / "artifacts" / "good").write_text("mine")
    artifact(stage, "artifacts/good", artifact_path=target, media=media)
    artifact(stage, "artifacts/good", artifact_path="models/best", media=media)
    got = stage.add(backend())
    stage.flush()
    *refused, good = [at for _, at in got.artifacts]
    assert good == "models/best"
    assert refused in ([], [None])
    stage.verified()


ODD = [
    ("params", {}),
    ("params", {"params": [1]}),
    ("params", {"params": None}),
    ("tags", {"tags": "baseline"}),
    ("artifact", {}),
    ("artifact", {"path": 5}),
    ("artifact", {"path": {"a": 1}, "media": "image"}),
    ("artifact", {"path": "artifacts/good", "media": {"a": 1}}),
    ("artifact", {"path": "artifacts/good", "media": "image", "step": "5"}),
    ("run", {"name": ["x"]}),
    ("run", {}),
]


@pytest.mark.parametrize(("kind", "payload"), ODD, ids=str)
def test_an_odd_event_costs_nothing_but_itself(stage, backend, kind, payload):
    (stage.run_dir / "artifacts").mkdir()
    (stage.run_dir / "artifacts" / "good").write_text("mine")
    stage.log(2)
    stage.writer.event(kind, payload)
    stage.log(2)
    stage.writer.close()
    got = backend()
    stage.manager.register_plugin(got)
    began = time.monotonic()
    (result,) = sync(stage.run_dir, stage.manager, ["backend"], settings=stage.settings)
    assert time.monotonic() - began < 5
    assert len(got.values) == 4
    assert result.due == ""
    stage.verified()


def test_sync_of_a_run_that_cannot_be_planned_ends_and_says_why(stage, backend, monkeypatch):
    from tracelet.delivery.pipeline.planner import Planner

    def fail(self, plan, batch):
        raise TypeError("odd contents")

    stage.log(2)
    monkeypatch.setattr(Planner, "extend", fail)
    stage.manager.register_plugin(backend())
    (result,) = sync(stage.run_dir, stage.manager, ["backend"], settings=stage.settings)
    assert result.due == "2 records"
    assert "odd contents" in result.error


# -- ledgers -------------------------------------------------------------------------------------------

PAGE = {"cursor": {"next": 3, "holes": []}, "delivered": 3, "excluded": {}, "dropped": {}}
LEDGER = {"version": 1, "serial": 1, "retries": 0, "error": None, "writers": {"w": PAGE}}


def with_page(**more):
    return json.dumps({**LEDGER, "writers": {"w": {**PAGE, **more}}})


UNUSABLE = {
    "a list": "[]",
    "no JSON": "{",
    "not Unicode": b"\xff\xfe",
    "deeply nested": "[" * 100_000,
    "a later version": json.dumps({**LEDGER, "version": 99}),
    "a serial that is a text": json.dumps({**LEDGER, "serial": "1"}),
    "a negative serial": json.dumps({**LEDGER, "serial": -1}),
    "an endless number": json.dumps({**LEDGER, "serial": 10**400}),
    "infinity": json.dumps({**LEDGER, "retries": float("inf")}),
    "writers that are a list": json.dumps({**LEDGER, "writers": [1]}),
    "a page that is a text": json.dumps({**LEDGER, "writers": {"w": "page"}}),
    "negative counts": with_page(delivered=-5),
    "counts that are texts": with_page(excluded={"routes": "many"}),
    "reasons that are a list": with_page(dropped=[["refused", 1]]),
    "a negative cursor": with_page(cursor={"next": -1, "holes": []}),
    "a hole beyond the cursor": with_page(cursor={"next": 3, "holes": [[1, 1 << 61]]}),
    "a hole that ends before it begins": with_page(cursor={"next": 3, "holes": [[2, 1]]}),
    "holes that are numbers": with_page(cursor={"next": 3, "holes": [1, 2]}),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_ledger_that_cannot_be_used_is_set_aside(stage, backend, what):
    values = stage.log(3)
    file = ledger_file(stage.run_dir, "backend")
    file.parent.mkdir()
    text = UNUSABLE[what]
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(JournalError):
        Ledger(stage.run_dir, "backend")
    got = stage.add(backend())
    stage.flush()
    assert got.values == values
    assert len(list(file.parent.glob("backend.unusable-*"))) == 1
    stage.verified()


@pytest.mark.parametrize("what", ["pipe", "link", "sparse", "folder", "device"])
def test_something_else_in_place_of_a_ledger_is_not_read(stage, backend, what, tmp_path):
    values = stage.log(3)
    file = ledger_file(stage.run_dir, "backend")
    file.parent.mkdir()
    if what == "pipe":
        os.mkfifo(file)
    elif what == "link":
        (tmp_path / "precious").write_text(json.dumps(LEDGER))
        file.symlink_to(tmp_path / "precious")
    elif what == "device":
        file.symlink_to("/dev/zero")
    elif what == "sparse":
        file.touch()
        os.truncate(file, 1 << 40)
    else:
        file.mkdir()
    began = time.monotonic()
    got = stage.add(backend())
    stage.flush()
    assert time.monotonic() - began < 5
    assert got.values == values
    stage.verified()
    if what == "link":
        assert (tmp_path / "precious").read_text() == json.dumps(LEDGER)


def test_a_link_in_place_of_the_folder_is_not_followed(stage, backend, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    stage.log(3)
    (stage.run_dir / "delivery").symlink_to(outside)
    stage.manager.register_plugin(backend())
    (result,) = sync(stage.run_dir, stage.manager, ["backend"], settings=stage.settings)
    assert "symbolic link" in result.error
    assert list(outside.iterdir()) == []
    assert backends(stage.run_dir) == []
    assert verify(stage.run_dir).backends == []
    with pytest.raises(UnsafeFileError):
        Lease(stage.run_dir, "backend", Settings()).acquire()


# -- leases --------------------------------------------------------------------------------------------

LEASES = {
    "a list": "[1]",
    "a text": '"x"',
    "nothing": "",
    "not Unicode": b"\xff",
    "texts for numbers": '{"pid": "x", "stale_after": "y"}',
    "a long token": json.dumps({"token": "x" * 5000, "stale_after": -1}),
    "a token that leads elsewhere": json.dumps({"token": "../../../x", "stale_after": 1}),
    "a token that is a list": json.dumps({"token": [1], "stale_after": 1}),
    "forever": '{"stale_after": Infinity}',
    "not a number": '{"stale_after": NaN}',
    "more than it may be": '{"token": "' + "x" * 100_000 + '"}',
    "a huge process id": json.dumps({"pid": 1 << 80, "token": "x"}),
}


@pytest.mark.parametrize("what", LEASES)
def test_an_odd_lease_is_free_once_it_is_old(stage, what):
    lease = Lease(stage.run_dir, "backend", Settings(lease_stale=5.0))
    lease.file.parent.mkdir()
    text = LEASES[what]
    lease.file.write_bytes(text if isinstance(text, bytes) else text.encode())
    if what != "a long token" and 'stale_after": 1' not in str(text):
        assert not lease.acquire(), "somebody may be writing it"
    os.utime(lease.file, (1, 1))
    assert lease.acquire()
    assert lease.beat()
    lease.release()
    assert not lease.file.exists()
    assert list(lease.file.parent.iterdir()) == []


@pytest.mark.parametrize("what", ["pipe", "folder", "link"])
def test_something_else_in_place_of_a_lease_does_not_hang(stage, backend, what, tmp_path):
    lease = Lease(stage.run_dir, "backend", Settings())
    lease.file.parent.mkdir()
    if what == "pipe":
        os.mkfifo(lease.file)
    elif what == "folder":
        lease.file.mkdir()
    else:
        (tmp_path / "precious").write_text("mine")
        lease.file.symlink_to(tmp_path / "precious")
    stage.log(1)
    stage.manager.register_plugin(backend())
    began = time.monotonic()
    (result,) = sync(stage.run_dir, stage.manager, ["backend"], settings=stage.settings)
    assert time.monotonic() - began < 5
    assert "delivers to it" in result.error
    if what == "link":
        assert (tmp_path / "precious").read_text() == "mine"


ODD_NAMES = [
    *(
        "new\nline",
        "\x1b[2Jescape",
        "bell\a",
        "back\bspace",
        "return\r",
        "tab\t",
        "\x7f",
        "\x9b31m",
        "\u202eright",
    ),
    *(
        "\u2028",
        os.fsdecode(b"not-utf-8-\xff\xfe"),
        " ",
        "-rf",
        "=1+1",
        "<script>",
        "C:x",
        "~",
        "...",
        "..hidden",
        "%00",
    ),
]


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_files_with_odd_names_are_artifacts_like_others(tmp_path, monkeypatch, capsys, isolation):
    """Only absolute paths, ``..`` and links that lead out are unsafe. A name is shown escaped, and the file is kept."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ODD_NAMES:
        (source / name).write_bytes(os.fsencode(name))
    (source / "folder\n").mkdir()
    (source / "folder\n" / "in\x1b").write_text("inside")
    (tmp_path / "tracelet.toml").write_text(f'[plugins.jsonl]\nisolation = "{isolation}"\n')
    monkeypatch.chdir(tmp_path)
    with tracelet.start_run("odd", run_id="odd", dir=tmp_path / "data", plugins=[*QUIET, "jsonl"]) as run:
        for name in ODD_NAMES:
            run.log_artifact(source / name)
        run.log_artifact(source / "bell\a", artifact_path="in\na\x1b/folder")
        run.log_artifact(source)
    artifacts = tracelet.open_store(tmp_path / "data").run("odd").artifacts
    assert [artifact["name"] for artifact in artifacts] == [*ODD_NAMES, "bell\a", "source"]
    for artifact in artifacts:
        for file in artifact["files"]:
            data = (run.dir / file["path"]).read_bytes()
            assert data in (b"inside", os.fsencode(os.path.basename(file["path"])))
    lines = map(json.loads, (run.dir / "events.jsonl").read_text().splitlines())
    sent = [line["path"] for line in lines if line["type"] == "artifact"]
    assert [os.fsencode(each) for each in sent] == [os.fsencode(each["path"]) for each in artifacts]
    assert verify(run.dir).agrees
    assert verify(run.dir).backends[0].dropped == {}
    for words in (
        ["show", "odd", "--all"],
        ["show", "odd", "--all", "--json"],
        ["verify", "odd"],
        ["export", "odd"],
    ):
        main([*words, "--dir", str(tmp_path / "data")])
    shown = capsys.readouterr().out
    assert "bell\\x07" in shown
    assert "return\\r" in shown
    assert shown.replace("\n", "").isprintable()


def test_what_the_log_says_of_a_foreign_run_is_escaped(stage, backend, caplog):
    artifact(stage, "artifacts/\x1b[2J\x9b\u202e\nforged")
    artifact(stage, "C:/\x1b[2J\nforged")
    stage.add(backend())
    stage.flush()
    assert "file is gone" in caplog.text
    assert caplog.text.replace("\n", "").isprintable()
    assert "\nforged" not in caplog.text
