"""A repository that the real Aim has written, compared with Aim's own reader."""

from __future__ import annotations

import math
import struct
import subprocess
import sys

import pytest

pytest.importorskip("aim", reason="needs the package aim (pip install 'tracelet[aim]')")
import tracelet
from tracelet.importers import import_runs

PROGRAM = """
import math, numpy as np
from aim import Distribution, Image, Run, Text
quiet = dict(system_tracking_interval=None, log_system_params=False, capture_terminal_logs=False)
run = Run(experiment="exp", repo=".", **quiet)
run.name = "my run"
run.description = "a note"
run["hparams"] = {"lr": 0.1, "n": {"x": 1}}
run.add_tag("best")
for i in range(30):
    run.track(1 / (i + 1), name="loss", step=i, context={"subset": "train"})
    run.track([math.nan, math.inf, -math.inf, 2.0**53][i % 4], name="loss", step=2 * i, context={"subset": "val"})
    run.track(i * 0.5, name="lr", step=i)
run.track(Text("hello"), name="note", step=1)
run.track(Distribution(np.arange(100)), name="weights", step=2)
run.track(Image(np.zeros((4, 4, 3), dtype=np.uint8)), name="picture", step=3)
run.close()
print(run.hash)
"""


def test_every_number_equals_what_aim_reads(tmp_path, monkeypatch, read_aim):
    monkeypatch.chdir(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, timeout=150
    )
    run_hash = done.stdout.split()[-1]
    store = tmp_path / "store"
    [result] = import_runs(tmp_path, dir=store, format="aim")
    assert (result.project, result.damage, result.points) == ("exp", {}, 90)
    run = tracelet.open_store(store).run("my run")
    for metric in read_aim(tmp_path, run_hash).metrics():
        steps, (values, _, times) = metric.data.items_list()
        context = metric.context.to_dict()
        name = f"{metric.name} [subset={context['subset']}]" if context else metric.name
        series = run.metric(name)
        points = zip(series.iterations, series.values, series.timestamps, strict=True)
        assert [(int(step), struct.pack("<d", value), float(time)) for step, value, time in points] == [
            (int(step), struct.pack("<d", value), time)
            for step, value, time in zip(steps, values, times, strict=True)
        ]
    assert math.isnan(run.metric("loss [subset=val]").values[0])
    assert (run.params, run.tags, run.notes) == ({"lr": 0.1, "n/x": 1}, {"best": ""}, "a note")
    media = {one["name"]: one["media"] for one in run.artifacts}
    assert media == {"note": "text", "weights": "histogram", "picture": "image"}
    [again] = import_runs(tmp_path, dir=store, format="aim")
    assert (again.changed, again.known_points) == (False, 90)
