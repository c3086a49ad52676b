"""Kill programs in the middle of delivery to a lake, and count: ``python tests/faults/lake_kills.py --kills 200``.

A run is recorded by one program after the other, each of which is killed at a random moment and resumed by the next.
After 20 kills, another run begins.
The lake is in a bucket of moto's S3 server on loopback, or in a folder (``--folder``). In the end `tracelet sync`
delivers the rest, `tracelet verify` checks the accounts, and pyarrow alone reads the files: every point of the journal
has to be there once, bit for bit, and nothing else.

Programs are forked from one that has imported everything, so that a kill takes a fraction of a second.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

TESTS = Path(__file__).parents[1]
KILLS_OF_A_RUN = 20
QUIET = ["no:system", "no:environment", "no:gpu"]
#: The latest kill, in seconds: during the first files, or later.
LATEST = 0.8


class Result(NamedTuple):
    """What was found in the end."""

    kills: int
    points: int  # of the journal
    missing: int
    changed: int
    repeated: int  # rows beyond the first of a record
    files: int
    starts: int  # programs that had written at least one file when they were killed
    verified: bool


def load(name: str, path: Path) -> Any:
    """Return a module of the tests, which are no package."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.setdefault(name, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


def preload() -> None:
    """Import what a program imports, without starting a thread or a connection."""
    import pyarrow.parquet  # noqa: F401

    import tracelet.delivery.sync
    import tracelet.host.plugins
    import tracelet.run  # noqa: F401

    for name in ("s3fs", "pandas"):  # pyarrow looks for the latter
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)


def record(folder: Path, run_id: str, started: int) -> None:
    """Record until killed, as fast as delivery to many small files goes. ``started`` is a pipe to report to."""
    import tracelet

    os.chdir(folder)
    sys.argv = [str(folder / "victim.py")]
    sys.modules["__main__"].__file__ = sys.argv[0]  # the project is found from the program's folder
    run = tracelet.start_run("victim", run_id=run_id, resume=True, plugins=QUIET)
    os.write(started, b".")
    step = 0 if run.last_step is None else run.last_step + 1
    while True:
        run.log({"x": step * 0.5, "y": -1.0 / (step + 1)}, step=step)
        if step % 100 == 0:
            run.log_params({"step": step})
        if step % 250 == 0:
            run.flush()
        step += 1
        time.sleep(0.0005)


def kill_once(folder: Path, run: str, delay: float, *, while_starting: bool = False) -> None:
    """Start a program and kill it ``delay`` seconds after it was started, or after its run was."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            with open(folder / "victims.log", "ab", buffering=0) as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            record(folder, run, writer)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    os.close(writer)
    if not while_starting:
        os.read(reader, 1)
    os.close(reader)
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError("the program ended by itself:\n" + (folder / "victims.log").read_text()[-2000:])


def campaign(folder: Path, table: dict[str, Any], lake: Any, kills: int, seed: int) -> Result:
    """Kill, resume, kill, ..., then deliver the rest and compare; with several runs, one after the other."""
    configure(folder, table)
    chance = random.Random(seed)
    results: list[Result] = []
    for first in range(0, kills, KILLS_OF_A_RUN):
        run, count = f"victim-{first}", min(KILLS_OF_A_RUN, kills - first)
        starts, before = 0, 0
        for number in range(count):
            kill_once(folder, run, chance.uniform(0.0, LATEST), while_starting=number % 8 == 7)
            files = len(lake.paths(f"project=kills/run={run}/metrics/"))
            starts, before = starts + (files > before), files
        deliver_rest(folder, run)
        results.append(compare(folder, lake, run, count, starts))
        print(json.dumps(results[-1]._asdict()), flush=True)
    totals = [sum(column) for column in zip(*(one[:-1] for one in results), strict=True)]
    return Result(*totals, verified=all(one.verified for one in results))


def deliver_rest(folder: Path, run: str) -> None:
    """Deliver what is pending."""
    command = [sys.executable, "-m", "tracelet", "sync", run]
    for _ in range(5):  # a killed program's lease has to become free
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode == 0:
            return
    raise RuntimeError(f"sync: {done.stdout}{done.stderr}")


def configure(folder: Path, table: dict[str, Any]) -> None:
    """Write the configuration: files as small and as often as possible."""
    options = ", ".join(
        f"{key} = {json.dumps(value)}" for key, value in table.get("storage_options", {}).items()
    )
    (folder / "tracelet.toml").write_text(
        f'project = "kills"\n[plugins.lake]\nurl = "{table["url"]}"\nstorage_options = {{ {options} }}\n'
        "flush_seconds = 0\nflush_points = 100\n"
    )


def compare(folder: Path, lake: Any, run: str, kills: int, starts: int) -> Result:
    """Compare the journal with what pyarrow reads."""
    from tracelet.journal import Follower, PointRecord, writers

    command = [sys.executable, "-m", "tracelet", "verify", run]
    verified = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    run_dir = folder / ".tracelet" / "runs" / run
    wanted = {}
    for writer in writers(run_dir):
        follower = Follower(run_dir, writer)
        while records := follower.read(1 << 16):
            for one in records:
                if isinstance(one, PointRecord):
                    wanted[writer, one.seq, one.index] = one.name, one.step, bits(one.value), bits(one.time)
    rows = lake.rows(run)
    found = {
        (row["writer"], row["sequence"], row["index"]): (
            *(row["name"], row["step"], bits(row["value"]), bits(row["time"])),
        )
        for row in rows
    }
    keys = Counter((row["writer"], row["sequence"], row["index"]) for row in rows)
    return Result(
        kills=kills,
        points=len(wanted),
        missing=len(wanted.keys() - found.keys()),
        changed=sum(found[key] != wanted.get(key) for key in found),
        repeated=sum(count - 1 for count in keys.values()),
        files=len(lake.files(run, "metrics")),
        starts=starts,
        verified=verified.returncode == 0,
    )


def bits(value: float) -> bytes:
    """Return a float's bits: NaN is not equal to itself."""
    return struct.pack("<d", value)


