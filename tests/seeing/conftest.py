"""Recorded runs to look at."""

from __future__ import annotations

import math

import pytest

import tracelet

QUIET = ["no:system", "no:environment", "no:gpu"]


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Return a store with two runs; one has NaN, an infinity and an artifact."""
    base = tmp_path_factory.mktemp("seeing")
    (base / "weights.bin").write_bytes(bytes(range(256)) * 8)
    for rate in (0.1, 0.01):
        with tracelet.start_run(
            f"rate-{rate}", dir=base / ".tracelet", plugins=QUIET, params={"lr": rate, "layers": 4}
        ) as run:
            for step in range(300):
                odd = math.nan if 100 < step < 120 else math.inf if step == 200 else float(step)
                run.log(
                    {"train/loss": math.exp(-rate * step / 5), "$odd_{x}": odd, "<b>": step % 7}, step=step
                )
            run.log_artifact(base / "weights.bin")
            run.notes = "<script>document.title = 'broken'</script>"
    return tracelet.open_store(base / ".tracelet")
