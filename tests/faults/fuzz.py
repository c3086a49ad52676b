"""Mutates the folder of a run and reads it with everything there is: no traceback, no hang, no flood of memory.

    python tests/faults/fuzz.py --seconds 600 [--seed N] [--keep FOLDER]

An input is a run's folder with one to four files changed: journals, compacted segments, ledgers, leases, events that
are odd, files exchanged for links, pipes and sparse files. Most mutations repair checksums afterwards, so that what is
behind them is reached. Each input is read by the library or by a command, in a child process of its own with limits
on time and memory. An input that breaks something is named, and kept if ``--keep`` says where.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import stat
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

#: What an input may take at most. The memory is on top of what the process had before it read anything: about 50 MB
#: for a command of its own, but several hundred in a test runner, whose pages a forked child has from the start.
SECONDS, MEGABYTES = 5.0, 250
_ODD = [
    None,
    True,
    -1,
    0,
    1.5,
    1e300,
    float("nan"),
    10**30,
    "",
    "x",
    "../../x",
    "/etc/passwd",
    "\x1b[2J",
    [],
    {},
    [[]],
]
_ODD += [{"a": [1]}, ["x"], "x" * 5000, "\ud800", "=1+1"]
_TYPES = [
    "writer",
    "name",
    "columns",
    "dictionary",
    "run",
    "params",
    "tags",
    "artifact",
    "fact",
    "drops",
    "skip",
]
_TYPES += ["plugins", "outcome", "note", None, ["x"]]
_KEYS = [
    "id",
    "name",
    "metric",
    "source",
    "names",
    "columns",
    "params",
    "tags",
    "path",
    "files",
    "facts",
    "drops",
]
_KEYS += [
    "from",
    "to",
    "plugins",
    "overhead",
    "outcome",
    "error",
    "run",
    "host",
    "pid",
    "started_at",
    "rank",
    "argv",
]
COMMANDS = [
    ["runs"],
    ["show", "seed"],
    ["export", "seed"],
    ["verify", "seed"],
    ["sync", "seed", "-p", "jsonl"],
]
COMMANDS += [["compact", "seed"], ["compare", "seed", "good"], ["runs", "--json"], ["show", "seed", "--json"]]


class Outcome(NamedTuple):
    """What reading one input took."""

    seconds: float
    megabytes: float  # on top of what the process began with
    fault: str  # empty if none


# --- inputs ------------------------------------------------------------------------------------------------------


def make_seed(folder: Path) -> None:
    """Make a store with a plain and a compacted run in it, delivered once."""
    import tracelet
    from tracelet.journal import Writer, compact

    quiet = ["no:system", "no:environment", "no:gpu"]
    for name in ("seed", "good"):
        with tracelet.start_run(name, run_id=name, dir=folder, plugins=[*quiet, "jsonl"]) as run:
            for step in range(300):
                run.log({"a": step, "b/c": step / 3}, step=step)
                run.log_metric("d", step**0.5, step)
            run.log_params({"lr": 0.1})
            run.set_tags({"team": "x"})
            run.log_text("text", "words")
            run.log_table("table", [[1, 2]], ["a", "b"])
    compact(folder / "runs" / "seed")
    with Writer(folder / "runs" / "seed", {"run": {"id": "seed"}}) as writer:
        for step in range(300):
            writer.point("a", step, step)
            writer.row({"b": step, "c": -step}, step)
        writer.event("params", {"params": {"more": [1, {"x": None}]}})


_MOST_BYTES = 64 << 20


def mutate(chance: random.Random, folder: Path) -> None:
    """Change one to four files of the run called seed."""
    for _ in range(chance.choice([1, 1, 2, 4])):
        files = _files_of(folder / "runs" / "seed")
        if not files:
            return  # an earlier mutation has exchanged the folder itself
        journal = [file for file in files if file.suffix in (".trj", ".trz")]
        change = chance.choice(
            [
                _flip,
                _flip,
                _patch,
                _cut,
                _grow,
                _add_event,
                _add_event,
                _add_event,
                _exchange,
                _edit_json,
                _edit_chunk,
            ]
        )
        file = chance.choice(journal if change in (_add_event, _edit_chunk) and journal else files)
        if not _is_ordinary(file):
            continue  # made sparse by an earlier mutation, and too large to read
        try:
            change(chance, file)
        except (OSError, struct.error, IndexError, ValueError):
            continue


def _files_of(folder: Path) -> list[Path]:
    """Return the regular files of a folder, never through a link: an earlier mutation may have made one to ``/``."""
    if folder.is_symlink():
        return []
    found = (Path(parent, name) for parent, _, names in os.walk(folder, followlinks=False) for name in names)
    return sorted(file for file in found if stat.S_ISREG(file.lstat().st_mode))


def _is_ordinary(file: Path) -> bool:
    state = file.lstat()
    return stat.S_ISREG(state.st_mode) and state.st_size <= _MOST_BYTES


def _flip(chance: random.Random, file: Path) -> None:
    data = bytearray(file.read_bytes())
    for _ in range(chance.choice([1, 3, 50])):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file.write_bytes(_repair(data, file) if chance.random() < 0.5 else data)


def _patch(chance: random.Random, file: Path) -> None:
    """Put a number of interest somewhere, most often where a head has its fields."""
    data = bytearray(file.read_bytes())
    at = chance.randrange(len(data)) & (-8 if chance.random() < 0.7 else -1)
    number = chance.choice([0, 1, 2**16, 2**20, 2**31, 2**32 - 1, chance.randrange(2**32)])
    data[at : at + 4] = struct.pack("<I", number)
    file.write_bytes(_repair(data, file) if chance.random() < 0.7 else data)


def _cut(chance: random.Random, file: Path) -> None:
    os.truncate(file, chance.randrange(file.stat().st_size))


def _grow(chance: random.Random, file: Path) -> None:
    data = file.read_bytes()
    more = chance.choice(
        [bytes(100_000), b"\xff" * 100_000, data[64:], b"TRZC" * 20_000, chance.randbytes(50_000)]
    )
    at = chance.choice([0, 64, len(data)])
    file.write_bytes(data[:at] + more + data[at:])


def _exchange(chance: random.Random, file: Path) -> None:
    """Put something else in the place of a file or its folder."""
    target = chance.choice([file, file, file.parent])
    if target == file:
        file.unlink()
    else:
        shutil.rmtree(target)
    kind = chance.randrange(6)
    if kind == 0:
        os.mkfifo(target)
    elif kind == 1:
        target.symlink_to(chance.choice(["/etc/passwd", "/dev/zero", "/", ".", target.name]))
    elif kind == 2:
        target.mkdir()
    elif kind == 3:
        with open(target, "wb") as opened:
            opened.truncate(1 << 40)
    elif kind == 4:
        target.write_bytes(b"")


def _edit_json(chance: random.Random, file: Path) -> None:
    """Change a ledger or lease, or make one."""
    if file.suffix in (".trj", ".trz"):
        file = file.parent.parent / "delivery" / chance.choice(["jsonl.json", "jsonl.lease"])
        file.parent.mkdir(exist_ok=True)
        if os.path.lexists(file) and not _is_ordinary(file):
            return  # a pipe or a sparse file, by an earlier mutation
    content = json.loads(file.read_text()) if file.exists() and chance.random() < 0.7 else {}
    if isinstance(content, dict):
        for key in chance.sample([*content, "token", "stale_after", "pid", "cursors", "writers"], 2):
            content[key] = chance.choice(_ODD)
    else:
        content = chance.choice(_ODD)
    file.write_text(json.dumps(content))


def _add_event(chance: random.Random, file: Path) -> None:
    """Append events whose checksums are right."""
    if file.suffix != ".trj":
        return
    data = bytearray(file.read_bytes())
    data += bytes(-len(data) % 32)
    for _ in range(chance.choice([1, 5])):
        text = json.dumps(
            {"type": chance.choice(_TYPES), **{key: chance.choice(_ODD) for key in chance.sample(_KEYS, 4)}}
        )
        payload = chance.choice(
            [text.encode(), text.encode(), chance.randbytes(40), b"[" * 5000, b"9" * 6000]
        )
        sequence = (len(data) - 64) // 32
        when = chance.choice([time.time(), time.time(), -1.0, 1e300, float("nan")])
        head = struct.pack("<IIqdI", zlib.crc32(payload), len(payload), -(1 << 63), when, 3 << 24)
        data += head + struct.pack("<I", zlib.crc32(head, sequence)) + payload + bytes(-len(payload) % 32)
    file.write_bytes(data)


def _edit_chunk(chance: random.Random, file: Path) -> None:
    """Change a field of a chunk's head, or the lengths within it; its checksums are right again."""
    if file.suffix != ".trz":
        return
    data = bytearray(file.read_bytes())
    at = 64 if chance.random() < 0.5 else data.index(b"TRZC", 64)
    field = chance.choice([4, 8, 12, 16, *range(32, 32 + 7 * 4 + 12, 4), *range(32 + 40, 32 + 90)])
    number = chance.choice([0, 1, 7, 2**20, 2**27, 2**32 - 1, chance.randrange(2**32)])
    data[at + field : at + field + 4] = struct.pack("<I", number)
    file.write_bytes(_repair(data, file))


