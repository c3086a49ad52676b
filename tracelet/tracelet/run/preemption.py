"""SIGTERM, which preempts programs: their runs end first, within two seconds, whatever the program is doing.

A handler in Python runs on the main thread, between two bytecodes. A main thread that is deep in C (a collective that
waits for a lost peer, a long matrix product) never gets there. So a thread receives the signal too, through the wakeup
descriptor. If the main thread has not begun within a moment, that thread ends the runs in its place.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Final, NamedTuple

from tracelet.run import threads
from tracelet.safe_files import Descriptor, LostDescriptorError

LIMIT: Final = 1.5  # seconds in all: preemption allows few, and two are promised
GRACE: Final = 0.3  # of these, how long the main thread has to begin
_LOOK: Final = (
    5.0  # seconds between two looks at whether the pipe is still there, should its end go unnoticed
)

_ATTEMPTS: Final = 100  # at making another pipe
_HIGHEST: Final = 1024  # the kernel's table of descriptors grows with the highest number
_pending: list[object] = []


class _Pipe(NamedTuple):
    """What the interpreter writes the numbers of signals to, and what the thread reads them from."""

    receiving: Descriptor
    sending: Descriptor
    number: int  # of the sending end, as the interpreter has it


class Preemption:
    """What this process does at SIGTERM. ``end(seconds)`` ends the runs within that time."""

    def __init__(self, end: Callable[[float], None]) -> None:
        self._end = end
        self._held = threading.local()  # the signal mask of a thread that forks
        self._renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._hold, after_in_parent=self._resume, after_in_child=self._release)

    def _renew(self) -> None:
        self._turn = [True]  # whoever pops it ends the runs: no lock, since a handler may interrupt
        self._ender: int | None = None  # the thread that does
        self._ended = False
        self._pipe: _Pipe | None = None

    def catch(self) -> None:
        """Catch the signal unless the program has a handler of its own, which stays and decides."""
        if threading.current_thread() is not threading.main_thread():
            return
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self.handle)
        if self._is_ours() and sys.platform != "win32":
            self._listen()

    def _is_ours(self) -> bool:
        return signal.getsignal(signal.SIGTERM) == self.handle

    def handle(self, number: int, frame: FrameType | None) -> None:
        """End the runs on the main thread, or wait until the other one has; then die of the signal."""
        if self._begin():
            self._end(LIMIT)
        elif self._ender == threading.get_ident():
            return  # a second signal while the first one is being handled
        else:
            self._await_ending(LIMIT)
        # The exit status stays that of the signal, so that the sender sees its effect.
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _begin(self) -> bool:
        try:
            self._turn.pop()
        except IndexError:
            return False
        self._ender = threading.get_ident()
        return True

    def _await_ending(self, timeout: float) -> None:
        end = time.monotonic() + timeout
        while not self._ended and time.monotonic() < end:
            time.sleep(0.01)  # not an Event: another signal would find its lock held by this very thread

    # -- the thread --------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Let the thread receive signals, unless the program (an event loop) uses the wakeup descriptor itself."""
        if self._pipe is None and not self._start_thread():
            return
        pipe = self._pipe
        if pipe is not None and not pipe.sending.is_lost:
            _exchange_wakeup(pipe.number, pipe.number)

    def _start_thread(self) -> bool:
        if threads.are_green():  # it would wait for the pipe in C, and all others with it
            return False
        pipe = _make_pipe()
        thread = threading.Thread(target=self._serve, args=(pipe,), name="tracelet signals", daemon=True)
        if threads.try_start(thread):
            self._pipe = pipe
            return True
        return False

    def _serve(self, pipe: _Pipe) -> None:
        while True:
            try:
                numbers = _wait_for_signals(pipe)
            except OSError:
                if not (replaced := self._replace(pipe)):
                    return
                pipe = replaced
                continue
            if signal.SIGTERM not in numbers:
                continue
            time.sleep(GRACE)
            if self._is_ours() and self._begin():
                # On another thread: a lock that the hanging main thread holds must not block this one.
                threading.Thread(target=self._finish, name="tracelet ending", daemon=True).start()
                self._await_ending(LIMIT - GRACE)
                _die()

    def _replace(self, lost: _Pipe) -> _Pipe | None:
        """Listen to another pipe in place of one that the program closed."""
        for _ in range(_ATTEMPTS):
            # An import fails if the program closed the file being imported.
            with contextlib.suppress(Exception):
                pipe = _make_pipe()
                _call_on_main_thread(partial(_exchange_wakeup, lost.number, pipe.number))
                self._pipe = pipe
                return pipe
            time.sleep(0.01)
        return None

    def _finish(self) -> None:
        try:
            self._end(LIMIT - GRACE)
        finally:
            self._ended = True

    # -- forks -------------------------------------------------------------------------------------------

    def _hold(self) -> None:
        """Block SIGTERM while a child is being forked.

        A signal that reached the child between the fork and :meth:`_release` would go to the inherited handler, and
        the interpreter of a new child forgets pending signals: the signal would be lost and the child never die.
        """
        self._held.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def _resume(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._held.mask)

    def _release(self) -> None:
        """Restore the signal in a forked child, which has no run to end.

        A handler in Python runs only between two bytecodes: a pool worker that blocks in a semaphore would neither
        run it nor die, and terminating the pool would hang forever.
        """
        if self._is_ours():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._pipe is not None:
            self._unlisten(self._pipe)
        self._renew()
        self._resume()

    def _unlisten(self, pipe: _Pipe) -> None:
        """Stop using the parent's pipe, which belongs to the parent's thread."""
        _exchange_wakeup(pipe.number, -1)
        pipe.receiving.close()
        pipe.sending.close()


