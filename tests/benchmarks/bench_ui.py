"""How quickly the page shows runs: ``python tests/benchmarks/bench_ui.py [--part NAME] [--runs N] [--points N] ...``.

Needs the extra ``ui``, Playwright and Chromium; the part ``libraries`` also the packages ``plotly`` and
``uplot-python``, whose charts are drawn beside our own from the same numbers. Times are taken from the request (or the
key) to the frame after the result was drawn. Memory is that of the server's process, as the kernel counts it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import math
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

from playwright.sync_api import Page, sync_playwright

from tracelet.journal import Writer

CHROMIUM = shutil.which("chromium") or "chromium"
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
STATIC = Path(__file__).parents[2] / "tracelet" / "tracelet" / "ui" / "static"
#: Playwright's own waiting looks every half a second in the end.
WHEN_THERE = """(selector) => new Promise((done) => {
    const look = () => (document.querySelector(selector) ? setTimeout(done) : requestAnimationFrame(look));
    requestAnimationFrame(look);
})"""
NEXT_FRAME = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"


def tell(what: str, value: float, unit: str = "ms", goal: str = "") -> None:
    """Print one figure, and what it should be."""
    print(f"  {what:<62} {value:10.1f} {unit}{f'   goal: {goal}' if goal else ''}", flush=True)


# --- stores ----------------------------------------------------------------------------------------------------------


def record_many(data: Path, runs: int) -> None:
    """Record many small runs with 50 metrics each."""
    chance = random.Random(1)
    for number in range(runs):
        id = f"run-{number:06d}"
        with Writer(data / "runs" / id, {"run": {"id": id, "name": id, "project": "bench"}}) as writer:
            writer.event(
                "params", {"params": {"lr": 10 ** chance.uniform(-5, -1), "depth": chance.randint(2, 9)}}
            )
            writer.row({f"group{place // 10}/metric{place}": chance.random() for place in range(50)}, 0)
            writer.close("finished")


def record_wide(data: Path, metrics: int, points: int) -> None:
    """Record a run with many metrics."""
    names = [f"group{place // 20:02d}/metric{place:03d}" for place in range(metrics)]
    with Writer(
        data / "runs" / "wide", {"run": {"id": "wide", "name": "wide", "project": "bench"}}
    ) as writer:
        for step in range(points):
            base = math.exp(-step / points) + 0.05 * math.sin(step)
            writer.row(dict.fromkeys(names, base), step)
        writer.close("finished")


def record_long(data: Path, points: int) -> None:
    """Record a run with one long metric."""
    with Writer(
        data / "runs" / "long", {"run": {"id": "long", "name": "long", "project": "bench"}}
    ) as writer:
        for step in range(points):
            writer.point("loss", (step * 2654435761 % 1000) / 1000 + 1 / (1 + step / 1000), step)
        writer.close("finished")


# --- server and browser --------------------------------------------------------------------------------------------


class Server:
    """``tracelet ui`` of a data folder."""

    def __init__(self, data: Path) -> None:
        command = [sys.executable, "-m", "tracelet", "ui", str(data), "--no-open", "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found is not None
        self.address = found[0].rstrip("/")

    def get(self, path: str) -> float:
        """Request something, and return the milliseconds that it took."""
        began = time.perf_counter()
        with urlopen(f"{self.address}/api/v1/{path}", timeout=600) as answer:
            answer.read()
        return (time.perf_counter() - began) * 1e3

    def share_of_core(self, seconds: float) -> float:
        """Return the CPU time of the process during some seconds, divided by them."""

        def ticks() -> int:
            words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            return int(words[11]) + int(words[12])

        before, began = ticks(), time.monotonic()
        time.sleep(seconds)
        return (ticks() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)

    def memory(self, field: str) -> float:
        """Return a figure of the process's memory in MB: ``VmRSS`` now, ``VmHWM`` at most."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"{field}:\s+(\d+)", text)
        assert found is not None
        return int(found[1]) / 1e3