def _repair(data: bytearray, file: Path) -> bytearray:
    """Make the checksums right again, as somebody who means harm would."""
    if len(data) >= 64 and file.suffix in (".trj", ".trz"):
        data[52:56] = struct.pack("<I", zlib.crc32(data[:52]))
    if file.suffix == ".trj":
        for at in range(64, len(data) - 31, 32):
            head = bytes(data[at : at + 28])
            if head[27] in (1, 2, 3, 4):
                data[at + 28 : at + 32] = struct.pack("<I", zlib.crc32(head, (at - 64) // 32))
    elif file.suffix == ".trz":
        at = 64
        while at + 32 <= len(data) and data[at : at + 4] == b"TRZC":
            size = struct.unpack_from("<I", data, at + 12)[0]
            data[at + 20 : at + 24] = struct.pack("<I", zlib.crc32(data[at + 32 : at + 32 + size]))
            data[at + 28 : at + 32] = struct.pack("<I", zlib.crc32(data[at : at + 28]))
            at += 32 + size
    return data


_CHANGES = [
    _flip,
    _flip,
    _patch,
    _cut,
    _grow,
    _exchange,
    _edit_json,
    _edit_chunk,
    _add_event,
    _add_event,
    _add_event,
]


# --- reading -----------------------------------------------------------------------------------------------------


def read_everything(folder: Path) -> None:
    """Read the run with every reader of the journal there is, with NumPy and without."""
    from tracelet.journal import Damage, Follower, compact, liveness, read_columns, read_events, writers
    from tracelet.safe_files import UnsafeFileError

    run_dir = folder / "runs" / "seed"
    for numpy in (True, False):
        read_columns(run_dir, damage=Damage(), numpy=numpy)
        read_columns(run_dir, ["a"], damage=Damage(), numpy=numpy)
    read_events(run_dir, damage=Damage())
    for writer in writers(run_dir):
        liveness(run_dir, writer)
        follower = Follower(run_dir, writer)
        while follower.read(5000) or follower.is_waiting:
            pass
    with contextlib.suppress(UnsafeFileError):  # a link in place of the folder is refused, as documented
        compact(run_dir)
    read_columns(run_dir, damage=Damage())


def run_command(folder: Path, words: list[str]) -> None:
    """Run a command of the command line in this process."""
    from tracelet.cli import main

    os.chdir(folder)
    status = main(words if words[0] == "plugins" else [*words, "--dir", str(folder)])
    if status not in (0, 1, 2, None):
        raise AssertionError(f"exit status {status}")


def attempt(folder: Path, words: list[str] | None, as_user: int | None = None) -> Outcome:
    """Read an input in a child process, as another user if one is given; return what it took and what was wrong."""
    began = time.monotonic()
    errors = folder / "stderr"
    inherited = _resident_megabytes()
    child = os.fork()
    if child == 0:
        _become_reader(folder, words, errors, as_user)
    status, usage = None, None
    while not _is_stuck(child, time.monotonic() - began):
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            break
        time.sleep(0.005)
    else:
        os.kill(child, 9)
        _, status, usage = os.wait4(child, 0)
        return Outcome(time.monotonic() - began, usage.ru_maxrss / 1024 - inherited, "hangs")
    seconds, megabytes = usage.ru_utime + usage.ru_stime, max(0.0, usage.ru_maxrss / 1024 - inherited)
    text = errors.read_text(errors="replace") if errors.exists() else ""
    if os.WIFSIGNALED(status):
        return Outcome(seconds, megabytes, f"signal {os.WTERMSIG(status)} {text[-2000:]}")
    if "Traceback" in text:
        return Outcome(seconds, megabytes, text[-3000:])
    if seconds > SECONDS:
        return Outcome(seconds, megabytes, f"takes {seconds:.1f} s")
    if megabytes > MEGABYTES:
        return Outcome(seconds, megabytes, f"takes {megabytes:.0f} MB")
    return Outcome(seconds, megabytes, "")


def _resident_megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _is_stuck(child: int, seconds: float) -> bool:
    """Say whether a process has run or slept for too long; on a busy machine, one may merely wait for its turn."""
    if seconds < 4 * SECONDS:
        return False
    try:
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return True
    used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used > SECONDS or (fields[0] == "S" and seconds > 8 * SECONDS) or seconds > 60 * SECONDS


def _become_reader(folder: Path, words: list[str] | None, errors: Path, as_user: int | None) -> None:
    status = 3
    try:
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
        file = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if as_user is not None:
            os.setresgid(as_user, as_user, as_user)
            os.setresuid(as_user, as_user, as_user)
            os.environ["HOME"] = os.environ["XDG_CACHE_HOME"] = str(folder)
        if words is None:
            read_everything(folder)
        else:
            run_command(folder, words)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode(errors="replace"))
    finally:
        os._exit(status)


def _copy(source: str, target: str) -> str:
    """Copy a file; one that was made sparse stays so, or it would fill the disk."""
    if os.path.getsize(source) <= _MOST_BYTES:
        return str(shutil.copy2(source, target))
    with open(target, "wb") as file:
        file.truncate(os.path.getsize(source))
    return target


def _not_to_copy(folder: str, names: list[str]) -> list[str]:
    """Return the names of pipes, whose copying would never end."""
    return [name for name in names if stat.S_ISFIFO(os.lstat(os.path.join(folder, name)).st_mode)]


class Campaign:
    """Tries inputs and keeps account of the worst."""

    def __init__(self, seed: int, scratch: Path, keep: Path | None = None) -> None:
        self.seed = seed
        self._scratch = scratch
        self._keep = keep
        self.tried: Counter[str] = Counter()
        self.slowest = self.largest = 0.0
        self.faults: list[str] = []
        make_seed(scratch / "seed")

    def try_input(self, number: int) -> None:
        """Make the input with this number, and read it."""
        chance = random.Random(self.seed * 1_000_003 + number)
        folder = self._scratch / "input"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._scratch / "seed", folder)
        mutate(chance, folder)
        words = chance.choice([None, chance.choice(COMMANDS)])
        name = "library" if words is None else " ".join(words)
        outcome = attempt(folder, words)
        self.tried[name] += 1
        self.slowest, self.largest = max(self.slowest, outcome.seconds), max(self.largest, outcome.megabytes)
        if outcome.fault:
            self.faults.append(f"seed {self.seed}, input {number}, {name}: {outcome.fault}")
            print(self.faults[-1], file=sys.stderr, flush=True)
            if self._keep is not None:
                kept = self._keep / str(number)
                shutil.copytree(
                    folder, kept, symlinks=True, ignore=_not_to_copy, copy_function=_copy, dirs_exist_ok=True
                )

    def report(self) -> str:
        """Return what was tried and the worst of it."""
        tried = ", ".join(f"{name}: {count}" for name, count in sorted(self.tried.items()))
        return (
            f"seed {self.seed}: {self.tried.total()} inputs ({tried}); slowest {self.slowest:.2f} s, largest "
            f"{self.largest:.0f} MB, {len(self.faults)} faults"
        )


def main() -> int:
    """Run a campaign."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--keep", type=Path, help="where to copy inputs that break something")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        campaign = Campaign(options.seed, Path(scratch), options.keep)
        end, number = time.monotonic() + options.seconds, options.first
        while time.monotonic() < end:
            campaign.try_input(number)
            number += 1
        print(*campaign.faults, sep="\n\n")
        print(campaign.report())
    return 1 if campaign.faults else 0


if __name__ == "__main__":
    sys.exit(main())
