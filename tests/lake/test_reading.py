"""What only a lake has: files of artifacts, overlapping and merged files, a cache, other engines, refusals."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("duckdb", reason="reading a lake needs the extra lake: pip install 'tracelet[lake]'")

import pyarrow
import pyarrow.parquet

from tracelet.errors import StoreError, UsageError
from tracelet.journal import Writer
from tracelet.lake import dataset
from tracelet.lake.cache import FileCache
from tracelet.store import open_store
from tracelet_hookspecs.lake_layout import data_folder, document_path, run_folder

pytestmark = pytest.mark.xdist_group("lake")


def command(*words: str, **more):
    return subprocess.run(
        [sys.executable, "-m", "tracelet", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **more,
    )


# --- artifacts ----------------------------------------------------------------------------------------------


def test_an_artifact_is_read_from_the_lake(both):
    for store in (both.folder, both.lake):
        record = store.run("plain-1")
        with record.artifact("weights.bin").open() as stream:
            assert stream.read(2) == b"\0\1"
            assert stream.read() == (b"\0\1\2" * 1000)[2:]
        assert record.artifact("picture").open().read() == b"png"
        assert record.artifact("artifacts/weights.bin").size == 3000
        with pytest.raises(StoreError, match=r"no artifact 'weight\.bin'.*did you mean 'weights\.bin'"):
            record.artifact("weight.bin")
        assert record.read_file("media/p.png", limit=10) == b"png"


def test_an_artifact_whose_contents_are_gone_is_reported(both, tmp_path):
    lake = tmp_path / "lake"
    shutil.copytree(both.url, lake)
    shutil.rmtree(lake / "artifacts")
    with pytest.raises(StoreError, match=r"weights\.bin: cannot be read"):
        open_store(lake).run("plain-1").artifact("weights.bin").open()


# --- files that overlap, and merged ones --------------------------------------------------------------------


@pytest.fixture
def own_lake(both, tmp_path) -> Path:
    shutil.copytree(both.url, tmp_path / "lake")
    return tmp_path / "lake"


def metric_files(lake: Path) -> list[Path]:
    return sorted((lake / data_folder("digits", "ranks-1", "metrics")).glob("*.parquet"))


def everything(store) -> list:
    return [
        (one.name, one.iterations, one.values, one.timestamps, one.ranks)
        for one in store.run("ranks-1").series()
    ]


def test_a_record_that_two_files_have_is_read_once(both, own_lake):
    (first, *_) = files = metric_files(own_lake)
    rows = pyarrow.parquet.read_table(first)
    writer = first.name.rsplit("-", 2)[0]
    sequences = sorted(set(rows["sequence"].to_pylist()))
    cut = sequences[: len(sequences) // 2]
    keep = pyarrow.compute.is_in(rows["sequence"], pyarrow.array(cut))
    again = first.with_name(f"{writer}-{cut[0]:016d}-{cut[-1]:016d}.5.parquet")
    pyarrow.parquet.write_table(rows.filter(keep), again)
    assert len(metric_files(own_lake)) == len(files) + 1
    assert everything(open_store(own_lake)) == everything(both.folder)


@pytest.mark.parametrize("removed", [True, False], ids=["files removed", "in the grace period"])
def test_merged_files_count_in_place_of_those_they_replace(both, own_lake, removed):
    files = metric_files(own_lake)
    rows = pyarrow.concat_tables([pyarrow.parquet.read_table(file) for file in files])
    order = [(name, "ascending") for name in ("name", "type", "source", "writer", "sequence", "index")]
    merged, orphan = (files[0].with_name(f"merged-00000{number}-0000.parquet") for number in (1, 2))
    pyarrow.parquet.write_table(rows.sort_by(order), merged)
    pyarrow.parquet.write_table(rows.slice(0, 3), orphan)  # of a merge that did not come to its end
    manifest = {
        "format": 1,
        "generation": 1,
        "files": [f"metrics/{merged.name}"],
        "replaced": [f"metrics/{file.name}" for file in files],
        "merged_at": time.time(),
    }
    (own_lake / run_folder("digits", "ranks-1") / "merged.json").write_text(json.dumps(manifest))
    if removed:
        for file in files:
            file.unlink()
    assert everything(open_store(own_lake)) == everything(both.folder)
    assert sorted(dataset(str(own_lake), project="digits").to_table()["sequence"].to_pylist()) == sorted(
        dataset(both.url, project="digits").to_table()["sequence"].to_pylist()
    )


def test_a_merge_that_ends_while_files_are_listed_loses_no_row(both, own_lake, monkeypatch):
    from tracelet.lake.storage import Storage

    files = metric_files(own_lake)
    find, calls = Storage.find, []

    def find_then_merge(self, prefix):
        found = find(self, prefix)
        if prefix.startswith("project=") and not calls:
            calls.append(prefix)
            (manifest,) = [one for one in found if one.path.endswith("merged.json")]
            assert manifest
            (own_lake / run_folder("digits", "ranks-1") / "merged.json").write_text(json.dumps(document))
            os.replace(files[0], merged)
        return found

    merged = files[0].with_name("merged-000001-0123456789ab.parquet")
    document = {"format": 1, "generation": 0, "files": [], "replaced": []}
    (own_lake / run_folder("digits", "ranks-1") / "merged.json").write_text(json.dumps(document))
    document |= {"files": [f"metrics/{merged.name}"], "replaced": [f"metrics/{files[0].name}"]}
    monkeypatch.setattr(Storage, "find", find_then_merge)
    assert everything(open_store(own_lake)) == everything(both.folder)
    assert calls
    merged.unlink()
    with pytest.raises(StoreError, match=r"merged\.json lists 1 files that are gone"):
        open_store(own_lake).run("ranks-1").series()


def test_points_that_the_document_does_not_know_yet_count(both, own_lake):
    path = own_lake / document_path("digits", "ranks-1")
    document = json.loads(path.read_text())
    for entry in document["writers"].values():
        entry["metrics"] = []
        entry["at"], entry["through"] = "0000000000000000", 1
    path.write_text(json.dumps(document))
    one, other = both.folder.run("ranks-1"), open_store(own_lake).run("ranks-1")
    assert repr(one.summary()) == repr(other.summary())


# --- a lake that is damaged or foreign ----------------------------------------------------------------------


def test_a_damaged_document_is_a_run_with_a_problem(own_lake):
    path = own_lake / document_path("digits", "ranks-1")
    path.write_text("{")
    store = open_store(own_lake)
    (bad,) = store.runs(where="outcome == 'unreadable'")
    assert bad.id == "ranks-1"
    assert "the run document cannot be read" in bad.problem
    assert len(store.runs(archived=None)) == 5
    document = {"format": 99, "writers": {}}
    path.write_text(json.dumps(document))
    assert "upgrade tracelet" in store.run("ranks-1").problem


def test_a_document_without_processes_shows_what_people_read(own_lake):
    path = own_lake / document_path("digits", "plain-1")
    document = json.loads(path.read_text())
    document["writers"] = {}
    path.write_text(json.dumps(document))
    (record,) = open_store(own_lake).runs(where="id == 'plain-1'")
    assert (record.name, record.outcome, record.params["lr"]) == ("renamed", "finished", 0.2)
    assert record.summary()["only nan"]["count"] == 1


def test_a_run_whose_process_says_nothing_for_long_counts_as_killed(own_lake):
    path = own_lake / document_path("other", "killed-1")
    document = json.loads(path.read_text())
    (entry,) = document["writers"].values()
    entry["state"], entry["seen_at"] = "running", time.time()
    path.write_text(json.dumps(document))
    store = open_store(own_lake)
    assert store.run("killed-1").outcome == "running"
    assert [one.id for one in store.runs(outcome="running")] == ["killed-1"]
    entry["seen_at"] = time.time() - 3600
    entry["metrics"] = []
    path.write_text(json.dumps(document))
    assert store.run("killed-1").outcome == "killed"
    assert [one.id for one in store.runs(outcome="killed")] == ["killed-1"]


def test_links_in_a_lake_are_not_followed(own_lake, tmp_path):
    (tmp_path / "elsewhere.json").write_text(json.dumps({"format": 1, "id": "x", "name": "x"}))
    os.symlink(tmp_path / "elsewhere.json", own_lake / "runs" / "project=digits" / "x.json")
    assert "x" not in [one.id for one in open_store(own_lake).runs(archived=None)]


# --- what changes is seen, and what does not is not read again ----------------------------------------------


def test_a_run_that_goes_on_is_followed_file_by_file(tmp_path, deliver, monkeypatch):
    from tracelet.store import lake_tail

    monkeypatch.setattr(lake_tail, "_PERIOD", 0.0)
    data, lake = tmp_path / ".tracelet", tmp_path / "lake"
    writer = Writer(data / "runs" / "live-1", {"run": {"id": "live-1", "name": "live", "project": "p"}})
    for step in range(10):
        writer.point("loss", step, step)
    deliver(data / "runs" / "live-1", str(lake))
    store = open_store(lake)
    record = store.run("live-1")
    assert record.outcome == "running"
    tail = record.source.tail()
    seen = {"loss": {writer.id: 10}}
    assert tail.since(seen) == []
    before = {file: file.stat().st_mtime_ns for file in lake.rglob("*.parquet")}
    for step in range(10, 15):
        writer.row({"loss": step, "acc": 1.0}, step)
    deliver(data / "runs" / "live-1", str(lake))
    for file in before:
        file.write_bytes(b"\0" * file.stat().st_size)  # whoever read it again would notice
    events = tail.events
    tail.advance()
    (new,) = tail.since(seen)
    assert (new.steps, new.values, new.lost) == ([*range(10, 15)], [10.0, 11.0, 12.0, 13.0, 14.0], False)
    assert tail.names() == ["acc", "loss"]
    assert tail.events > events
    writer.close("finished")
    deliver(data / "runs" / "live-1", str(lake))
    assert store.run("live-1").outcome == "finished"
    assert [one.outcome for one in store.runs()] == ["finished"]


def test_the_page_shows_a_lake(both):
    pytest.importorskip("starlette", reason="the page needs the extra 'ui'")
    from starlette.testclient import TestClient

    from tracelet.ui import Access, create_app

    clients = [
        TestClient(create_app(store, Access()), base_url="http://127.0.0.1")
        for store in (both.folder, both.lake)
    ]

    def get(path: str):
        answers = [client.get(f"/api/v1{path}") for client in clients]
        assert [one.status_code for one in answers] == [200, 200], answers[1].text
        return [one.json() for one in answers]

    for path in (
        "/runs?where=metrics.loss.last%3E0&sort=name",
        "/runs/plain-1/files",
        "/runs/plain-1/events",
        "/compare?run=plain-1&run=ranks-1",
        "/fields",
    ):
        one, other = get(path)
        assert one == other, path
    folder, lake = get("/runs/plain-1")
    assert {**folder, "dir": "", "delivery": {}} == {**lake, "dir": ""}
    assert lake["dir"].startswith("file://")
    assert clients[1].get("/api/v1/runs/plain-1/file?path=artifacts/weights.bin").content == b"\0\1\2" * 1000
    token = {"content-type": "application/json"}
    refused = clients[1].post("/api/v1/runs/plain-1/edit", json={"name": "x"}, headers=token)
    assert refused.status_code == 400
    assert "can only be read" in refused.json()["error"]


# --- the cache ----------------------------------------------------------------------------------------------


def test_the_cache_keeps_what_was_used_last(tmp_path):
    cache = FileCache(tmp_path, limit=3000)

    def fill(name: str) -> Path:
        return cache.get(name, 1000, lambda target: target.write_bytes(name[:1].encode() * 1000))

    files = {name: fill(name) for name in "abc"}
    for age, name in ((4000, "a"), (3000, "b"), (2000, "c")):
        os.utime(files[name], (time.time() - age,) * 2)
    fill("a")  # used again
    fill("d")
    assert [name for name in "abc" if files[name].exists()] == ["a", "c"]
    assert files["a"].read_bytes() == b"a" * 1000


def test_the_cache_never_shows_a_part_of_a_file(tmp_path):
    cache = FileCache(tmp_path)

    def fail(target: Path) -> None:
        target.write_bytes(b"part")
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        cache.get("x", 10, fail)
    assert list(tmp_path.iterdir()) == []
    assert cache.get("x", 4, lambda target: target.write_bytes(b"good")).read_bytes() == b"good"


# --- other engines ------------------------------------------------------------------------------------------


def test_the_points_are_a_pyarrow_dataset(both):
    import pyarrow.dataset

    table = dataset(both.url).to_table(filter=pyarrow.dataset.field("run") == "plain-1")
    expected = both.folder.run("plain-1")
    assert set(table["project"].to_pylist()) == {"digits"}
    assert len(table) == sum(len(series) for series in expected.series())
    values = table.filter(pyarrow.compute.equal(table["name"], "steps")).sort_by("sequence")
    assert values["step"].to_pylist() == expected.metric("steps").iterations
    assert "lr" in dataset(both.url, "params").to_table()["name"].to_pylist()
    with pytest.raises(StoreError, match="expected one of 'metrics', 'params'"):
        dataset(both.url, "metric")


# --- what a lake cannot do ----------------------------------------------------------------------------------


def test_changes_of_a_lake_are_refused(both):
    record = both.lake.run("plain-1")
    for change in (
        lambda: both.lake.edit("plain-1", name="x"),
        lambda: both.lake.edit(record, tags=["x"]),
        lambda: both.lake.delete("plain-1"),
        lambda: both.lake.restore("plain-1"),
        both.lake.empty_trash,
        lambda: record.source.check_journal("verify"),
    ):
        with pytest.raises(UsageError, match=r"found the lake file://.*which can only be read|a data folder"):
            change()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("runs --json", '"total": 4'),
        ("show plain-1", "train/acc"),
        ("compare plain-1 ranks-1", "loss best"),
        ("export ranks-1 --metric acc", "acc,0,0.0,"),
        ("plot ranks-1 acc", "last 4.667"),
        ("show --console plain-1", "no output was recorded"),
    ],
)
def test_commands_read_a_lake(both, words, expected):
    done = command(*words.split(), "--dir", Path(both.url).as_uri())
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


@pytest.mark.parametrize(
    "words", ["edit plain-1 --name x", "delete plain-1 --yes", "sync", "verify plain-1", "compact", "doctor",
              "pack plain-1 -o x.html", "run x.py"]
)  # fmt: skip
def test_commands_that_a_lake_does_not_serve_say_so(both, words, tmp_path):
    (tmp_path / "x.py").write_text("")
    name, *rest = words.split()
    done = command(name, "--dir", both.url, *rest, cwd=tmp_path)
    assert done.returncode == 2, done.stdout
    assert "lake" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_nothing_is_recorded_at_a_url(tmp_path):
    (tmp_path / "train.py").write_text("import tracelet\ntracelet.start_run('x', dir='s3://bucket/x')\n")
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "expected a folder, found a URL" in done.stderr
    done = command("runs", cwd=tmp_path, env={**os.environ, "TRACELET_DIR": "s3://bucket/x"})
    assert done.returncode == 2
    assert "TRACELET_DIR: expected a folder, found a URL" in done.stderr
    assert not (tmp_path / "s3:").exists()


def test_storage_options_are_for_lakes_only(both):
    with pytest.raises(UsageError, match="storage_options are for a lake"):
        open_store(both.data, storage_options={"key": "x"})


def test_a_url_of_an_unknown_kind_is_reported():
    with pytest.raises(StoreError, match="nothing://x"):
        open_store("nothing://x").runs()


# --- live, in the page --------------------------------------------------------------------------------------


def test_the_page_sends_new_points_of_a_run_that_goes_on(tmp_path, deliver, monkeypatch):
    pytest.importorskip("starlette", reason="the page needs the extra 'ui'")
    from tracelet.store import lake_tail
    from tracelet.ui import sources as sources_module
    from tracelet.ui.live_api import Watch

    monkeypatch.setattr(lake_tail, "_PERIOD", 0.0)
    monkeypatch.setattr(sources_module, "_RECENT", 0.0)
    data, lake = tmp_path / ".tracelet", tmp_path / "lake"
    writer = Writer(data / "runs" / "live-1", {"run": {"id": "live-1", "name": "live", "project": "p"}})
    for step in range(10):
        writer.point("loss", step, step)
    deliver(data / "runs" / "live-1", str(lake))
    sources = sources_module.Sources(open_store(lake))
    read = sources.series(sources.run("live-1"), ["loss"])["loss"]
    assert len(read.rewound.effective) == 10
    watch = Watch(sources, {"live-1": {"loss": read.cursor}}, table=False)
    assert [name for name, _ in watch.news()] == ["run"]
    assert watch.news() == []
    for step in range(10, 13):
        writer.point("loss", step, step)
    writer.close("finished")
    deliver(data / "runs" / "live-1", str(lake))
    news = dict(watch.news())
    assert news["points"]["series"][0]["steps"] == [10, 11, 12]
    deadline = time.monotonic() + 20
    while news.get("run", {}).get("outcome") != "finished" and time.monotonic() < deadline:
        news |= dict(watch.news())
    assert news["run"]["outcome"] == "finished"


def test_tracelet_ui_serves_a_url(both):
    pytest.importorskip("starlette", reason="the page needs the extra 'ui'")
    import urllib.request

    words = [sys.executable, "-m", "tracelet", "ui", Path(both.url).as_uri(), "--port", "0", "--no-open"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().split()[2]
            with urllib.request.urlopen(f"{address}api/v1/runs?sort=name", timeout=30) as answer:
                found = json.load(answer)
        finally:
            server.terminate()
    assert [run["name"] for run in found["runs"]] == [one.name for one in both.folder.runs(sort="name")]


def test_a_folder_is_recognized_as_a_lake_or_as_what_it_is(both, tmp_path):
    from tracelet.lake.recognize import RUNS, is_lake
    from tracelet_hookspecs import lake_layout

    assert RUNS == lake_layout.RUNS
    assert is_lake(Path(both.url))
    assert not is_lake(both.data)
    assert not is_lake(tmp_path)
    shutil.copytree(both.url, tmp_path / "data-only")
    shutil.rmtree(tmp_path / "data-only" / "runs")
    assert is_lake(tmp_path / "data-only")
    with pytest.raises(StoreError, match="found no runs in file://"):
        open_store(tmp_path / "data-only").run()
    with pytest.raises(StoreError, match="found nothing"):
        open_store(tmp_path / "none")


@pytest.mark.parametrize("grace", [3600.0, 0.0], ids=["in the grace period", "after it"])
def test_optimizing_a_lake_changes_no_answer(both, own_lake, grace):
    from tracelet.lake.changing import ChangingStorage
    from tracelet.lake.optimize import optimize

    before = open_store(own_lake)
    held = before.run("plain-1")  # a reader whose list of files is older
    assert len(held.metric("steps")) == 5
    for _ in range(2):
        list(optimize(ChangingStorage(str(own_lake)), grace=grace, min_files=1))
    merged = list(own_lake.rglob("merged-*.parquet"))
    assert merged
    store = open_store(own_lake)
    for run in ("plain-1", "ranks-1", "killed-1", "edited-1"):
        one, other = both.folder.run(run), store.run(run)
        assert repr(one.summary()) == repr(other.summary())
        assert repr(one.to_dict() | {"dir": ""}) == repr(other.to_dict() | {"dir": ""})
    assert [one.id for one in before.runs(archived=None)] == [
        one.id for one in both.folder.runs(archived=None)
    ]
    if grace:
        assert len(held.series()) == len(both.folder.run("plain-1").series())
