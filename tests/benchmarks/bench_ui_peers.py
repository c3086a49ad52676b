"""Pages beside each other: ``bench_ui_peers.py --mlflow PYTHON --tensorboard PYTHON --trackio PYTHON --aim PYTHON``.

Leave out the trackers that you don't have. Each records the same runs in its own environment (``trackers/feed.py``) and
serves them; Chromium opens the page that shows their curves. Printed are the time from the request to the frame after
the first chart is there (a warm server: the best of three further visits, by a browser without a cache), the bytes that
were sent, the memory of the server's processes (the proportional share, as the kernel counts it), and the memory of the
page's JavaScript. Telemetry is off, and what a page requests from other hosts fails at once. Needs Playwright, Chromium
and the extra ``ui``.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

from bench_ui import CHROMIUM, NEXT_FRAME, QUIET
from playwright.sync_api import Browser, sync_playwright

FEED = Path(__file__).parent / "trackers" / "feed.py"
PATIENCE = 120  # seconds
LOCAL = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"  # else a page waits for hosts that it can't reach
AIM_QUERY = "metric.name.startswith('train/')"
PRIVATE = {"BROWSER": "true", "DO_NOT_TRACK": "true"}  # open nothing, and report nothing


class Peer(NamedTuple):
    """How a tracker serves a folder, the page with the curves, and what in it is a chart."""

    command: list[str]  # of its environment; {folder} and {port} are filled in
    environ: dict[str, str]
    page: str
    chart: str  # {runs} is filled in


def aim_state(**state: object) -> str:
    """Return a part of the state of Aim's page as its address holds it."""
    return "O-" + base64.urlsafe_b64encode(json.dumps(state).encode()).decode().rstrip("=")


PEERS = {
    "tracelet": Peer(
        ["python", "-m", "tracelet", "ui", "{folder}", "--no-open", "--port", "{port}"],
        {},
        "/charts",
        ".card[data-ready]",
    ),
    "mlflow": Peer(
        [
            *("mlflow", "server", "--workers", "1", "--port", "{port}"),
            *("--backend-store-uri", "sqlite:///{folder}/mlflow.db"),
        ],
        {},
        "/#/experiments/0/runs?compareRunsMode=CHART&workflowType=machine_learning",
        ".js-plotly-plot .scatterlayer path, .js-plotly-plot canvas",
    ),
    "tensorboard": Peer(
        ["tensorboard", "--logdir", "{folder}", "--port", "{port}"], {}, "/#timeseries", "line-chart canvas"
    ),
    "trackio": Peer(
        ["trackio", "show", "--project", "bench"],
        {"TRACKIO_DIR": "{folder}", "GRADIO_SERVER_PORT": "{port}", "GRADIO_ANALYTICS_ENABLED": "False"},
        "/?project=bench",
        ".plot canvas.marks, .plot svg.marks",
    ),
    "aim": Peer(
        ["aim", "up", "--repo", "{folder}", "--host", "127.0.0.1", "--port", "{port}", "--workers", "1"],
        {},
        "/metrics"
        f"?select={aim_state(query=AIM_QUERY, options=[], advancedMode=False)}"
        f"&grouping={aim_state(chart=['name'], color=['run.hash'])}",
        ".Lines > .Line:nth-child({runs})",  # a curve of each run: Aim leaves out runs not yet in its index
    ),
}


@contextmanager
def serving(peer: Peer, python: Path, folder: Path) -> Iterator[tuple[int, str]]:
    """Serve a folder; yield the process and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        values = {"folder": str(folder), "port": str(free.getsockname()[1])}
    program, *words = (word.format(**values) for word in peer.command)
    environ = {key: value.format(**values) for key, value in peer.environ.items()}
    process = subprocess.Popen(
        [python if program == "python" else python.with_name(program), *words],
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{values['port']}"
    try:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), urlopen(address, timeout=5):
                break
            time.sleep(0.2)
        yield process.pid, address
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, sign)
            time.sleep(0.5)
        process.wait(10)


def memory_of(leader: int) -> float:
    """Return the memory of a session's processes in MB, shared pages divided among those who share them."""
    total = 0
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, TypeError):
            if os.getsid(int(entry.name)) == leader:
                found = re.search(r"^Pss:\s+(\d+)", (entry / "smaps_rollup").read_text(), re.M)
                total += int(found[1]) if found else 0
    return total / 1e3


def visit(browser: Browser, address: str, chart: str) -> dict[str, float]:
    """Open a page without a cache, and return what it took until the first chart, and what it holds then."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    session = context.new_cdp_session(page)
    sent = [0.0]

    def count(event: dict[str, Any]) -> None:
        sent[0] += event["encodedDataLength"]

    session.on("Network.loadingFinished", count)
    session.send("Network.enable")
    session.send("Performance.enable")
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.locator(chart).first.wait_for(state="attached", timeout=PATIENCE * 1000)
    page.evaluate(NEXT_FRAME)
    took = (time.perf_counter() - began) * 1e3
    page.wait_for_timeout(3000)  # until the other charts on the screen are drawn
    known = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    context.close()
    return {"chart_ms": took, "sent_kb": sent[0] / 1e3, "tab_mb": known["JSHeapUsedSize"] / 1e6}


def measure(browser: Browser, name: str, python: Path, folder: Path, size: list[str]) -> dict[str, float]:
    """Record the runs and look at them."""
    subprocess.run([python, FEED, name, folder, *size], check=True, capture_output=True, cwd=folder.parent)
    peer = PEERS[name]
    chart = peer.chart.format(runs=size[0])
    with serving(peer, python, folder) as (leader, address):
        page = address + peer.page
        if name == "tracelet":
            import tracelet

            runs = tracelet.open_store(folder).runs()
            page += "?" + "&".join(f"run={record.id}" for record in runs)
        first = visit(browser, page, chart)
        looks = [visit(browser, page, chart) for _ in range(3)]
        best = min(looks, key=lambda look: look["chart_ms"])
        return {"first_ms": first["chart_ms"], **best, "server_mb": memory_of(leader)}


def main() -> None:
    """Compare the pages whose environments were given."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in PEERS:
        if name != "tracelet":
            parser.add_argument(f"--{name}", type=Path, metavar="PYTHON")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--metrics", type=int, default=10)
    parser.add_argument("--points", type=int, default=1000)
    given = parser.parse_args()
    size = [str(given.runs), str(given.metrics), str(given.points)]
    os.environ.update(PRIVATE)
    pythons = {name: getattr(given, name, None) for name in PEERS} | {"tracelet": Path(sys.executable)}
    print(f"{given.runs} runs of {given.metrics} metrics with {given.points} points each")
    print("| | first visit, ms | first chart, ms | sent, kB | server, MB | tab, MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as root, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or CHROMIUM, args=[*QUIET, LOCAL]
        )
        for name, python in pythons.items():
            if python is None:
                continue
            took = measure(browser, name, python, Path(root) / name, size)
            keys = ("first_ms", "chart_ms", "sent_kb", "server_mb", "tab_mb")
            print(f"| {name} | " + " | ".join(f"{took[key]:.0f}" for key in keys) + " |", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