def _make_pipe() -> _Pipe:
    receiving, low = map(Descriptor, os.pipe())
    sending = low
    with contextlib.suppress(OSError, ImportError):  # a low limit on open files
        import fcntl
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        highest = min(limit, _HIGHEST) if limit > 0 else _HIGHEST  # below 0 if there is none
        sending = Descriptor(fcntl.fcntl(low.fd, fcntl.F_DUPFD_CLOEXEC, highest - highest // 8))
    for end in (receiving, sending):
        os.set_blocking(end.fd, False)
    return _Pipe(receiving, sending, sending.fd)


def _wait_for_signals(pipe: _Pipe) -> bytes:
    """Return the numbers of received signals, none after a while.

    Raises:
        OSError: the program closed the pipe.
    """
    poll = select.poll()
    poll.register(pipe.receiving.fd, select.POLLIN)
    events = poll.poll(_LOOK * 1000)
    if pipe.sending.is_lost or pipe.receiving.is_lost:
        raise LostDescriptorError
    with contextlib.suppress(BlockingIOError):
        return pipe.receiving.call(os.read, 64) if events else b""
    return b""


def _exchange_wakeup(known: int, number: int) -> None:
    """Set the wakeup descriptor if it is the known one; otherwise it is the program's own. For the main thread only."""
    before = signal.set_wakeup_fd(number, warn_on_full_buffer=False)
    if before not in (-1, known, number):
        signal.set_wakeup_fd(before)


def _call_on_main_thread(function: Callable[[], None]) -> None:
    """Have the main thread call a function between two of its bytecodes."""
    import ctypes

    def call(_: int | None) -> int:
        with contextlib.suppress(Exception):
            function()
        return 0

    pending = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(call)
    _pending.append(pending)  # the interpreter keeps no reference to it
    ctypes.pythonapi.Py_AddPendingCall(pending, None)


def _die() -> None:
    """Die of SIGTERM on a thread other than the main one, where Python does not allow changing a disposition."""
    try:
        import ctypes

        ctypes.CDLL(None).signal(int(signal.SIGTERM), ctypes.c_void_p(None))  # SIG_DFL
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
    finally:
        os._exit(128 + signal.SIGTERM)  # as a shell reports it
