"""Reading a lake on an S3 server: the same answers as from the folder, few requests, and errors that say what to do."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import numpy
import pytest

pytest.importorskip("duckdb", reason="reading a lake needs the extra lake: pip install 'tracelet[lake]'")

from tracelet.config import load_config
from tracelet.delivery.sync import sync
from tracelet.errors import StoreError
from tracelet.host.plugins import PluginManager
from tracelet.journal import Writer
from tracelet.lake import dataset
from tracelet.lake import lake as lake_module
from tracelet.store import open_store
from tracelet_builtin_plugins.backends.lake import LakeBackend

pytestmark = pytest.mark.xdist_group("s3")


def record(data, run_id: str, points: int = 50) -> None:
    """Record a run with a metric per rank of difficulty, and an artifact."""
    folder = data / "runs" / run_id
    with Writer(folder, {"run": {"id": run_id, "name": run_id, "project": "a b/c"}}) as writer:
        writer.event("params", {"params": {"lr": points / 1000}})
        for step in range(points):
            writer.row({"loss": 1 / (step + 1), "acc": step / points}, step)
        (folder / "artifacts").mkdir()
        (folder / "artifacts" / "model").write_bytes(b"model of " + run_id.encode())
        digest = hashlib.sha256(b"model of " + run_id.encode()).hexdigest()
        files = [{"path": "artifacts/model", "size": 9 + len(run_id), "sha256": digest}]
        writer.event(
            "artifact", {"path": "artifacts/model", "artifact_path": None, "media": None, "files": files}
        )
        writer.close("finished")


def deliver(run_dir, url: str, options) -> None:
    table = {"url": url, "isolation": "thread", "storage_options": options}
    config = load_config(root=run_dir.parent, overrides={"plugins": {"lake": table}}, environ={})
    manager = PluginManager(use_default_paths=False, config=config)
    manager.register_plugin(LakeBackend)
    (done,) = sync(run_dir, manager, ["lake"])
    assert done.complete, done


@pytest.fixture(scope="module")
def lake(tmp_path_factory, s3_server):
    """Return a data folder, the URL that its runs were delivered to, and the options."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        data = tmp_path_factory.mktemp("recorded") / ".tracelet"
        url = f"s3://{s3_server.create_bucket()}/some/lake"
        for number in range(3):
            record(data, f"run-{number}", 50 + number)
            deliver(data / "runs" / f"run-{number}", url, s3_server.options)
        yield data, url, s3_server.options


def everything(store) -> list:
    found = []
    for record in store.runs(where="params.lr >= 0.05", sort="name"):
        points = [
            (one.name, *(numpy.asarray(column).tobytes() for column in one.points)) for one in record.series()
        ]
        found.append((record.to_dict(None) | {"dir": ""}, points))
    return found


def test_a_bucket_answers_as_the_folder_does(lake):
    data, url, options = lake
    store = open_store(url, storage_options=options)
    assert everything(open_store(data)) == everything(store)
    assert store.run("run-1").artifact("model").open().read() == b"model of run-1"
    assert store.run("run-1").read_file("artifacts/model", limit=100) == b"model of run-1"
    assert store.location == url
    assert len(dataset(url, storage_options=options).to_table()) == 2 * (50 + 51 + 52)


def test_a_large_file_is_not_copied_but_read_in_parts(lake, monkeypatch):
    data, url, options = lake
    monkeypatch.setattr(lake_module, "_WHOLE", 0)
    record = open_store(url, storage_options=options).run("run-2")
    assert record.metric("loss").values == open_store(data).run("run-2").metric("loss").values
    assert [one["path"] for one in record.artifacts] == ["artifacts/model"]


def test_what_did_not_change_is_not_read_again(lake, monkeypatch):
    _, url, options = lake
    store = open_store(url, storage_options=options)
    store.runs()
    store.run("run-0").series()
    fs, _ = store._location.lake.storage.filesystem()
    read: list[str] = []
    whole, copy = fs._cat_file, fs._get_file

    async def cat(path, *given, **more):
        read.append(path)
        return await whole(path, *given, **more)

    async def get(path, *given, **more):
        read.append(path)
        return await copy(path, *given, **more)

    monkeypatch.setattr(fs, "_cat_file", cat)
    monkeypatch.setattr(fs, "_get_file", get)
    assert len(store.runs(where="metrics.acc.max > 0", sort="-metrics.acc.max")) == 3
    assert len(store.run("run-0").metric("loss")) == 50
    assert [path for path in read if path.endswith(".parquet")] == []
    assert len(read) <= 2  # the document of run-0


def test_the_command_line_takes_the_options_of_the_plugin_that_writes(lake, tmp_path):
    _, url, options = lake
    table = "\n".join(f"{key} = {json.dumps(value)}" for key, value in options.items())
    (tmp_path / "tracelet.toml").write_text(
        f'[plugins.lake]\nenabled = false\nurl = "{url}"\n[plugins.lake.storage_options]\n{table}\n'
    )

    def command(*words: str, **environ: str):
        return subprocess.run(
            [sys.executable, "-m", "tracelet", *words], cwd=tmp_path, capture_output=True, text=True, timeout=60,
            check=False, env={**os.environ, **environ},
        )  # fmt: skip

    done = command("runs", "--dir", url, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["total"] == 3
    (tmp_path / "tracelet.toml").unlink()
    keys = {"AWS_ACCESS_KEY_ID": options["key"], "AWS_SECRET_ACCESS_KEY": options["secret"]}
    done = command("show", "run-1", "--dir", url, **keys, AWS_ENDPOINT_URL=options["endpoint_url"])
    assert done.returncode == 0, done.stderr
    assert "loss" in done.stdout


def test_what_goes_wrong_is_one_clear_line(lake):
    _, url, options = lake
    bucket = url.split("/")[2]
    with pytest.raises(
        StoreError, match=r"lake: s3://no-such-bucket/x cannot be read|found nothing at s3://no-such"
    ):
        open_store("s3://no-such-bucket/x", storage_options=options).runs()
    assert open_store(f"s3://{bucket}/nothing-here", storage_options=options).runs() == []
    closed = {
        **options,
        "endpoint_url": "http://127.0.0.1:9",
        "config_kwargs": {"retries": {"max_attempts": 0}},
    }
    with pytest.raises(
        StoreError, match=r"cannot be read.*check the credentials, the network and the endpoint"
    ):
        open_store(url, storage_options=closed).runs()
