"""Kill a recording program at random moments, many times, and count: ``python tests/faults/sigkill.py --kills 1000``.

The victim writes the number of the call that has returned into shared memory, so that the judge knows, to
the call, what was acknowledged when the SIGKILL came. No acknowledged point may be lost, and none may be there twice.
"""

from __future__ import annotations

import argparse
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

#: Seconds between two calls of the victim: as fast as it can, a quick loop, a training step.
RATES = {"flat out": 0.0, "10 000 a second": 1e-4, "200 a second": 5e-3}

VICTIM = """
import mmap, struct, sys, time
import tracelet
folder, board, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
with open(board, "r+b") as file:
    shared = mmap.mmap(file.fileno(), 8)
run = tracelet.start_run("victim", dir=folder, plugins=["no:system", "no:environment", "no:gpu"])
put, step = struct.Struct("<q").pack_into, 0
while True:
    if step % 3:
        run.log_metric("x", step * 0.5, step)
    else:
        run.log({"x": step * 0.5, "y": -step}, step=step)
    step += 1
    put(shared, 0, step)
    if pause:
        end = time.perf_counter() + pause
        while time.perf_counter() < end:
            pass
"""


def one_kill(folder: Path, pause: float, delay: float) -> tuple[int, int, int]:
    """Start a victim, kill it ``delay`` seconds after its first point, and return acknowledged, lost, repeated."""
    board = folder / "board"
    board.write_bytes(bytes(8))
    environ = {**os.environ, "TRACELET_DISABLE_PLUGIN_AUTOLOAD": "1"}
    victim = subprocess.Popen([sys.executable, "-c", VICTIM, folder / "data", board, str(pause)], env=environ)
    try:
        wait_for_points(board, victim)
        time.sleep(delay)
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    acknowledged = read_board(board)
    return acknowledged, *judge(folder / "data", acknowledged)


def wait_for_points(board: Path, victim: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while read_board(board) == 0:
        if victim.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the victim recorded nothing (status {victim.poll()})")
        time.sleep(0.001)


def read_board(board: Path) -> int:
    with open(board, "rb") as file:
        shared = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
        (number,) = struct.unpack("<q", shared[:8])
    return int(number)


def judge(data: Path, acknowledged: int) -> tuple[int, int]:
    """Return how many acknowledged points are lost, and how many are there more than once or with another value."""
    import tracelet

    [record] = tracelet.open_store(data).runs()
    series = record.metric("x")
    found = Counter(series.iterations)
    lost = sum(1 for step in range(acknowledged) if not found[step])
    wrong = sum(
        1 for step, value in zip(series.iterations, series.values, strict=True) if value != step * 0.5
    )
    repeated = sum(count - 1 for count in found.values())
    if acknowledged > 3:
        rows = Counter(record.metric("y").iterations)
        lost += sum(1 for step in range(0, acknowledged, 3) if not rows[step])
    assert record.outcome == "killed", record.outcome
    return lost, repeated + wrong


def campaign(kills: int, seed: int, longest: float = 0.3) -> dict[str, tuple[int, int, int]]:
    """Kill at random moments at each rate; return per rate the points acknowledged, lost and repeated."""
    chance = random.Random(seed)
    totals: dict[str, tuple[int, int, int]] = {}
    for rate, pause in RATES.items():
        sums = [0, 0, 0]
        for _ in range(kills):
            with tempfile.TemporaryDirectory() as folder:
                outcome = one_kill(Path(folder), pause, chance.uniform(0, longest))
            sums = [total + each for total, each in zip(sums, outcome, strict=True)]
        totals[rate] = (sums[0], sums[1], sums[2])
    return totals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="in all, shared among the rates")
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args()
    each = -(-options.kills // len(RATES))
    totals = campaign(each, options.seed)
    for rate, (acknowledged, lost, repeated) in totals.items():
        print(f"{rate}: {each} kills, {acknowledged} acknowledged, {lost} lost, {repeated} repeated")
    print(f"seed {options.seed}")
    sys.exit(any(lost or repeated for _, lost, repeated in totals.values()))


if __name__ == "__main__":
    main()
