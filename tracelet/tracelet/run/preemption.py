"""SIGTERM, which preempts programs: their runs end first, within two seconds, whatever the program is doing.

A handler in Python runs on the main thread, between two bytecodes. A main thread that is deep in C (a collective that
waits for a lost peer, a long matrix product) never gets there. So a thread receives the signal too, through the wakeup
descriptor. If the main thread has not begun within a moment, that thread ends the runs in its place.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from tracelet.run import threads

LIMIT: Final = 1.5  # seconds in all: preemption allows few, and two are promised
GRACE: Final = 0.3  # of these, how long the main thread has to begin


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
        self._pipe: tuple[int, int] | None = (
            None  # read by the thread, written by the interpreter's own handler
        )

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
        assert self._pipe is not None
        before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        if before not in (-1, self._pipe[1]):
            signal.set_wakeup_fd(before)

    def _start_thread(self) -> bool:
        if threads.are_green():  # it would wait for the pipe in C, and all others with it
            return False
        pipe = os.pipe()
        os.set_blocking(pipe[1], False)
        thread = threading.Thread(target=self._serve, args=pipe[:1], name="tracelet signals", daemon=True)
        if threads.try_start(thread):
            self._pipe = pipe
            return True
        for descriptor in pipe:
            os.close(descriptor)
        return False

    def _serve(self, descriptor: int) -> None:
        while numbers := _read(descriptor):
            if signal.SIGTERM not in numbers:
                continue
            time.sleep(GRACE)
            if self._is_ours() and self._begin():
                # On another thread: a lock that the hanging main thread holds must not block this one.
                threading.Thread(target=self._finish, name="tracelet ending", daemon=True).start()
                self._await_ending(LIMIT - GRACE)
                _die()

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
            self._unlisten(*self._pipe)
        self._renew()
        self._resume()

    def _unlisten(self, receiving: int, sending: int) -> None:
        """Stop using the parent's pipe, which belongs to the parent's thread."""
        before = signal.set_wakeup_fd(-1)
        if before not in (-1, sending):
            signal.set_wakeup_fd(before)
        os.close(receiving)
        os.close(sending)


def _read(descriptor: int) -> bytes:
    """Return the numbers of received signals; empty once the program has closed descriptors it did not open."""
    try:
        return os.read(descriptor, 64)
    except OSError:
        return b""


def _die() -> None:
    """Die of SIGTERM on a thread other than the main one, where Python does not allow changing a disposition."""
    try:
        import ctypes

        ctypes.CDLL(None).signal(int(signal.SIGTERM), ctypes.c_void_p(None))  # SIG_DFL
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
    finally:
        os._exit(128 + signal.SIGTERM)  # as a shell reports it
