"""What goes wrong with object stores: throttling, credentials, buckets, clocks, lost answers, missing packages."""

from __future__ import annotations

import importlib.util
import logging
import socket
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from tracelet.delivery.pipeline.failures import Fault, judge
from tracelet.testing import FaultyProxy
from tracelet_builtin_plugins.backends.lake import LakeBackend
from tracelet_hookspecs import MetricData

ID = "0" * 32


@pytest.fixture
def view(tmp_path: Any) -> SimpleNamespace:
    """Return a run as hooks see it."""
    (tmp_path / "run-1").mkdir()
    return SimpleNamespace(
        id="run-1", name="first", project="tests", dir=tmp_path / "run-1", started_at=1_750_000_000.0
    )


def started(table: dict[str, Any], **more: Any) -> LakeBackend:
    plugin = LakeBackend()
    plugin.initialize({**table, **more})
    plugin.start()
    return plugin


def points(first: int, count: int) -> list[MetricData]:
    return [
        MetricData("loss", step / 2, iteration=step, timestamp=1_750_000_000.0 + step, id=(ID, step, 0))
        for step in range(first, first + count)
    ]


def failure_of(plugin: LakeBackend, view: Any) -> BaseException:
    with pytest.raises(Exception) as caught:
        plugin.log_metrics(points(1, 5), view)
    return caught.value


needs_s3fs = pytest.mark.skipif(
    importlib.util.find_spec("s3fs") is None, reason="needs s3fs: pip install s3fs"
)


@needs_s3fs
@pytest.mark.parametrize(
    ("status", "code", "fault", "words"),
    [
        (503, "SlowDown", Fault.PASSING, ""),
        (500, "InternalError", Fault.PASSING, ""),
        (400, "ExpiredToken", Fault.CREDENTIALS, "the credentials have expired: renew them, then run: tracelet sync"),
        (403, "InvalidAccessKeyId", Fault.CREDENTIALS, "expected credentials that may read, write and list there"),
        (403, "AccessDenied", Fault.CREDENTIALS, "run: tracelet sync"),
        (403, "RequestTimeTooSkewed", Fault.PASSING, "the clock of this machine is wrong"),
        (404, "NoSuchBucket", Fault.PASSING, "create"),
        (400, "AuthorizationHeaderMalformed", Fault.PASSING, ""),
    ],
)  # fmt: skip
def test_what_the_answers_of_a_store_mean(answer, view, status, code, fault, words):
    options = {"key": "k", "secret": "words-nobody-may-see", "endpoint_url": answer(status, code)}
    plugin = started({"url": "s3://team/lake", "storage_options": options})
    error = failure_of(plugin, view)
    assert judge(error) is fault, error
    assert words in str(error)
    assert "words-nobody-may-see" not in str(error)
    plugin.stop()


@needs_s3fs
def test_a_bucket_that_is_created_later_gets_everything(s3_server, view):
    import s3fs

    name = f"later-{view.dir.parent.name}".lower().replace("_", "-")[:60].strip("-")
    plugin = started({"url": f"s3://{name}/lake", "storage_options": s3_server.options})
    assert "create" in str(failure_of(plugin, view))
    s3fs.S3FileSystem(**s3_server.options, skip_instance_cache=True).mkdir(name)
    plugin.log_metrics(points(1, 5), view)
    assert plugin.get_status()["points"] == 5
    plugin.stop()


@needs_s3fs
def test_a_lost_answer_is_repeated_under_the_same_name(bucket, s3_server, view):
    proxy = FaultyProxy(s3_server.endpoint)
    try:
        options = {
            **s3_server.options,
            "endpoint_url": proxy.url,
            "config_kwargs": {"connect_timeout": 1, "read_timeout": 1, "retries": {"max_attempts": 1}},
        }
        plugin = started({"url": bucket.url, "storage_options": options})
        plugin.log_metrics(points(1, 5), view)
        proxy.drop_answer()
        assert judge(failure_of_points(plugin, view, 6)) is Fault.PASSING
        proxy.forward()
        plugin.log_metrics(points(6, 5), view)
        plugin.run_ended(view, "finished")
        plugin.stop()
    finally:
        proxy.close()
    assert [row["sequence"] for row in bucket.read.rows("run-1")] == list(range(1, 11))
    (document,) = bucket.read.documents()
    assert document["metrics"]["loss"]["count"] == 10


def failure_of_points(plugin, view, first):
    with pytest.raises(OSError) as caught:
        plugin.log_metrics(points(first, 5), view)
    return caught.value


def test_a_missing_client_is_named(monkeypatch):
    from tracelet_builtin_plugins import extras
    from tracelet_builtin_plugins.backends.lake import objects

    monkeypatch.setitem(objects.CLIENTS, "s3", "s3fs-that-nobody-has")
    with pytest.raises(extras.MissingExtraError) as caught:
        started({"url": "s3://team/lake"})
    assert str(caught.value) == (
        "plugin 'lake' needs s3fs-that-nobody-has, which is not installed; s3:// URLs need it:"
        " run: pip install s3fs-that-nobody-has"
    )


def test_an_unknown_protocol_is_named(monkeypatch):
    with pytest.raises(
        ValueError, match=r"plugins\.lake\.url: expected a folder or a URL .* found the protocol 's4'"
    ):
        started({"url": "s4://team/lake"})


def test_a_later_format_is_refused(folder, view):
    plugin = started(folder.table)
    plugin.run_started(view)
    (path,) = folder.read.paths("runs/")
    with folder.read.fs.open(f"{folder.read.root}/{path}", "w") as file:
        file.write('{"format": 99}')
    again = started(folder.table)
    with pytest.raises(ValueError, match="upgrade tracelet on this machine"):
        again.log_metrics(points(1, 5), view)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
def test_a_folder_that_cannot_be_written_is_an_outage(tmp_path, view):
    (tmp_path / "lake").write_text("a file where the folder should be")
    error = failure_of(started({"url": str(tmp_path / "lake")}), view)
    assert judge(error) is Fault.PASSING


@needs_s3fs
def test_no_log_shows_the_secret(bucket, view, caplog):
    """The client's own debug log has the id of the access key, as Amazon's tools show it, but never the secret."""
    caplog.set_level(logging.DEBUG)
    options = {**bucket.table["storage_options"], "secret": "words-nobody-may-see"}
    plugin = started({"url": bucket.url, "storage_options": options})
    plugin.log_metrics(points(1, 5), view)
    assert "words-nobody-may-see" not in caplog.text + repr(plugin.get_status())
    plugin.stop()


@needs_s3fs
def test_a_store_that_hangs_is_an_outage_before_the_host_gives_the_call_up(view, monkeypatch):
    from tracelet_builtin_plugins.backends.lake import objects

    monkeypatch.setattr(objects, "_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        options = {"key": "k", "secret": "s", "endpoint_url": endpoint}
        plugin = started({"url": "s3://team/lake", "storage_options": options})
        began = time.monotonic()
        assert judge(failure_of(plugin, view)) is Fault.PASSING
        assert time.monotonic() - began < 15
