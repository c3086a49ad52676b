"""Compare tracelet with other trackers: ``python tests/benchmarks/compare_trackers.py [TRACKER ...]``.

Each tracker gets a virtual environment of its own (made under ``--environments``, kept for the next time), and every
figure stands beside tracelet's from the same session. The table is Markdown; docs/benchmarks.md has one with its date.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent / "trackers"
ROOT = Path(__file__).parents[2]
PACKAGES = {
    "tracelet": [str(ROOT), "numpy"],
    "trackio": ["trackio", "psutil"],
    "wandb": ["wandb", "psutil"],
    "tensorboardX": ["tensorboardX", "tensorboard", "psutil"],
    "mlflow": ["mlflow", "psutil"],
}
IMPORTS = {name: name for name in PACKAGES}
#: Calls and points per tracker: the slow ones get fewer, or the session would take hours.
CALLS = {"tracelet": 100_000, "trackio": 20_000, "wandb": 5_000, "tensorboardX": 20_000, "mlflow": 300}
POINTS = {"tracelet": 1_000_000, "trackio": 50_000, "wandb": 10_000, "tensorboardX": 50_000, "mlflow": 500}


def environment(name: str, home: Path) -> Path:
    """Return the Python of a tracker's environment, made where it is missing."""
    python = home / name / "bin" / "python"
    if not python.exists():
        venv.create(home / name, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES[name]], check=True)
    elif name == "tracelet":
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "--force-reinstall", "--no-deps", ROOT], check=True
        )
    return python


def measure(python: Path, name: str, what: str, folder: Path, count: int = 0) -> dict[str, Any]:
    """Run one measurement in its own process."""
    done = subprocess.run(
        [python, HERE / "measure.py", name, what, folder, str(count)],
        capture_output=True,
        text=True,
        cwd=folder.parent,
        timeout=900,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if lines:
        return json.loads(lines[-1].removeprefix("RESULT "))  # type: ignore[no-any-return]
    return {"status": done.returncode, "stderr": done.stderr[-500:]}


def import_ms(python: Path, module: str) -> float:
    """The median time that an import adds to starting Python."""
    program = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
    runs = [
        float(
            subprocess.check_output(
                [python, "-c", program.format(module)], text=True, stderr=subprocess.DEVNULL
            )
        )
        for _ in range(5)
    ]
    return sorted(runs)[2] * 1e3


def lost_at_kill(python: Path, name: str, folder: Path) -> tuple[int, int]:
    """Return the acknowledged calls and those of them that are lost, at a SIGKILL after two seconds."""
    measure(python, name, "kill", folder, 2)
    acknowledged = int(Path(f"{folder}.acknowledged").read_text())
    read = measure(python, name, "read", folder)
    return acknowledged, acknowledged - int(read.get("found", 0))


def row(name: str, python: Path, work: Path) -> dict[str, str]:
    """Measure one tracker."""
    module = "tracelet.run" if name == "tracelet" else IMPORTS[name]
    calls = measure(python, name, "calls", work / "calls", CALLS[name])
    busy = measure(python, name, "busy", work / "busy", CALLS[name] // 10)
    through = measure(python, name, "throughput", work / "through", POINTS[name])
    read = measure(python, name, "read", work / "through")
    empty = measure(python, name, "empty", work / "empty")
    acknowledged, lost = lost_at_kill(python, name, work / "kill")
    print(name, calls, busy, through, read, empty, acknowledged, lost, file=sys.stderr, flush=True)

    def us(figures: dict[str, Any], which: str) -> str:
        return (
            f"{figures[which]['median_us']:.2f} / {figures[which]['p99_us']:.1f}"
            if which in figures
            else "failed"
        )

    return {
        "import, ms": f"{import_ms(python, module):.0f}",
        "empty run, ms": f"{empty.get('empty_run_ms', float('nan')):.1f}",
        "a call, us (median / p99)": us(calls, "one"),
        "ten metrics, us": us(calls, "ten"),
        "a call beside a busy thread, us": us(busy, "one"),
        "points a second, finish included": f"{through.get('points_per_s', 0):,.0f}",
        "CPU, us a point": f"{through.get('cpu_s', 0) / POINTS[name] * 1e6:.2f}",
        "bytes a point": f"{through.get('bytes_per_point', 0):.0f}",
        "peak memory, MB": f"{through.get('max_rss_mb', 0):.0f}",
        "read back, us a point": f"{read.get('read_s', 0) / max(read.get('found', 1), 1) * 1e6:.2f}",
        "lost at SIGKILL": f"{lost} of {acknowledged}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trackers", nargs="*", default=list(PACKAGES))
    parser.add_argument(
        "--environments", type=Path, default=Path(tempfile.gettempdir()) / "tracker-environments"
    )
    options = parser.parse_args()
    names = ["tracelet", *(name for name in options.trackers if name != "tracelet")]
    rows = {}
    for name in names:
        python = environment(name, options.environments)
        with tempfile.TemporaryDirectory() as work:
            rows[name] = row(name, python, Path(work))
    print("| | " + " | ".join(names) + " |\n| --- |" + " ---: |" * len(names))
    for key in rows["tracelet"]:
        print(f"| {key} | " + " | ".join(rows[name][key] for name in names) + " |")


if __name__ == "__main__":
    main()
