"""Puts something else in the place of each file and folder of a store, and reads it with every command there is.

    python tests/faults/replace.py [--only TEXT] [--seconds N] [--seed N]

Each file and folder is exchanged, in turn, for nothing, an empty file, a folder, a named pipe, a socket, a symbolic
link to a file outside, a dangling link, a sparse file of a terabyte, a file of another user that nobody else may read,
and a device. No command may show a traceback, take more than 5 s, 250 MB on top of what it began with, or write
anything outside the store.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import shutil
import stat
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

KINDS = ["missing", "empty", "folder", "pipe", "socket", "link", "dangling", "sparse", "unreadable", "device"]
COMMANDS = [
    ["runs"],
    ["runs", "--json"],
    ["show", "seed"],
    ["show", "seed", "--json"],
    ["compare", "seed", "good"],
    ["export", "seed"],
    ["verify", "seed"],
    ["verify", "seed", "--json"],
    ["sync", "seed", "-p", "jsonl"],
    ["compact", "seed"],
    ["doctor"],
    ["plugins"],
]
NOBODY = 65534


def load_fuzzer() -> ModuleType:
    """Import tests/faults/fuzz.py, which reads a store in a child process with limits."""
    spec = importlib.util.spec_from_file_location("faults_fuzz", Path(__file__).with_name("fuzz.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fuzz = load_fuzzer()


class Case:
    """What is exchanged (a path below the store), for what, and which command reads it."""

    def __init__(self, target: str, kind: str, words: list[str]) -> None:
        self.target, self.kind, self.words = target, kind, words

    def __str__(self) -> str:
        return f"{self.target}: {self.kind}: {' '.join(self.words)}"


class Replacements:
    """Makes a store, exchanges its files and keeps account of what reading it took."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._seed = scratch / "seed"
        self._outside = scratch / "outside"
        self._outside.mkdir()
        self.tried: Counter[str] = Counter()
        self.slowest = self.largest = 0.0
        self.faults: list[str] = []
        fuzz.make_seed(self._seed)
        self._complete_seed()
        self._warm_up()

    def _complete_seed(self) -> None:
        """Add what a killed process leaves behind: a lease, and an index."""
        import tracelet

        delivery = self._seed / "runs" / "seed" / "delivery"
        (delivery / "jsonl.lease").write_text('{"token": "x", "pid": 1, "host": "elsewhere"}')
        artifacts = self._seed / "runs" / "seed" / "artifacts" / "folder"
        artifacts.mkdir(parents=True)
        (artifacts / "file").write_text("kept")
        tracelet.open_store(self._seed).runs()

    def _warm_up(self) -> None:
        """Import everything here: another user may be unable to."""
        for words in COMMANDS:
            copy = self._copy_seed()
            outcome = fuzz.attempt(copy, words)
            assert not outcome.fault, f"{words}: {outcome.fault}"
        with open(os.devnull, "w") as null:
            out, err, sys.stdout, sys.stderr = sys.stdout, sys.stderr, null, null
            try:
                here = os.getcwd()
                for words in COMMANDS:
                    fuzz.run_command(self._copy_seed(), words)
                os.chdir(here)
            finally:
                sys.stdout, sys.stderr = out, err

    def _copy_seed(self) -> Path:
        folder = self._scratch / "input"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._seed, folder, symlinks=True)
        return folder

    def cases(self) -> Iterator[Case]:
        """Yield every combination that can be made by this user."""
        targets = sorted(str(path.relative_to(self._seed)) for path in self._seed.rglob("*"))
        for target in [target for target in targets if "/good/" not in target]:
            for kind in KINDS:
                if os.geteuid() and kind == "device":
                    continue
                if target == "runs" and kind == "link":
                    continue  # a user may keep all runs on another disk
                for words in COMMANDS:
                    yield Case(target, kind, words)

    def attempt(self, case: Case) -> None:
        """Exchange one file, read the store, and look at what happened."""
        folder = self._copy_seed()
        original = self._prepare_outside(folder / case.target)
        before = self._look_outside()
        as_user = NOBODY if case.kind == "unreadable" and os.geteuid() == 0 else None
        _EXCHANGES[case.kind](folder / case.target, self._outside)
        if as_user is not None:
            self._give_away(folder, folder / case.target, as_user)
        outcome = fuzz.attempt(folder, case.words, as_user=as_user)
        self.tried[case.kind] += 1
        self.slowest, self.largest = max(self.slowest, outcome.seconds), max(self.largest, outcome.megabytes)
        if outcome.fault:
            self.faults.append(f"{case}: {outcome.fault}")
        elif self._look_outside() != before:
            self.faults.append(f"{case}: something outside the store was written ({original})")
        if self.faults and self.faults[-1].startswith(str(case)):
            print(self.faults[-1], file=sys.stderr, flush=True)

    def _prepare_outside(self, file: Path) -> str:
        """Put a file of the user outside: what the link leads to has the very content that is expected."""
        shutil.rmtree(self._outside)
        self._outside.mkdir()
        precious = self._outside / "precious"
        if file.is_dir():
            shutil.copytree(file, precious, symlinks=True)
        else:
            shutil.copy2(file, precious)
        return str(precious)

    def _look_outside(self) -> list[tuple[str, int, int, int]]:
        states = ((path, path.lstat()) for path in sorted(self._outside.rglob("*")))
        return [(str(path), state.st_mode, state.st_size, state.st_mtime_ns) for path, state in states]

    def _give_away(self, folder: Path, target: Path, user: int) -> None:
        """Let another user own everything but the target; the way there is open to all."""
        os.chmod(self._scratch, 0o755)
        for path in (folder, *folder.rglob("*")):
            if path != target and target not in path.parents:
                os.chown(path, user, user, follow_symlinks=False)

    def report(self) -> str:
        """Return what was tried and the worst of it."""
        tried = ", ".join(f"{kind}: {count}" for kind, count in sorted(self.tried.items()))
        return (
            f"{self.tried.total()} combinations ({tried}); slowest {self.slowest:.2f} s, largest {self.largest:.0f} MB,"
            f" {len(self.faults)} faults"
        )


