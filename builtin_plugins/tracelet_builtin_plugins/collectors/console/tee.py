"""The program that stands between the training program and its terminal, as a separate process.

It passes on what is printed at once, and keeps a transcript of it. It is a process of its own so that nothing printed
is lost when the training program is killed, and so that output of C libraries and child processes is included.

    python -I -S tee.py '{"channels": [...], "control": 5, "acknowledge": 6, ...}'
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import sys
import termios
import threading
import time
from collections import deque
from fcntl import ioctl
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

CHUNK: Final = 1 << 16
MOST_WAITING: Final = (
    16 << 20
)  # bytes that wait to be put into the transcript; beyond, the oldest are left out
PAUSE: Final = 0.1  # seconds between two states of the transcript


class Channel:
    """What the program writes to one stream: from the pipe or pseudoterminal it writes to, to where it shall appear."""

    def __init__(self, source: int, target: int, stream: str, terminal: bool) -> None:
        self.source, self.target, self.stream, self.is_terminal = source, target, stream, terminal
        os.set_blocking(source, False)
        if terminal:
            self.copy_size()

    def copy_size(self) -> None:
        """Make the pseudoterminal as large as the terminal."""
        try:
            ioctl(self.source, termios.TIOCSWINSZ, ioctl(self.target, termios.TIOCGWINSZ, b"\0" * 8))
        except OSError:
            self.is_terminal = False  # it is gone

    def read(self) -> bytes | None:
        """Return what is there; nothing, if nothing is there yet; ``None`` at the end."""
        try:
            return os.read(self.source, CHUNK) or None
        except BlockingIOError:
            return b""
        except OSError:  # a pseudoterminal that nobody has open any more
            return None


class Forwarder:
    """Passes on what is printed, and hands copies to the recorder."""

    def __init__(self, channels: list[Channel], control: int, acknowledge: int, recorder: Recorder) -> None:
        self._channels, self._recorder = channels, recorder
        self._control, self._acknowledge = control, acknowledge
        self._selector = selectors.DefaultSelector()
        for channel in channels:
            self._selector.register(channel.source, selectors.EVENT_READ, channel)
        self._selector.register(control, selectors.EVENT_READ, None)
        signal.signal(signal.SIGWINCH, self._resize)

    def _resize(self, *_: object) -> None:
        for channel in self._channels:
            if channel.is_terminal:
                channel.copy_size()

    def run(self) -> None:
        """Work until nobody can write to any of the channels."""
        while any(key.data for key in self._selector.get_map().values()):
            for key, _ in self._selector.select():
                if key.data is None:
                    self._answer()
                elif not self._pass_on(key.data):
                    self._selector.unregister(key.data.source)

    def _pass_on(self, channel: Channel) -> bool:
        """Pass on what is there, and say whether there may be more."""
        data = channel.read()
        if data:
            write_whole(channel.target, data)
            self._recorder.add(channel.stream, data)
        return data is not None

    def _answer(self) -> None:
        """The training program asks whether all that it printed has been passed on and recorded."""
        if not os.read(self._control, CHUNK):
            self._selector.unregister(self._control)  # it has ended; its children may still print
            return
        for channel in self._channels:
            while channel.source in self._selector.get_map() and (data := channel.read()):
                write_whole(channel.target, data)
                self._recorder.add(channel.stream, data)
        self._recorder.settle()
        os.write(self._acknowledge, b".")


class Recorder(threading.Thread):
    """Turns what was printed into the lines of a transcript."""

    def __init__(self, transcript: Any, screens: dict[str, Any], mask: Any) -> None:
        super().__init__(daemon=True)
        self._transcript, self._screens, self._mask = transcript, screens, mask
        self._waiting: deque[tuple[float, str, bytes]] = deque()
        self._size = self._left_out = 0
        self._changed = threading.Condition()
        self._is_idle = True
        self._is_over = False

    def add(self, stream: str, data: bytes) -> None:
        """Take what was printed. Never waits."""
        with self._changed:
            self._waiting.append((time.time(), stream, data))
            self._size += len(data)
            while self._size > MOST_WAITING:
                lost = len(self._waiting.popleft()[2])
                self._size -= lost
                self._left_out += lost
            self._is_idle = False
            self._changed.notify_all()

    def settle(self, *, over: bool = False) -> None:
        """Wait until everything that was added is in the transcript."""
        with self._changed:
            self._is_over = over
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_idle or not self.is_alive(), timeout=10)

    def run(self) -> None:
        """Work until the end."""
        while not self._is_over:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._is_over)
            self._record()
            if not self._is_over:
                time.sleep(PAUSE if not self._is_idle else 0)
        self._record(final=True)

    def _record(self, *, final: bool = False) -> None:
        with self._changed:
            taken, self._waiting = self._waiting, deque()
            left_out, self._size, self._left_out = self._left_out, 0, 0
        lines: list[bytes] = []
        if left_out:
            text = f"... {left_out} bytes are not recorded: they came too fast"
            lines.append(self._line("t", (time.time(), text)))
        for printed, stream, data in taken:
            lines += [self._line(stream, line) for line in self._screens[stream].feed(data, printed)]
        live: list[bytes] = []
        for stream, screen in self._screens.items():
            rest = screen.finish() if final else screen.live()
            (lines if final else live).extend(self._line(stream, line) for line in rest)
        self._transcript.write(lines, live)
        with self._changed:
            self._is_idle = not self._waiting
            self._changed.notify_all()

    def _line(self, stream: str, line: tuple[float, str]) -> bytes:
        return f"{line[0]:.3f}\t{stream}\t{self._mask(line[1])}\n".encode("utf-8", "backslashreplace")


def write_whole(fd: int, data: bytes) -> None:
    """Write all of the data, wherever the descriptor leads."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:  # the terminal was made non-blocking by somebody
            selector = selectors.DefaultSelector()
            selector.register(fd, selectors.EVENT_WRITE)
            selector.select()


def main() -> None:
    """Run with the arguments as JSON. Exits as soon as one of the targets takes nothing more."""
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGTSTP,
        signal.SIGTTOU,
    ):
        signal.signal(number, signal.SIG_IGN)
    given = json.loads(sys.argv[1])
    here = Path(__file__).parent
    sys.path[:0] = [str(here)]
    sys.path.append(given["contract"])
    from screen import Screen  # type: ignore[import-not-found]
    from transcript import Transcript  # type: ignore[import-not-found]

    from tracelet_hookspecs import mask_text

    sys.setswitchinterval(0.001)  # passing on comes first
    channels = [Channel(*each) for each in given["channels"]]
    transcript = Transcript(given["folder"], given["name"], given["limit"])
    mask = lru_cache(maxsize=1024)(mask_text)  # the last rows are written again and again
    recorder = Recorder(transcript, {channel.stream: Screen() for channel in channels}, mask)
    recorder.start()
    os.write(given["acknowledge"], b"+")
    try:
        Forwarder(channels, given["control"], given["acknowledge"], recorder).run()
    finally:
        recorder.settle(over=True)
        recorder.join(10)


if __name__ == "__main__":
    main()
