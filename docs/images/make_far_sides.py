"""Take the pictures of the far sides that the pages of the backends show: of real runs of the example, in Chromium.

    pip install -e '.[examples,media,mlflow]' playwright
    python docs/images/make_far_sides.py mlflow

Give the far sides whose programs this environment has: tensorboard, mlflow, trackio, aim, prometheus. Each takes about
a minute. Look at each picture before you commit it.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import attrs
from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
RATES = ("0.3", "0.1", "0.01")
PAUSE = 0.03  # seconds after each step, for charts over time
COLORS = 64  # in a picture's palette: small files, and no visible difference
CHROMIUM = shutil.which("chromium") or "chromium"
ARGUMENTS = ["--no-sandbox", "--enable-unsafe-swiftshader", "--use-angle=swiftshader"]  # WebGL without a GPU
START_SECONDS = 120  # MLflow imports itself twice
CHART_SECONDS = 60


@attrs.frozen
class FarSide:
    """How to configure, serve and show one of them."""

    #: The table of the plugin.
    table: str
    #: The program that serves the page.
    command: tuple[str, ...]
    #: The path that answers as soon as the program is ready.
    ready: str
    #: Opens the view, and waits until its charts are drawn.
    show: Callable[[Page, str], None]
    #: Whether records are delivered after the server has started.
    is_live: bool = False


def show_tensorboard(page: Page, url: str) -> None:
    """Show the charts of the losses and accuracies."""
    page.goto(f"{url}/?darkMode=false#timeseries")
    page.get_by_role("button", name="Settings").last.click()  # hides them
    tags = page.get_by_role("combobox", name="Filter tags (regex)")
    tags.fill("accuracy|loss")
    page.get_by_text("train/loss").first.wait_for()
    tags.press("Escape")  # closes the suggestions


def show_mlflow(page: Page, url: str) -> None:
    """Show the charts of the experiment's runs."""
    page.goto(f"{url}/#/experiments/1/runs")
    page.get_by_role("button", name="Close").first.click()  # the assistant
    page.get_by_text("Model training").first.click()
    page.goto(f"{url}/#/experiments/1/runs?compareRunsMode=CHART")
    page.get_by_placeholder("Search metric charts").fill("accuracy|loss")
    page.locator(".js-plotly-plot .xy .trace").nth(8).wait_for()


def show_trackio(page: Page, url: str) -> None:
    """Show the dashboard of the project."""
    page.goto(f"{url}/?project=digits")
    page.locator("canvas, svg.marks").nth(1).wait_for()


def show_aim(page: Page, url: str) -> None:
    """Show the metrics of a run."""
    page.goto(f"{url}/runs")
    page.get_by_text(f"lr {RATES[0]}").first.click()
    page.get_by_role("button", name="Skip").click()  # an invitation
    page.get_by_text("Metrics", exact=True).last.click()
    page.get_by_text("train/loss").first.scroll_into_view_if_needed()


def show_prometheus(page: Page, url: str) -> None:
    """Show the graph of the losses."""
    names = "max by (run, name) (tracelet_run_info)"
    asked = f"max by (name) (test_accuracy * on (run) group_left (name) {names})"
    page.goto(f"{url}/graph?g0.expr={quote(asked)}&g0.tab=0&g0.range_input=1m&g0.step_input=1")
    page.get_by_text(f"Total time series: {len(RATES)}").wait_for()