def main() -> int:
    """Run the campaign and print what was found. The exit status is 1 if anything is missing, changed or repeated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", action="store_true", help="a lake in a folder, in place of a bucket")
    given = parser.parse_args()
    reading = load("lake_reading", TESTS / "backends" / "lake" / "reading.py")
    preload()
    with tempfile.TemporaryDirectory(prefix="lake-kills-") as name:
        folder, server = Path(name), None
        table: dict[str, Any] = {"url": str(folder / "lake")}
        try:
            if not given.folder:
                server = load("backend_servers", TESTS / "backends" / "servers.py").S3()
                server.start()
                table = {"url": f"s3://{server.create_bucket()}/team", "storage_options": server.options}
            began = time.monotonic()
            lake = (
                reading.Lake(table["url"], table.get("storage_options", {}))
                if given.folder
                else Outside(table)
            )
            result = campaign(folder, table, lake, given.kills, given.seed)
        finally:
            if server is not None:
                server.close()
    print(json.dumps(result._asdict()), f"{time.monotonic() - began:.0f} s")
    return int(bool(result.missing or result.changed or result.repeated or not result.verified))


class Outside:
    """A lake as another process reads it: this one must not have a client's threads when it forks."""

    def __init__(self, table: dict[str, Any]) -> None:
        self._table = table

    def paths(self, prefix: str = "") -> list[str]:
        """Return the paths of objects."""
        return self._ask(f"lake.paths({prefix!r})")

    def files(self, run: str, kind: str) -> list[str]:
        """Return the data files of a run."""
        return self._ask(f"lake.files({run!r}, {kind!r})")

    def rows(self, run: str) -> list[dict[str, Any]]:
        """Return all rows of points."""
        return self._ask(f"lake.rows({run!r})")

    def _ask(self, expression: str) -> Any:
        pid, (reader, writer) = 0, os.pipe()
        pid = os.fork()
        if not pid:
            try:
                os.close(reader)
                reading = load("lake_reading", TESTS / "backends" / "lake" / "reading.py")
                lake = reading.Lake(self._table["url"], self._table["storage_options"])
                with os.fdopen(writer, "w") as pipe:
                    json.dump(eval(expression, {"lake": lake}), pipe)
                os._exit(0)
            finally:
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            answer = pipe.read()
        os.waitpid(pid, 0)
        return json.loads(answer)


if __name__ == "__main__":
    raise SystemExit(main())
