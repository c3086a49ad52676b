"""What a call of the drop-ins costs, beside the real packages.

``python tests/benchmarks/bench_drop_ins.py [--real PYTHON]``: an interpreter that has wandb and mlflow. tracelet need
not be installed there. W&B runs offline, MLflow with SQLite.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile

PROGRAMS = {
    "wandb.log": """
import time, wandb
run = wandb.init(project="bench", settings=wandb.Settings(silent=True))
row = {"loss": 0.5, "acc": 0.25}
def call(step):
    wandb.log(row)
""",
    "mlflow.log_metric": """
import mlflow, time
mlflow.start_run()
def call(step):
    mlflow.log_metric("loss", 0.5, step=step)
""",
}
TIMING = """
for step in range(COUNT // 10):
    call(step)
began = time.perf_counter()
for step in range(COUNT):
    call(step)
print("RESULT", (time.perf_counter() - began) / COUNT * 1e6)
"""
COUNTS = {("drop-in", "wandb.log"): 50_000, ("drop-in", "mlflow.log_metric"): 50_000}
COUNTS |= {("real", "wandb.log"): 3_000, ("real", "mlflow.log_metric"): 100}


def measure(python: str, package: str, program: str, *, shielded: bool) -> float:
    """Return the microseconds per call."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "program.py")
        with open(file, "w", encoding="utf-8") as target:
            target.write(program)
        environ = {
            **os.environ,
            "WANDB_MODE": "offline",
            "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/there.db",
        }
        inside = (
            [python, "-m", "tracelet", "run", "-q", "--shield", package, file] if shielded else [python, file]
        )
        done = subprocess.run(inside, cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return float(next(line for line in done.stdout.splitlines() if line.startswith("RESULT")).split()[1])


def main() -> None:
    """Print microseconds per call, and the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--real", metavar="PYTHON", help="an interpreter that has the real packages")
    real = parser.parse_args().real
    for call, program in PROGRAMS.items():
        package = call.partition(".")[0]
        timed = program + TIMING.replace("COUNT", str(COUNTS["drop-in", call]))
        ours = measure(sys.executable, package, timed, shielded=True)
        line = f"{call:20} drop-in {ours:8.2f} us"
        if real:
            timed = program + TIMING.replace("COUNT", str(COUNTS["real", call]))
            theirs = measure(real, package, timed, shielded=False)
            line += f"   real {theirs:10.2f} us   ratio {theirs / ours:8.1f}"
        print(line)


if __name__ == "__main__":
    main()
