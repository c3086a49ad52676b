"""The process of an isolated plugin, seen from the run's process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from tracelet.delivery.pipeline.failures import Fault
from tracelet.delivery.process.pipes import PipeReader, PipeWriter, decode_message, pickle_message
from tracelet.errors import PluginError
from tracelet.layout import SHIELD
from tracelet.logs import get_logger

log = get_logger("tracelet.delivery")

#: The program of the new process. Before it imports anything, it takes the current folder off the path, which
#: ``python -c`` puts there (option -P does the same, from Python 3.11 on): a json.py in the folder where the training
#: was started must not run. Then it takes over the path of this process, so that it finds what this one would find.
_BOOT: Final = """\
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import json, os
def read(n):
    data = b""
    while len(data) < n:
        data += os.read(0, n - len(data)) or sys.exit()
    return data
sys.path[:] = json.loads(read(int.from_bytes(read(4), "little")))
from tracelet.delivery.process.child import main
main()
"""
_SILENCE_ALLOWED: Final = 15.0  # seconds of silence, beyond the longest call, after which it counts as hung
_ENDING: Final = 3.0  # seconds to end in after the pipe is closed


class RemoteError(PluginError):
    """A failure in the plugin's process. ``traceback`` is its traceback as text, ``fault`` what it means."""

    def __init__(
        self, message: str, plugin: str, step: str, traceback: str, fault: str | None = None
    ) -> None:
        super().__init__(message, plugin=plugin, step=step)
        self.traceback = traceback
        self.fault = fault

    @property
    def is_outage(self) -> bool:
        """Whether a service could not be reached."""
        return self.fault == Fault.PASSING.value


class ProcessGoneError(PluginError):
    """The plugin's process has ended, or does not answer."""


class PluginProcess:
    """A child process with one plugin in it, and the thread that receives its messages.

    ``on_message`` is called with every message that is not an answer, ``on_end`` once when the process has ended; both
    on the receiving thread.
    """

    def __init__(
        self,
        name: str,
        on_message: Callable[[Mapping[str, Any]], None],
        on_end: Callable[[PluginProcess], None],
        longest_call: float,
    ) -> None:
        self.name = name
        self._on_message = on_message
        self._on_end = on_end
        self._silence = longest_call + _SILENCE_ALLOWED
        self._answers: dict[int, Mapping[str, Any] | None] = {}
        self._answered = threading.Condition(threading.RLock())
        self._number = 0
        self.ending = False
        self.ended = False
        self._process, down, up = self._spawn()
        self._writer, self._reader = PipeWriter(down), PipeReader(up)
        self._writer.send(json.dumps(_absolute_path()).encode())
        threading.Thread(target=self._receive, name=f"tracelet process {name}", daemon=True).start()

    def _spawn(self) -> tuple[subprocess.Popen[bytes], int, int]:
        """Start it, and return it with the descriptors to write to and to read from."""
        command = [sys.executable, "-c", _BOOT, "tracelet plugin", self.name]
        there_in, down = os.pipe()
        up, there_out = os.pipe()
        try:
            # Under a shield, the drop-ins take the place of packages in the program, not in this process.
            environ = {name: value for name, value in os.environ.items() if name != SHIELD}
            return subprocess.Popen(command, stdin=there_in, stdout=there_out, env=environ), down, up
        except OSError:
            os.close(down)
            os.close(up)
            raise
        finally:
            os.close(there_in)
            os.close(there_out)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def call(self, what: str, within: float, /, **arguments: Any) -> Any:
        """Send a request and return the answer, which must come ``within`` seconds.

        Raises :class:`~tracelet.errors.PluginError` for a failure there, :class:`ProcessGoneError` without an answer.
        """
        end = time.monotonic() + within
        with self._answered:
            self._number += 1
            number = self._number
            self._answers[number] = None
        try:
            self._send({"call": number, "what": what, **arguments})
            with self._answered:
                while (answer := self._answers[number]) is None:
                    left = end - time.monotonic()
                    if self.ended or left <= 0:
                        raise self._no_answer(what, within)
                    self._answered.wait(left)
        finally:
            del self._answers[number]
        return _value_of(answer)

    def notify(self, what: str, /, **arguments: Any) -> None:
        """Send a request without waiting for an answer. If the process is gone, nothing happens."""
        with contextlib.suppress(ProcessGoneError):
            self._send({"what": what, **arguments})

    def _send(self, message: Mapping[str, Any]) -> None:
        try:
            self._writer.send(pickle_message(message))
        except OSError as error:
            raise ProcessGoneError(
                f"plugin {self.name!r}: its process is gone ({error})", plugin=self.name
            ) from error

    def _no_answer(self, what: str, timeout: float) -> ProcessGoneError:
        why = self.how_it_ended() if self.ended else f"did not answer within {timeout:g} s"
        return ProcessGoneError(
            f"plugin {self.name!r}: {what}: its process {why}", plugin=self.name, step=what
        )

    def _receive(self) -> None:
        try:
            while (data := self._reader.receive(self._silence)) is not None:
                self._handle(decode_message(data))
        except (OSError, ValueError, LookupError, TypeError) as error:
            # The process hangs as a whole, something else writes to the pipe, or the program closed the pipe.
            log.error("plugin %r: its process is ended (%s)", self.name, error)
            self._process.kill()
        try:
            self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.close()
        with self._answered:
            self.ended = True
            self._answered.notify_all()
        self._on_end(self)

    def _handle(self, message: Mapping[str, Any]) -> None:
        if "answer" not in message:
            self._on_message(message)
            return
        with self._answered:
            if message["answer"] in self._answers:  # a caller is still waiting for it
                self._answers[message["answer"]] = message
                self._answered.notify_all()

    def how_it_ended(self) -> str:
        """Return its exit status, or the signal that ended it, in words."""
        status = self._process.returncode
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-status).name}"
        return f"ended with exit status {status}"

    def end(self, timeout: float = _ENDING) -> None:
        """End it by closing the pipe, or by force if it has not ended after ``timeout`` seconds."""
        self.ending = True
        self._writer.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _absolute_path() -> list[str]:
    """Return ``sys.path`` with absolute entries, because the other process may get another current folder."""
    with contextlib.suppress(OSError):
        here = os.getcwd()
        return [entry or here for entry in sys.path]
    return [entry for entry in sys.path if entry]


def _value_of(answer: Mapping[str, Any]) -> Any:
    if "error" in answer:
        raise RemoteError(**answer["error"])
    return answer.get("value")
