"""A fork waits until no thread of tracelet's is in the middle of an import.

The lock of a module that another thread is importing stays locked in the child forever, and the module half made.
Whoever imports it there waits without end: the program, or a run of the child's own.
"""

from __future__ import annotations

import functools
import os
import threading
import time
import weakref
from types import FrameType
from typing import Final

from tracelet.host.frames import current_frames

_LONGEST: Final = 5.0  # seconds: an import that hangs must not keep the program from forking
_MACHINERY: Final = "<frozen importlib._bootstrap>"  # on the stack of a thread that holds a module's lock

_hanging: weakref.WeakSet[threading.Thread] = weakref.WeakSet()  # a fork has waited for these in vain


@functools.cache
def install() -> None:
    """Have every fork wait from now on. A second call does nothing."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_await_imports)


def _await_imports() -> None:
    end = time.monotonic() + _LONGEST
    while importing := _importing_threads():
        if time.monotonic() >= end:
            _hanging.update(importing)
            return
        time.sleep(0.001)


def _importing_threads() -> list[threading.Thread]:
    here, frames = threading.get_ident(), current_frames()
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith("tracelet ")
        and thread.ident not in (here, None)
        and thread not in _hanging
        and _is_importing(frames.get(thread.ident or 0))
    ]


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == _MACHINERY:
            return True
        frame = frame.f_back
    return False
