"""The folder of a run: where each writer's events go, and what is known of the run itself.

Parameters, tags and the outcome are a state, which event files cannot express: TensorBoard keeps the first
hyperparameters that it reads. So they are kept in ``tracelet.json``, and each change replaces a small event file that
is made from it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from tracelet_builtin_plugins.backends.tensorboard import mapping, protobuf
from tracelet_builtin_plugins.backends.tensorboard.event_file import file_name, frame, replace_file, writer_of
from tracelet_builtin_plugins.naming import mark_of
from tracelet_hookspecs import RunView
from tracelet_hookspecs.strict_json import to_json

__all__ = ["RunFolder"]

STATE_FILE: Final = "tracelet.json"
LOCK_FILE: Final = ".tracelet.lock"
LOCK_TIMEOUT: Final = 10.0  # seconds; other processes of the run hold the lock for milliseconds
LARGEST_TABLE: Final = 10_000  # rows of parameters

#: Sorts before every writer, so that TensorBoard reads it first and goes on to a file that grows.
_STATE_WRITER: Final = "0-run"
_SESSION_START: Final = "_hparams_/session_start_info"
_SESSION_END: Final = "_hparams_/session_end_info"

State = dict[str, Any]


class RunFolder:
    """The folder of one run below the log directory."""

    def __init__(self, log_dir: Path, run: RunView, *, fsync: bool) -> None:
        """Find the run's folder by its id, or choose a new one. It is created with the first file in it."""
        self.run_id = run.id
        self._run = run
        self._fsync = fsync
        self.path = self._find(log_dir) or self._choose(log_dir)
        #: When the first launch started. It is part of the files' names, so a resumed run has to keep it.
        self.started_at: float = run.started_at
        self.update(lambda state: None)

    def _find(self, log_dir: Path) -> Path | None:
        ending = mapping.folder_name("", self.run_id)
        names = sorted(os.listdir(log_dir)) if log_dir.is_dir() else []
        folders = [log_dir / name for name in names if name == ending or f"-{ending}" in name]
        return next((folder for folder in folders if self._owner(folder) == self.run_id), None)

    def _choose(self, log_dir: Path) -> Path:
        path = log_dir / mapping.folder_name(self._run.name, self.run_id)
        if path.exists() and self._owner(path) is not None:
            path = path.with_name(path.name + mark_of(self.run_id, "-"))  # the folder of another run
        return path

    @staticmethod
    def _owner(folder: Path) -> str | None:
        state = _parse(_read(folder / STATE_FILE))
        return None if state is None else state["run"].get("id")

    def of_writer(self, writer: str) -> Path:
        """Return a writer's folder: the run's own for the first one, then ``writer-2`` and so on."""
        folders = [self.path, *(self.path / f"writer-{number}" for number in self._numbers())]
        owners = {folder: set(_writers_in(folder)) for folder in folders}
        for folder, writers in owners.items():
            if writer in writers:
                return folder
        if not owners[self.path]:
            return self.path
        return self.path / f"writer-{max(self._numbers(), default=1) + 1}"

    def _numbers(self) -> list[int]:
        names = os.listdir(self.path) if self.path.is_dir() else []
        return sorted(int(name[7:]) for name in names if re.fullmatch(r"writer-\d{1,9}", name))

    def update(self, change: Callable[[State], None]) -> None:
        """Change what is known of the run, and show it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with _locked(self.path / LOCK_FILE):
            before = _read(self.path / STATE_FILE)
            state = _parse(before) or self._first()
            change(state)
            self.started_at = state["started_at"]
            after = json.dumps(to_json(state), ensure_ascii=False, indent=1).encode(
                "utf-8", "backslashreplace"
            )
            shown = self.path / file_name(self.started_at, _STATE_WRITER, 1)
            if after != before or not shown.exists():
                replace_file(shown, events_of(state, self.started_at), fsync=self._fsync)
                replace_file(self.path / STATE_FILE, after, fsync=self._fsync)

    def _first(self) -> State:
        about = {"id": self.run_id, "name": self._run.name, "project": self._run.project}
        start = self._run.started_at
        return {"run": about, "started_at": start, "params": {}, "tags": {}, "outcome": "", "ended_at": start}


def _read(path: Path) -> bytes:
    """Return the content of the state's file; nothing, if there is none."""
    with suppress(OSError):
        return path.read_bytes()
    return b""


def _parse(data: bytes) -> State | None:
    """Return a stored state, or ``None`` if it is damaged."""
    with suppress(ValueError, LookupError, TypeError):
        state = json.loads(data)
        mappings = [state["run"], state["params"], state["tags"]]
        if all(isinstance(each, dict) for each in mappings) and isinstance(state["outcome"], str):
            state |= {key: float(state[key]) for key in ("started_at", "ended_at")}
            return dict(state)
    return None


def _writers_in(folder: Path) -> Iterator[str]:
    for name in os.listdir(folder) if folder.is_dir() else ():
        found = writer_of(name)
        if found and found[0] != _STATE_WRITER:
            yield found[0]


def events_of(state: State, started_at: float) -> bytes:
    """Return the event file that shows the state of a run."""
    params, outcome = state["params"], state["outcome"]
    about = {**state["run"], "started": _utc(started_at)}
    if outcome:
        about |= {"outcome": outcome, "ended": _utc(state["ended_at"])}
    values = [_text("tracelet/run", ["", ""], about)]
    if params:
        values.append(_text("tracelet/params", ["parameter", "value"], params))
        values.append(_session(_SESSION_START, protobuf.hparams_start(_hparams(params), started_at)))
        status = mapping.session_status(outcome) if outcome else None
        if status is not None:
            values.append(_session(_SESSION_END, protobuf.hparams_end(status, state["ended_at"])))
    if state["tags"]:
        values.append(_text("tracelet/tags", ["tag", "value"], state["tags"]))
    events = [protobuf.event(started_at, 0, value) for value in values]
    return b"".join(map(frame, [protobuf.file_version(started_at), *events]))


def _utc(seconds: float) -> str:
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat(sep=" ", timespec="seconds")
    return str(seconds)


def _hparams(params: Mapping[str, Any]) -> dict[str, bool | float | str]:
    return {mapping.tag_of(name): mapping.hparam(value) for name, value in params.items()}


def _session(tag: str, plugin_data: bytes) -> bytes:
    return protobuf.summary_value(tag, protobuf.null_tensor(), "hparams", plugin_data)


def _text(tag: str, columns: list[str], rows: Mapping[str, Any]) -> bytes:
    table = mapping.markdown_table(columns, list(rows.items()), LARGEST_TABLE)
    return protobuf.summary_value(tag, protobuf.text(table), "text")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock a file. Raises ``TimeoutError`` if another process holds the lock for too long."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"{path}: another process has held the lock for {LOCK_TIMEOUT} s"
                    ) from None
                time.sleep(0.005)
            except OSError:
                break  # a file system without locks; a single process does not need them
        yield
    finally:
        os.close(fd)  # this releases the lock
