"""Puts the tee between this process's standard output and error and where they lead, and takes it out again."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

_LOWEST: Final = 10  # descriptors below belong to the program
_STARTING: Final = 5.0  # seconds that the separate process may take to start
_SETTLING: Final = 5.0  # seconds that it may take to pass on and record the rest
_ENDING: Final = 0.2  # seconds in which it ends if no child of the program holds the streams
_CHUNK: Final = 1 << 16


class Stream(NamedTuple):
    """One or both of the standard streams: where it led before, and the end of the pipe that the tee reads."""

    numbers: tuple[int, ...]
    original: int
    source: int
    sink: int
    name: str  # o: output, e: error, b: both, on one terminal or file
    is_terminal: bool


class Capture:
    """The standard output and error of this process and its children, passed on and recorded by a separate process."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._lock = threading.Lock()
        self._streams: list[Stream] = []
        self._process: Any = None
        self._threads: list[threading.Thread] = []
        self.failure: str | None = None

    @property
    def is_active(self) -> bool:
        """Whether the streams lead through the tee now."""
        return bool(self._streams)

    def start(self) -> None:
        """Begin. Raises ``OSError`` if there is nothing to capture, or the process cannot be started."""
        streams = _open_streams()
        if not streams:
            raise OSError("standard output and standard error are closed")
        try:
            self._launch(streams)
        except BaseException:
            _close(*(fd for each in streams for fd in (each.original, each.source, each.sink)))
            raise
        flush_streams()
        for each in streams:
            for number in each.numbers:
                os.dup2(each.sink, number)
            os.close(each.sink)
        self._streams = streams
        self._pid = os.getpid()
        threading.Thread(target=self._watch, name="tracelet console", daemon=True).start()

    def _launch(self, streams: list[Stream]) -> None:
        import subprocess

        import tracelet_hookspecs

        self._folder.mkdir(mode=0o700, exist_ok=True)
        ask_read, self._ask = _pipe()
        self._answer, answer_write = _pipe()
        given = {
            "channels": [[each.source, each.original, each.name, each.is_terminal] for each in streams],
            "control": ask_read,
            "acknowledge": answer_write,
            "contract": str(Path(tracelet_hookspecs.__file__).parents[1]),
            "folder": str(self._folder),
            "name": f"{socket.gethostname().partition('.')[0]}-{os.getpid()}-{time.time_ns():x}",
            "limit": self._limit,
        }
        program = str(Path(__file__).with_name("tee.py"))
        inherited = [ask_read, answer_write, *(fd for each in streams for fd in (each.source, each.original))]
        errors = self._folder / "tee-errors.txt"
        try:
            with errors.open("ab") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", program, json.dumps(given)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    pass_fds=inherited,
                )
        finally:
            _close(ask_read, answer_write)
        if self._wait_for_answer(_STARTING) != b"+":
            self._process.kill()
            why = errors.read_text(errors="replace").strip().rpartition("\n")[2]
            raise OSError(f"the process that records the console does not start: {why or 'no answer'}")
        with contextlib.suppress(OSError):
            errors.unlink()

    def _wait_for_answer(self, seconds: float) -> bytes:
        import select

        ready, _, _ = select.select([self._answer], [], [], seconds)
        return os.read(self._answer, 1) if ready else b""

    def _watch(self) -> None:
        """If the tee ends before its time, pass on what is printed from here, in the same order."""
        self._process.wait()
        with self._lock:
            streams = list(self._streams)
            if streams:
                self.failure = (
                    f"the process that records the console ended with status {self._process.returncode}"
                )
        for each in streams:
            thread = threading.Thread(
                target=self._pass_on, args=(each,), name="tracelet console", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def _pass_on(self, stream: Stream) -> None:
        """Pass on what the program and its children print, until nobody can print any more."""
        os.set_blocking(stream.source, True)
        try:
            while data := os.read(stream.source, _CHUNK):
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(stream.original, rest) :]
        except (
            OSError
        ):  # whoever reads the output has left, or a pseudoterminal is closed: the program shall notice
            self._restore()
            _close(stream.source)

    def stop(self) -> None:
        """End, once everything printed has been passed on; bounded by a few seconds."""
        import subprocess

        flush_streams()
        if os.getpid() != self._pid:
            return  # a forked child: the streams are its parent's business
        streams = self._restore()
        if streams:
            with contextlib.suppress(OSError):
                os.write(self._ask, b"?")
                self._wait_for_answer(_SETTLING)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING)  # it goes on for as long as a child prints
        for thread in self._threads:
            thread.join(_SETTLING)
        if not any(thread.is_alive() for thread in self._threads):
            _close(*(fd for each in streams for fd in (each.source, each.original)))
        _close(self._ask, self._answer)

    def _restore(self) -> list[Stream]:
        with self._lock:
            streams, self._streams = self._streams, []
        for each in streams:
            for number in each.numbers:
                os.dup2(each.original, number)
        return streams


def _open_streams() -> list[Stream]:
    """Return the standard streams with a pipe or pseudoterminal for each. Both are one if they lead to one place.

    Otherwise the order between them would be lost.
    """
    known = {number: stat for number in (1, 2) if (stat := _stat(number)) is not None}
    if len(known) == 2 and os.path.samestat(known[1], known[2]):
        return [_open_stream((1, 2), "b")]
    return [_open_stream((number,), "oe"[number - 1]) for number in known]


def _stat(number: int) -> os.stat_result | None:
    try:
        return os.fstat(number)
    except OSError:
        return None


def _open_stream(numbers: tuple[int, ...], name: str) -> Stream:
    import fcntl

    original = fcntl.fcntl(numbers[0], fcntl.F_DUPFD_CLOEXEC, _LOWEST)
    is_terminal = os.isatty(original)
    source, sink = _pseudoterminal(original) if is_terminal else _pipe()
    return Stream(numbers, original, source, sink, name, is_terminal)


def _pipe() -> tuple[int, int]:
    read, write = os.pipe()
    return _raise(read), _raise(write)


def _pseudoterminal(original: int) -> tuple[int, int]:
    """Return both ends of a pseudoterminal that changes nothing on the way: the real one behind it does that."""
    import pty
    import termios

    master, slave = pty.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[1] &= ~termios.OPOST
    attributes[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG)
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    return _raise(master), _raise(slave)


def _raise(fd: int) -> int:
    """Move a descriptor out of the range that a program may count on."""
    import fcntl

    raised = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _LOWEST)
    os.close(fd)
    return raised


def _close(*fds: int) -> None:
    for fd in fds:
        with contextlib.suppress(OSError):
            os.close(fd)


def flush_streams() -> None:
    """Write out what Python and C hold back of the standard streams."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or not a file
            stream.flush()
    with contextlib.suppress(OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).fflush(None)
