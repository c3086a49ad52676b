"""The frames of all threads, looked up without the risk of a deadlock."""

from __future__ import annotations

import gc
import sys
from types import FrameType


def current_frames() -> dict[int, FrameType]:
    """Return the frame of each thread by its ident, as ``sys._current_frames`` does.

    Before Python 3.12, that function can run the garbage collector while it holds a lock of the interpreter. What is
    collected may release the GIL; if another thread ends at that moment, it takes the GIL and waits for the lock, and
    the whole program hangs. So nothing is collected meanwhile. See https://github.com/python/cpython/issues/106883.
    """
    if sys.version_info >= (3, 12) or not gc.isenabled():
        return sys._current_frames()
    gc.disable()
    try:
        return sys._current_frames()
    finally:
        gc.enable()
