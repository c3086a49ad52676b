"""A point with a time of its own."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

import pytest

import tracelet

OFF = {"plugins": {"system": False, "environment": False, "gpu": False}}


def test_a_point_has_the_time_that_is_given(tmp_path: Path) -> None:
    began = time.time()
    with tracelet.start_run(dir=tmp_path, config=OFF) as run:
        run.log_metric("loss", 0.5, 1, timestamp=1000.25)
        run.log_metric("loss", 1, timestamp=2)
        tracelet.log_metric("loss", float("nan"), step=9, timestamp=3.5)
        run.log_metric("loss", 0.25)
        for wrong in ("now", float("nan"), -1.0, datetime(2024, 1, 1), 1e300):
            with pytest.raises(tracelet.RecordingError, match="timestamp: expected seconds since 1970"):
                run.log_metric("loss", 0.5, timestamp=wrong)
        assert run.is_active
    loss = tracelet.open_store(tmp_path).run().metric("loss")
    assert loss.iterations == [1, 2, 9, 10]
    assert loss.values[:2] == [0.5, 1.0]
    assert loss.timestamps[:3] == [1000.25, 2.0, 3.5]
    assert loss.timestamps[3] >= began


def test_the_active_run_is_the_one_that_the_module_means(tmp_path: Path) -> None:
    with tracelet.start_run(dir=tmp_path, config=OFF) as outer:
        with tracelet.start_run(dir=tmp_path, config=OFF) as inner:
            assert (outer.is_active, inner.is_active) == (False, True)
        assert (outer.is_active, inner.is_active) == (True, False)