FAR_SIDES = {
    "tensorboard": FarSide(
        'log_dir = "runs"',
        (sys.executable, "-m", "tensorboard.main", "--logdir=runs", "--port={port}"),
        "/data/plugins_listing",
        show_tensorboard,
    ),
    "mlflow": FarSide(
        'tracking_uri = "http://127.0.0.1:{port}"',
        (
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--port={port}",
            "--workers=1",
            "--backend-store-uri=sqlite:///mlflow.db",
        ),
        "/health",
        show_mlflow,
        is_live=True,
    ),
    "trackio": FarSide(
        'dir = "trackio"',
        (sys.executable, "-c", "import trackio; trackio.show(project='digits', open_browser=False)"),
        "/",
        show_trackio,
    ),
    "aim": FarSide(
        'repo = "."',
        (str(Path(sys.executable).with_name("aim")), "up", "--repo=.", "--host=127.0.0.1", "--port={port}"),
        "/",
        show_aim,
    ),
    "prometheus": FarSide(
        'remote_write_url = "http://127.0.0.1:{port}/api/v1/write"',
        (
            *("prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
            *("--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver"),
        ),
        "/-/ready",
        show_prometheus,
        is_live=True,
    ),
}


def record(project: Path) -> None:
    """Run the example with several learning rates at the same time, as a person would."""
    program = (EXAMPLES / "train_digits.py").read_text()
    started = []
    for rate in RATES:
        changed = re.sub(r'"lr": [\d.]+', f'"lr": {rate}', program).replace('"digits"', f'"lr {rate}"')
        changed = changed.replace("step += 1", f"step += 1; __import__('time').sleep({PAUSE})")
        path = project / f"train_{rate}.py"
        path.write_text(changed)
        command = [sys.executable, "-m", "tracelet", "run", "-p", "no:environment", path.name]
        started.append(subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL))
    if any(process.wait(300) for process in started):
        sys.exit("the example failed")


def deliver(project: Path, name: str, table: str) -> None:
    """Deliver the runs to one far side."""
    (project / "tracelet.toml").write_text(
        f'project = "digits"\nplugins = ["{name}"]\n[plugins.{name}]\n{table}\n'
    )
    command = [sys.executable, "-m", "tracelet", "sync", "--all", "--timeout", "120"]
    subprocess.run(command, cwd=project, check=True)


@contextmanager
def serving(project: Path, far_side: FarSide, port: int) -> Iterator[str]:
    """Serve the far side's page, and return its address."""
    url = f"http://127.0.0.1:{port}"
    more = {"TRACKIO_DIR": "trackio", "GRADIO_SERVER_PORT": str(port), "GRADIO_ANALYTICS_ENABLED": "False"}
    command = [word.format(port=port) for word in far_side.command]
    with open(project / "server.log", "wb") as log:
        process = subprocess.Popen(
            command, cwd=project, env={**os.environ, **more}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until_ready(url + far_side.ready, process, project / "server.log")
        yield url
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the page answers."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    sys.exit(f"the server does not answer:\n{log.read_text(errors='replace')[-2000:]}")


def take(name: str, url: str, show: Callable[[Page, str], None]) -> None:
    """Take the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1200, "height": 840}, color_scheme="light")
        page.set_default_timeout(CHART_SECONDS * 1000)
        try:
            show(page, url)
        finally:
            page.wait_for_timeout(3000)  # charts appear with an animation
            picture = Image.open(io.BytesIO(page.screenshot()))
            picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(
                HERE / f"far-{name}.png", optimize=True
            )
        browser.close()


def free_port() -> int:
    """Return a TCP port that nobody listens on at the moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main(names: list[str]) -> None:
    """Record, deliver, serve, and take each picture."""
    if unknown := set(names) - set(FAR_SIDES):
        sys.exit(f"unknown far side {', '.join(unknown)}; expected {', '.join(FAR_SIDES)}")
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "digits"
        project.mkdir()
        (project / "tracelet.toml").write_text('project = "digits"\n')
        (project / "prometheus.yml").touch()
        record(project)
        for name in names:
            far_side, port = FAR_SIDES[name], free_port()
            table = far_side.table.format(port=port)
            if not far_side.is_live:
                deliver(project, name, table)
            with serving(project, far_side, port) as url:
                if far_side.is_live:
                    deliver(project, name, table)
                take(name, url, far_side.show)


if __name__ == "__main__":
    main(sys.argv[1:])
