"""prometheus by remote write, compared with a plain loop that sends the same samples in requests of the same size.

There is no client of Prometheus' own for remote write in Python.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cramjam
from bench_backends import METRICS, Case

from tracelet_builtin_plugins.backends.prometheus.wire import encode_labels, encode_request
from tracelet_builtin_plugins.http_client import HttpClient

sys.path.append(str(Path(__file__).parents[2] / "backends"))
from servers import Prometheus

POINTS = 8192  # in a request
HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}


@contextmanager
def open_case(folder: Path) -> Iterator[Case]:
    """Start a server."""
    server = Prometheus(folder / "prometheus")
    try:
        server.start()
        url = f"{server.url}/api/v1/write"
        client = HttpClient("bench", url, {}, 30)
        rounds = [0]

        def store(points: list[tuple[str, float, int, float]]) -> None:
            rounds[0] += 1
            first = int(
                points[0][3] * 1000
            )  # points are a millisecond apart; rounding each could make two equal
            for start in range(0, len(points), POINTS):
                series: dict[str, list[tuple[int, float]]] = {}
                for name, value, step, _ in points[start : start + POINTS]:
                    series.setdefault(name, []).append((first + step, value))
                    series.setdefault(f"{name}_step", []).append((first + step, float(step)))
                body = encode_request(
                    (encode_labels((("__name__", name), ("round", str(rounds[0])))), samples)
                    for name, samples in series.items()
                )
                client.request("POST", bytes(cramjam.snappy.compress_raw(body)), HEADERS)

        def count() -> int:
            now = time.time() + 1800  # of points recorded within a millisecond, times are moved ahead
            names = [f'metric{at}{{run!=""}}' for at in range(METRICS)]
            found = [server.query(f"sum(count_over_time({name}[1h]))", now) for name in names]
            return sum(int(float(one[0]["value"][1])) for one in found if one)

        yield Case("prometheus", {"remote_write_url": url}, store, count)
    finally:
        server.close()
