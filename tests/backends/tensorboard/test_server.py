"""What people see: the web server's HTTP API, with the data server (the default) and without it."""

from __future__ import annotations

import math
import struct
import time
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("tensorboard web server")
BASE = "digits-r1"


def float32(value: float) -> float:
    return struct.unpack("<f", struct.pack("<f", value))[0]


def test_every_point_is_shown(web: Any, recorded: Any) -> None:
    tags = web.get("plugin/scalars/tags")
    assert sorted(tags) == [BASE, *(f"{BASE}/repeated-{number}" for number in (1, 2, 3)), f"{BASE}/writer-2"]
    found = sorted(
        (tag, step, repr(float(value)), when)
        for run, names in tags.items()
        for tag in names
        for when, step, value in web.get("plugin/scalars/scalars", run=run, tag=tag)
        if tag != "no step"
    )
    assert found == sorted(
        (tag, step, repr(float32(value)), when)
        for tag, step, value, when in recorded.journal()
        if tag != "no step"
    )


def test_nan_and_infinities_are_shown(web: Any) -> None:
    shown = web.get("plugin/scalars/scalars", run=BASE, tag="special")
    assert [value for _, _, value in shown] == ["NaN", "Infinity", "-Infinity", -0.0, 123456792.0]
    assert math.copysign(1, shown[3][2]) == -1


def test_images_and_histograms_are_shown(web: Any, recorded: Any) -> None:
    assert web.get("plugin/images/tags")[BASE].keys() == {"picture"}
    (image,) = web.get("plugin/images/images", run=BASE, tag="picture", sample="0")
    (file,) = (recorded.path / ".tracelet" / "runs" / "r1" / "media").glob("picture*")
    path, _, query = image["query"].rpartition("?")
    parameters = dict(pair.split("=", 1) for pair in (query or path).split("&"))
    assert web.get("plugin/images/individualImage", **parameters) == file.read_bytes()
    assert web.get("plugin/histograms/tags")[BASE].keys() == {"weights"}
    ((_, step, bins),) = web.get("plugin/histograms/histograms", run=BASE, tag="weights")
    assert step == 2
    assert sum(count for _, _, count in bins) == 7


def test_texts_are_shown(web: Any) -> None:
    assert set(web.get("plugin/text/tags")[BASE]) == {
        *("note", "table", "tracelet/artifacts", "tracelet/params", "tracelet/run", "tracelet/tags")
    }
    (note,) = web.get("plugin/text/text", run=BASE, tag="note")
    assert (note["step"], note["text"]) == (3, "<h1>Title</h1>")
    (table,) = web.get("plugin/text/text", run=BASE, tag="table")
    assert "<td>x|y</td>" in table["text"]


def test_the_hyperparameters_are_shown_with_the_metrics(web: Any) -> None:
    experiment = web.get("plugin/hparams/experiment", {"experimentName": ""})
    assert {each["name"] for each in experiment["hparamInfos"]} == {"lr", "opt"}
    metrics = {(each["name"]["group"], each["name"]["tag"]) for each in experiment["metricInfos"]}
    assert {("", "train/loss"), ("writer-2", "train/loss")} <= metrics
    wanted = {"group": "", "tag": "train/acc"}
    statuses = ["STATUS_SUCCESS", "STATUS_UNKNOWN", "STATUS_RUNNING", "STATUS_FAILURE"]
    (group,) = web.get(
        "plugin/hparams/session_groups",
        {
            "experimentName": "",
            "allowedStatuses": statuses,
            "colParams": [
                {"hparam": "lr", "includeInResult": True},
                {"metric": wanted, "includeInResult": True},
            ],
            "startIndex": 0,
            "sliceSize": 10,
        },
    )["sessionGroups"]
    assert group["hparams"]["lr"] == 0.1
    (session,) = group["sessions"]
    assert session["status"] == "STATUS_SUCCESS"
    values = {(each["name"]["group"], each["name"]["tag"]): each for each in group["metricValues"]}
    assert values["", "train/acc"]["trainingStep"] == 99
    assert values["", "train/acc"]["value"] == 99 / 256


def test_a_run_in_progress_grows_on_the_page(fresh: Any, serve: Any) -> None:
    fresh.run("train.py", "0")
    with serve(fresh.log_dir) as server:
        assert f"{BASE}/writer-2" not in server.get("runs")
        fresh.run("train.py", "1")
        end = time.monotonic() + 30
        while f"{BASE}/writer-2" not in server.get("runs") and time.monotonic() < end:
            time.sleep(0.2)
        assert f"{BASE}/writer-2" in server.get("runs")
