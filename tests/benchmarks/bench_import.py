"""What importing tracelet adds to starting Python, and what an empty run takes: ``python bench_import.py [ROUNDS]``.

Whole processes, in turn, against a bare ``python -c pass`` of the same session; medians.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAMS = {
    "bare Python": "pass",
    "import tracelet": "import tracelet",
    "import tracelet, start_run resolved": "import tracelet; tracelet.start_run",
    "import json, logging (for comparison)": "import json, logging",
    "import numpy (for comparison)": "import numpy",
    "an empty run, in all": "import tracelet\nwith tracelet.start_run(): pass",
}

EMPTY = """
import time, tracelet
with tracelet.start_run(): pass
times = []
for _ in range(20):
    began = time.perf_counter()
    with tracelet.start_run(): pass
    times.append(time.perf_counter() - began)
print(sorted(times)[10] * 1e3)
"""


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "TRACELET_DIR": folder}
        for _ in range(rounds):
            for name, program in PROGRAMS.items():
                began = time.perf_counter()
                subprocess.run([sys.executable, "-c", program], check=True, env=environ, cwd=folder)
                times[name].append(time.perf_counter() - began)
        bare = statistics.median(times["bare Python"])
        for name, several in times.items():
            median = statistics.median(several)
            print(
                f"{name:40} {median * 1e3:7.1f} ms   +{(median - bare) * 1e3:6.1f} ms   {median / bare:5.2f}x"
            )
        done = subprocess.run(
            [sys.executable, "-c", EMPTY], check=True, env=environ, cwd=folder, capture_output=True, text=True
        )
        print(f"{'a further empty run in the same process':40} {float(done.stdout):7.1f} ms")


if __name__ == "__main__":
    main()
