"""Fork again and again under load, and count: ``python tests/faults/forks.py --forks 1000 [--at-once 8]``.

A program whose threads record without a pause forks, several children at a time; each child records, forks once more,
and ends at once. Nobody may hang, and every point has to be there once. It is bounded: so many forks, so many at
once, and whoever has not ended in time is killed and counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

PATIENCE = 60  # seconds for one child to record a point, fork and end

PROGRAM = """
import json, os, signal, sys, threading, time
import tracelet

folder, forks, at_once, patience = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
run = tracelet.start_run("forks", dir=folder, plugins=["no:system", "no:environment", "no:gpu"])
stop = threading.Event()
logged = [0] * 8

def load(number):
    while not stop.is_set():
        run.log_metric("load", number, logged[number])
        run.log({"a": number, "b": logged[number]}, step=logged[number])
        logged[number] += 1
        if logged[number] % 50 == 0:
            time.sleep(0.005)  # else the forking thread waits for the interpreter most of the time

def live(number):
    run.log_metric("child", number, number)
    if number % 4 == 0 and os.fork() == 0:
        run.log_metric("grandchild", number, number)
        os._exit(0)
    if number % 4 == 0:
        os._exit(os.wait()[1] != 0)
    os._exit(0)

def ended(child):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status == 0
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False

threads = [threading.Thread(target=load, args=(number,)) for number in range(len(logged))]
for thread in threads:
    thread.start()
under_way, hung = [], 0
for number in range(forks):
    child = os.fork()
    if child == 0:
        live(number)
    under_way.append(child)
    if len(under_way) >= at_once:
        hung += not ended(under_way.pop(0))
hung += sum(not ended(child) for child in under_way)
stop.set()
for thread in threads:
    thread.join()
run.finish()
print(json.dumps({"hung": hung, "logged": sum(logged)}))
"""


def storm(folder: Path, forks: int, at_once: int, environ: dict[str, str]) -> dict[str, int]:
    """Fork so many times; return how many hung or failed, and how many points are lost or there twice."""
    import tracelet

    words = [sys.executable, "-c", PROGRAM, str(folder), str(forks), str(at_once), str(PATIENCE)]
    done = subprocess.run(words, check=True, timeout=60 + forks, env=environ, stdout=subprocess.PIPE)
    result = json.loads(done.stdout)
    [record] = tracelet.open_store(folder).runs()
    assert record.outcome == "finished", record.outcome
    found = Counter(record.metric("child").iterations)
    later = Counter(record.metric("grandchild").iterations)
    lost = sum(not found[number] for number in range(forks))
    lost += sum(not later[number] for number in range(0, forks, 4))
    lost += sum(result["logged"] - len(record.metric(name).values) for name in ("load", "a", "b"))
    repeated = sum(count - 1 for count in [*found.values(), *later.values()])
    return {"hung": result["hung"], "lost": lost, "repeated": repeated, "recorded": result["logged"] * 3}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--forks", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=8)
    options = parser.parse_args()
    environ = {**os.environ, "TRACELET_DISABLE_PLUGIN_AUTOLOAD": "1", "TRACELET_MODE": "offline"}
    with tempfile.TemporaryDirectory() as folder:
        result = storm(Path(folder), options.forks, options.at_once, environ)
    print(f"{options.forks} forks:", *(f"{count} {what}" for what, count in result.items()))
    sys.exit(any(result[what] for what in ("hung", "lost", "repeated")))


if __name__ == "__main__":
    main()