@contextmanager
def serving(data: Path) -> Iterator[tuple[Server, Page]]:
    """Serve a data folder, and open an empty page in Chromium."""
    server = Server(data)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
            yield server, browser.new_page(viewport={"width": 1280, "height": 800})
            browser.close()
        tell("server: memory now", server.memory("VmRSS"), "MB", "200")
        tell("server: memory at most", server.memory("VmHWM"), "MB")
    finally:
        server.process.terminate()
        server.process.wait(30)


def open_timed(page: Page, address: str, ready: str) -> float:
    """Open an address, and return the milliseconds until something is there and drawn."""
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.evaluate(WHEN_THERE, ready)
    return (time.perf_counter() - began) * 1e3


def best_of(times: int, act: Any) -> float:
    """Return the least of several figures: a machine is only ever slowed down by others."""
    return min(act() for _ in range(times))


# --- parts ---------------------------------------------------------------------------------------------------------


def bench_table(data: Path, runs: int) -> None:
    """The table of many runs."""
    record_many(data, runs)
    print(f"{runs} runs of 50 metrics")
    with serving(data) as (server, page):
        tell("index built (once)", server.get("runs?limit=1"))
        rows = "table.runs tr[data-run]"
        tell("table on screen", best_of(3, lambda: open_timed(page, server.address, rows)), goal="1000")
        tell(
            "filter: answer",
            best_of(3, lambda: server.get("runs?where=params.lr%3C0.001&limit=100")),
            goal="200",
        )
        tell(
            "sort by a metric: answer",
            best_of(3, lambda: server.get("runs?sort=metrics.group0/metric1&limit=100")),
        )
        tell(
            "filter: from the last key to the screen, 60 ms of it waiting",
            best_of(3, lambda: type_filter(page)),
        )
        tell("longest task while scrolling", longest_task(page, ".tablewrap", 40), goal="200")


def type_filter(page: Page) -> float:
    """Type a filter, and return the milliseconds until the table shows another number of runs."""
    script = """(text) => new Promise(done => {
        const input = document.querySelector("input[type=search]");
        const status = document.querySelector(".controls [role=status]");
        const began = performance.now();
        new MutationObserver((_, observer) => {
            observer.disconnect();
            requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
        }).observe(status, { childList: true, characterData: true, subtree: true });
        input.value = text;
        input.dispatchEvent(new Event("input"));
    })"""
    return float(page.evaluate(script, f"params.lr < {random.uniform(0.0001, 0.01)}"))


def longest_task(page: Page, scroller: str, moves: int) -> float:
    """Scroll, and return the milliseconds of the longest task of the page meanwhile."""
    script = """async ([selector, moves]) => {
        const scroller = document.querySelector(selector) ?? document.scrollingElement;
        let longest = 0;
        const observer = new PerformanceObserver(list => {
            for (const one of list.getEntries()) longest = Math.max(longest, one.duration);
        });
        observer.observe({ entryTypes: ["longtask"] });
        for (let i = 0; i < moves; i++) {
            scroller.scrollTop += 400;
            await new Promise(done => setTimeout(done, 60));
        }
        return longest;
    }"""
    return float(page.evaluate(script, [scroller, moves]))


def bench_wide(data: Path, metrics: int, points: int) -> None:
    """The charts of a run with many metrics."""
    record_wide(data, metrics, points)
    print(f"a run of {metrics} metrics with {points} points each")
    with serving(data) as (server, page):
        tell("index built (once)", server.get("runs?limit=1"))
        open_timed(page, server.address, "table.runs tr[data-run]")
        address = f"{server.address}/run/wide?tab=charts"
        tell("first charts, never read before", open_timed(page, address, ".card[data-ready]"))
        tell(
            "first charts, read before",
            best_of(3, lambda: open_timed(page, address, ".card[data-ready]")),
            goal="1000",
        )
        began = time.perf_counter()
        while not list((data / "index").glob("outlines/*.outline")):
            time.sleep(0.1)
        tell("prepared in the background, in addition", (time.perf_counter() - began) * 1e3)
    with serving(data) as (server, page):
        open_timed(page, server.address, "table.runs tr[data-run]")  # where people come from
        address = f"{server.address}/run/wide?tab=charts"
        tell(
            "first charts, prepared, from the table of a new server",
            open_timed(page, address, ".card[data-ready]"),
            goal="1000",
        )
        tell("longest task while scrolling", longest_task(page, "html", 60), goal="200")


