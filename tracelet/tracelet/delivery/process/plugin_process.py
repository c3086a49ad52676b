"""A plugin's process, as the run's process holds it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from tracelet.delivery.process.pipes import PipeReader, PipeWriter, from_json, pickled
from tracelet.errors import PluginError

log = logging.getLogger("tracelet.delivery")

#: What the new process runs: it takes over this one's sys.path, so that it finds what this one would.
_BOOT: Final = """\
import json, os, sys
def read(n):
    data = b""
    while len(data) < n:
        data += os.read(0, n - len(data)) or sys.exit()
    return data
sys.path[:] = json.loads(read(int.from_bytes(read(4), "little")))
from tracelet.delivery.process.child import main
main()
"""
_SILENCE_ALLOWED: Final = 15.0  # seconds of silence, beyond the longest call, after which it is taken to hang
_ENDING: Final = 3.0  # seconds to end in once the pipe is closed


class RemoteError(PluginError):
    """What went wrong in the plugin's process; ``traceback`` says where, as text."""

    def __init__(self, message: str, plugin: str, step: str, traceback: str) -> None:
        super().__init__(message, plugin=plugin, step=step)
        self.traceback = traceback


class ProcessGoneError(PluginError):
    """The plugin's process has ended, or does not answer."""


class PluginProcess:
    """A child process with one plugin in it, and the thread that listens to it.

    ``heard`` is called with every message that is no answer, ``gone`` once when the process has ended; both on the
    listening thread.
    """

    def __init__(
        self,
        name: str,
        heard: Callable[[Mapping[str, Any]], None],
        gone: Callable[[PluginProcess], None],
        longest: float,
    ) -> None:
        self.name = name
        self._heard = heard
        self._gone = gone
        self._silence = longest + _SILENCE_ALLOWED
        self._answers: dict[int, Mapping[str, Any] | None] = {}
        self._answered = threading.Condition(threading.RLock())
        self._number = 0
        self.ending = False
        self.ended = False
        self._process, down, up = self._spawn()
        self._sender, self._receiver = PipeWriter(down), PipeReader(up)
        self._sender.send(json.dumps(sys.path).encode())
        threading.Thread(target=self._listen, name=f"tracelet process {name}", daemon=True).start()

    def _spawn(self) -> tuple[subprocess.Popen[bytes], int, int]:
        """Start it, and return it with the handles to write to and to read from."""
        command = [sys.executable, "-c", _BOOT, "tracelet plugin", self.name]
        there_in, down = os.pipe()
        up, there_out = os.pipe()
        try:
            return subprocess.Popen(command, stdin=there_in, stdout=there_out), down, up
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
        """Have something done there, and return what it answers within so many seconds.

        Raises :class:`~tracelet.errors.PluginError` with what went wrong there, :class:`ProcessGoneError` when there
        is no answer.
        """
        end = time.monotonic() + within
        with self._answered:
            self._number += 1
            number = self._number
            self._answers[number] = None
        try:
            self._tell({"call": number, "what": what, **arguments})
            with self._answered:
                while (answer := self._answers[number]) is None:
                    left = end - time.monotonic()
                    if self.ended or left <= 0:
                        raise self._no_answer(what, within)
                    self._answered.wait(left)
        finally:
            del self._answers[number]
        return _value_of(answer)

    def tell(self, what: str, /, **arguments: Any) -> None:
        """Have something done there, without waiting for an answer. It does not matter if it is gone."""
        with contextlib.suppress(ProcessGoneError):
            self._tell({"what": what, **arguments})

    def _tell(self, message: Mapping[str, Any]) -> None:
        try:
            self._sender.send(pickled(message))
        except OSError as error:
            raise ProcessGoneError(
                f"plugin {self.name!r}: its process is gone ({error})", plugin=self.name
            ) from error

    def _no_answer(self, what: str, timeout: float) -> ProcessGoneError:
        why = self.how_it_ended() if self.ended else f"did not answer within {timeout:g} s"
        return ProcessGoneError(
            f"plugin {self.name!r}: {what}: its process {why}", plugin=self.name, step=what
        )

    def _listen(self) -> None:
        try:
            while (data := self._receiver.receive(self._silence)) is not None:
                self._take(from_json(data))
        except (OSError, ValueError) as error:  # it hangs as a whole, or something else writes to the pipe
            log.error("plugin %r: its process is ended, since %s", self.name, error)
            self._process.kill()
        try:
            self._process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._receiver.close()
        with self._answered:
            self.ended = True
            self._answered.notify_all()
        self._gone(self)

    def _take(self, message: Mapping[str, Any]) -> None:
        if "answer" not in message:
            self._heard(message)
            return
        with self._answered:
            if message["answer"] in self._answers:  # somebody still waits for it
                self._answers[message["answer"]] = message
                self._answered.notify_all()

    def how_it_ended(self) -> str:
        """Say how: with which exit status, or by which signal."""
        status = self._process.returncode
        if status is not None and status < 0:
            with contextlib.suppress(ValueError):
                return f"was ended by {signal.Signals(-status).name}"
        return f"ended with exit status {status}"

    def end(self, timeout: float = _ENDING) -> None:
        """End it: by closing the pipe, and if that does not do, by force."""
        self.ending = True
        self._sender.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _value_of(answer: Mapping[str, Any]) -> Any:
    if "error" in answer:
        raise RemoteError(**answer["error"])
    return answer.get("value")
