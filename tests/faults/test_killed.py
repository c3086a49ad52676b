"""SIGKILL at random moments: the short pass of ``python tests/faults/sigkill.py``."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

spec = importlib.util.spec_from_file_location("sigkill", Path(__file__).with_name("sigkill.py"))
sigkill = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sigkill)


def test_no_acknowledged_point_is_lost_and_none_repeated():
    seed = time.time_ns()
    totals = sigkill.campaign(kills=4, seed=seed)
    assert {rate: figures[1:] for rate, figures in totals.items()} == dict.fromkeys(totals, (0, 0)), (
        f"seed {seed}"
    )
    assert all(acknowledged > 0 for acknowledged, _, _ in totals.values())