def bench_long(data: Path, points: int) -> None:
    """Zooming into a long series."""
    record_long(data, points)
    print(f"a series of {points} points")
    with serving(data) as (server, _):
        tell("index built (once)", server.get("runs?limit=1"))
        series = "series?run=long&name=loss&pixels=1200"
        tell("series: first answer", server.get(series))
        tell("series: whole, next answer", best_of(3, lambda: server.get(series)))
        for share in (2, 10, 1000):
            part = f"{series}&from={points // 3}&to={points // 3 + points // share}"
            tell(f"series: 1/{share} of it", best_of(5, lambda part=part: server.get(part)), goal="150")


RECORD_LIVE = """
import sys, time
from pathlib import Path
from tracelet.journal import Writer
data, runs = Path(sys.argv[1]), int(sys.argv[2])
writers = []
for number in range(runs):
    id = f"live-{number:03d}"
    writers.append(Writer(data / "runs" / id, {"run": {"id": id, "name": id, "project": "bench"}}))
names = [f"metric{place}" for place in range(10)]
step = 0
while True:
    began = time.monotonic()
    for writer in writers:
        writer.row(dict.fromkeys(names, float(step)), step)
    if not step:
        print("ready", flush=True)
    step += 1
    time.sleep(max(0.0, 0.5 - (time.monotonic() - began)))
"""


def bench_live(data: Path, runs: int, seconds: float = 20.0) -> None:
    """What it costs the server to send the new points of many runs, ten metrics twice a second each."""
    program = [sys.executable, "-c", RECORD_LIVE, str(data), str(runs)]
    recorder = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    assert recorder.stdout is not None
    recorder.stdout.readline()
    print(f"{runs} runs that are recording, all watched at once")
    server = Server(data)
    try:
        ids = [f"live-{number:03d}" for number in range(runs)]
        cursors: dict[str, Any] = {id: {} for id in ids}
        query = "&".join(f"name=metric{place}" for place in range(10))
        for id in ids:
            with urlopen(f"{server.address}/api/v1/series?run={id}&{query}", timeout=60) as answer:
                cursors[id] = {one["name"]: one["cursor"] for one in json.load(answer)["series"]}
        tell("idle: share of a core", 100 * server.share_of_core(5.0), "%")
        watcher = Watcher(f"{server.address}/api/v1/live?cursors={quote(json.dumps(cursors))}")
        time.sleep(2.0)
        before = watcher.points
        share = server.share_of_core(seconds)
        received = watcher.points - before
        tell("watched: share of a core", 100 * share, "%", "50")
        tell("watched: points per second that arrived", received / seconds, "/s", f"{20 * runs}")
        tell("server: memory now", server.memory("VmRSS"), "MB", "200")
        watcher.close()
        time.sleep(2.0)
        tell("the tab was closed: share of a core", 100 * server.share_of_core(5.0), "%")
    finally:
        for process in (recorder, server.process):
            process.terminate()
            process.wait(30)


class Watcher:
    """Reads a stream of events in a thread, and counts the points."""

    def __init__(self, address: str) -> None:
        self.points = 0
        self._answer = urlopen(address, timeout=30)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):  # it was closed
            for line in self._answer:
                if line.startswith(b"data: ") and (series := json.loads(line[6:]).get("series")):
                    self.points += sum(len(one["values"]) for one in series)

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            socket.fromfd(self._answer.fileno(), socket.AF_INET, socket.SOCK_STREAM).shutdown(
                socket.SHUT_RDWR
            )


