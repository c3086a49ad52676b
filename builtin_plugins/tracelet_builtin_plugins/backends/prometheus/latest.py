"""The latest value of each series, for what cannot take times: a textfile, and a Pushgateway."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tracelet_builtin_plugins.backends.prometheus.mapping import (
    Labels,
    SeriesKey,
    clean_value,
    info_key,
    key_of,
)
from tracelet_builtin_plugins.backends.prometheus.wire import exposition
from tracelet_builtin_plugins.http_client import HttpClient
from tracelet_hookspecs import MetricData

__all__ = ["Pushgateway", "Textfile"]

_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


class Latest:
    """Keeps the latest value of each series, and publishes all of them after each batch."""

    def __init__(self, labels_of: Callable[[SeriesKey], Labels]) -> None:
        self._labels_of = labels_of
        self._values: dict[Labels, float] = {}
        self.sent = 0
        self.left_out: Counter[str] = Counter()

    def store(self, points: Sequence[MetricData]) -> None:
        """Take over the latest values, and publish."""
        for point in points:
            self._values[self._labels_of(key_of(point))] = clean_value(point.value)
            if point.iteration is not None:
                self._values[self._labels_of(key_of(point, is_step=True))] = float(point.iteration)
        if points and points[-1].id:
            self._values[self._labels_of(info_key(points[-1].id[0]))] = 1.0
        self.publish(exposition(self._values).encode())
        self.sent += len(points)

    def publish(self, text: bytes) -> None:
        """Make the values visible."""
        raise NotImplementedError

    def end(self) -> None:
        """Release everything."""


class Textfile(Latest):
    """Replaces a file for node_exporter's textfile collector; a reader sees the old one or the new one, whole."""

    def __init__(self, path: Path, labels_of: Callable[[SeriesKey], Labels]) -> None:
        super().__init__(labels_of)
        self._path = path

    def publish(self, text: bytes) -> None:
        """Write a new file next to the old one, and move it there."""
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(part, flags, 0o644)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"plugins.prometheus.textfile: there is no folder {str(self._path.parent)!r}; create it"
            ) from None
        try:
            with open(fd, "wb") as file:
                os.fchmod(fd, 0o644)  # node_exporter runs as another user
                file.write(text)
            os.replace(part, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise


class Pushgateway(Latest):
    """Replaces the run's group in a Pushgateway, and deletes it at the end of the run."""

    def __init__(
        self, client: HttpClient, grouping: Mapping[str, str], labels_of: Callable[[SeriesKey], Labels]
    ) -> None:
        super().__init__(labels_of)
        self._client = client
        self._grouping = grouping
        base = client.path.partition("?")[0].rstrip("/")
        self._path = base + "/metrics" + "".join(_segment(key, value) for key, value in grouping.items())
        self.is_over = False

    def publish(self, text: bytes) -> None:
        """Replace the group."""
        self._client.request("PUT", text, {"Content-Type": _TEXT}, self._path)

    def end(self) -> None:
        """Delete the group if the run is over, so that nobody scrapes it for ever."""
        try:
            if self.is_over:
                self._client.request("DELETE", path=self._path)
        finally:
            self._client.close()


def _segment(key: str, value: str) -> str:
    """Return a label in the path of a group; a value with a slash, or an empty one, in base64."""
    if value and "/" not in value:
        return f"/{key}/{quote(value, safe='')}"
    import base64

    return f"/{key}@base64/{base64.urlsafe_b64encode(value.encode()).decode() or '='}"
