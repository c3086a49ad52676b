"""SIGKILL at random moments: the short pass of ``python tests/faults/sigkill.py``."""

from __future__ import annotations

import time


def test_no_acknowledged_point_is_lost_and_none_repeated(campaign):
    seed = time.time_ns()
    totals = campaign("sigkill").campaign(kills=4, seed=seed)
    assert {rate: figures[1:] for rate, figures in totals.items()} == dict.fromkeys(totals, (0, 0)), (
        f"seed {seed}"
    )
    assert all(acknowledged > 0 for acknowledged, _, _ in totals.values())