def bench_libraries(data: Path) -> None:
    """Our charts beside uPlot's and Plotly's: 60 charts of 10 lines of 1,000 points, and one line of a million."""
    sources = {
        "tracelet": None,
        "uPlot": ("uplot", "static/uPlot.iife.js"),
        "Plotly": ("plotly", "package_data/plotly.min.js"),
    }
    weights = {"tracelet": sum(file.stat().st_size for file in (STATIC / "chart").glob("*.js"))}
    data.mkdir(parents=True, exist_ok=True)
    with serving(data) as (server, page):
        for name, source in sources.items():
            script = None
            if source is not None:
                spec = importlib.util.find_spec(source[0])
                if spec is None or not spec.submodule_search_locations:
                    print(f"  {name}: not installed")
                    continue
                file = Path(spec.submodule_search_locations[0]) / source[1]
                weights[name], script = file.stat().st_size, file.read_text(encoding="utf-8")
            page.goto(server.address)
            page.wait_for_timeout(500)
            took = page.evaluate(DRAW, [name, script])
            tell(f"{name}: weight of the code", weights[name] / 1e3, "kB")
            for what, value in took.items():
                tell(f"{name}: {what}", value)


DRAW = """async ([library, source]) => {
    document.body.replaceChildren();
    const began = performance.now();
    const took = {};
    if (source !== null) (0, eval)(source + ";window.uPlot = typeof uPlot === 'undefined' ? undefined : uPlot");
    const own = library === "tracelet" ? await import("/static/chart/plot.js") : null;
    took["loading the code"] = performance.now() - began;
    const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
    const host = () => {
        const made = document.createElement("div");
        Object.assign(made.style, { width: "400px", height: "220px", position: "relative" });
        document.body.append(made);
        return made;
    };
    const draw = (xs, lines) => {
        const place = host();
        if (own) {
            const plot = new own.Plot(place, { onZoom() {}, label: "chart" });
            plot.set(lines.map((y, i) => ({ label: `${i}`, color: own.lineColor(i), x: xs, y })), { kind: "step" });
            return (a, b) => plot.set(plot.lines, { kind: "step", first: a, last: b });
        }
        if (library === "uPlot") {
            const series = [{}, ...lines.map((_, i) => ({ label: `${i}`, stroke: `hsl(${i * 36} 70% 45%)` }))];
            const options = { width: 400, height: 220, series, scales: { x: { time: false } } };
            const plot = new window.uPlot(options, [xs, ...lines], place);
            return (min, max) => plot.setScale("x", { min, max });
        }
        const traces = lines.map((y, i) => ({ x: xs, y, name: `${i}`, mode: "lines", type: "scatter" }));
        window.Plotly.newPlot(place, traces, { width: 400, height: 220, margin: { l: 40, r: 8, t: 8, b: 24 } });
        return (a, b) => window.Plotly.relayout(place, { "xaxis.range": [a, b] });
    };
    const value = (i, count, seed) => Math.exp(-i / count) + Math.sin(i * seed) / 20;
    const numbers = (count, seed) => Float64Array.from({ length: count }, (_, i) => value(i, count, seed));
    const xs = Float64Array.from({ length: 1000 }, (_, i) => i);
    const ten = Array.from({ length: 10 }, (_, i) => numbers(1000, i + 1));
    let at = performance.now();
    draw(xs, ten);
    await frame();
    took["first chart of 10 lines of 1,000 points"] = performance.now() - at;
    at = performance.now();
    for (let i = 0; i < 59; i++) draw(xs, ten);
    await frame();
    took["59 more"] = performance.now() - at;
    document.body.replaceChildren();
    const million = Float64Array.from({ length: 1e6 }, (_, i) => i);
    const zoom = draw(million, [numbers(1e6, 1)]);
    await frame();
    at = performance.now();
    await zoom(300000, 600000);
    await frame();
    took["zoom of a line of 1,000,000 points"] = performance.now() - at;
    return took;
}"""


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["table", "wide", "long", "live", "libraries"], action="append")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--metrics", type=int, default=500)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--long", type=int, default=10_000_000)
    parser.add_argument("--live", type=int, default=100)
    given = parser.parse_args()
    parts = given.part or ["table", "wide", "long", "live", "libraries"]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if "table" in parts:
            bench_table(root / "table", given.runs)
        if "wide" in parts:
            bench_wide(root / "wide", given.metrics, given.points)
        if "long" in parts:
            bench_long(root / "long", given.long)
        if "live" in parts:
            bench_live(root / "live", given.live)
        if "libraries" in parts:
            print("chart libraries")
            bench_libraries(root / "libraries" / "runs")


if __name__ == "__main__":
    main()