# --- what may be in the place of a file ----------------------------------------------------------------------


def _remove(file: Path) -> None:
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    else:
        file.unlink()


def _missing(file: Path, outside: Path) -> None:
    _remove(file)


def _empty(file: Path, outside: Path) -> None:
    _remove(file)
    file.touch()


def _folder(file: Path, outside: Path) -> None:
    _remove(file)
    (file / "inner").mkdir(parents=True)


def _pipe(file: Path, outside: Path) -> None:
    _remove(file)
    os.mkfifo(file)


def _socket(file: Path, outside: Path) -> None:
    _remove(file)
    os.mknod(file, stat.S_IFSOCK | 0o600)


def _link(file: Path, outside: Path) -> None:
    _remove(file)
    file.symlink_to(outside / "precious")


def _dangling(file: Path, outside: Path) -> None:
    _remove(file)
    file.symlink_to(outside / "new")


def _sparse(file: Path, outside: Path) -> None:
    _remove(file)
    with open(file, "wb") as opened:
        opened.truncate(1 << 40)


def _unreadable(file: Path, outside: Path) -> None:
    file.chmod(0)


def _device(file: Path, outside: Path) -> None:
    _remove(file)
    os.mknod(file, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero


_EXCHANGES: dict[str, Callable[[Path, Path], None]] = {kind: globals()[f"_{kind}"] for kind in KINDS}


def main() -> int:
    """Try every combination, or as many as there is time for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="only combinations whose description holds this text")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--seed", type=int, help="try them in an order made from this number")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        replacements = Replacements(Path(scratch))
        cases = [case for case in replacements.cases() if options.only in str(case)]
        if options.seed is not None:
            random.Random(options.seed).shuffle(cases)
        end = time.monotonic() + options.seconds
        for case in cases:
            if time.monotonic() > end:
                break
            replacements.attempt(case)
        print(replacements.report())
    return 1 if replacements.faults else 0


if __name__ == "__main__":
    sys.exit(main())
