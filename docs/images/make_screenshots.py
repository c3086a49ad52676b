"""Take the pictures of the page that the docs show: of real runs of the example, in Debian's Chromium.

    pip install -e '.[examples,media,ui]' playwright
    python docs/images/make_screenshots.py

It takes about two minutes. Look at each picture before you commit it.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
RATES = ("0.3", "0.1", "0.03", "0.01", "0.003")
COLORS = 128  # in a picture's palette: small files, and no visible difference
CHROMIUM = shutil.which("chromium") or "chromium"


def record(project: Path) -> None:
    """Run the example with several learning rates, as a person would; and runs with media and a rewind."""
    (project / "tracelet.toml").write_text('project = "digits"\n')
    shutil.copy(EXAMPLES / "tracelet_plugins.py", project)
    program = (EXAMPLES / "train_digits.py").read_text()
    for rate in RATES:
        changed = re.sub(r'"lr": [\d.]+', f'"lr": {rate}', program)
        (project / "train_digits.py").write_text(changed)
        command = [sys.executable, "-m", "tracelet", "run", "-p", "no:environment", "train_digits.py"]
        subprocess.run(command, cwd=project, check=True, capture_output=True)
    code = f"import sys; sys.path.insert(0, {str(HERE.parents[1])!r})\n" + (
        "from pathlib import Path\nfrom tests.ui import sample_runs\n"
        "sample_runs.record_media(Path('.tracelet'), ['system', 'console'])\n"
        "sample_runs.record_resumed(Path('.tracelet'))\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=project, check=True, capture_output=True)
    (project / ".tracelet" / "notes.txt").unlink()


def serve(project: Path) -> tuple[subprocess.Popen[str], str]:
    """Start the page, and return its process and its address."""
    command = [sys.executable, "-m", "tracelet", "ui", ".", "--no-open", "--port", "0"]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found is not None
    return process, found[0].rstrip("/")


def take(page: Page, name: str, act: Callable[[], Any] = lambda: None) -> None:
    """Take one picture, after doing something in the view."""
    page.wait_for_load_state("load")
    page.wait_for_timeout(3000)
    act()
    page.wait_for_timeout(1000)
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(COLORS, dither=Image.Dither.NONE).save(
        HERE / f"{name}.png", optimize=True
    )


def take_all(page: Page, address: str) -> None:
    """Take a picture of each view."""
    runs = page.request.get(f"{address}/api/v1/runs").json()["runs"]
    digits = sorted(run["id"] for run in runs if run["name"] == "digits")
    other = {run["name"]: run["id"] for run in runs}
    several = "&".join(f"run={id}" for id in digits)
    columns = (
        "outcome",
        "started",
        "duration",
        "params.lr",
        "metrics.train/loss.min",
        "metrics.test/accuracy.best",
    )

    page.goto(f"{address}/?{'&'.join(f'col={column}' for column in columns)}&{several}")
    take(page, "ui-runs")
    page.goto(f"{address}/charts?{several}&smooth=0.9&search=^(train|test)/")
    take(page, "ui-charts", lambda: page.locator("canvas.cursor").first.hover(position={"x": 190, "y": 90}))
    page.goto(f"{address}/charts?{several}&by=project&search=^(train|test)/")
    take(page, "ui-groups", lambda: page.locator("canvas.cursor").first.hover(position={"x": 190, "y": 90}))
    page.goto(f"{address}/run/{digits[1]}")
    take(page, "ui-run")
    page.goto(f"{address}/run/{other['media']}?tab=media")
    take(page, "ui-media")
    page.goto(f"{address}/run/{digits[1]}?tab=console&q=accuracy")
    take(page, "ui-console")
    page.goto(f"{address}/run/{digits[1]}?tab=plugins")
    take(page, "ui-plugins")
    page.goto(f"{address}/compare?{several}")
    take(page, "ui-compare", lambda: page.locator(".drawing").first.scroll_into_view_if_needed())
    page.goto(f"{address}/charts?run={other['resumed']}")
    page.evaluate("localStorage.setItem('tracelet.ui.theme', '\"dark\"')")
    page.reload()
    take(page, "ui-rewind", lambda: page.get_by_label("Show train/loss large").click())


def main() -> None:
    """Record, serve, take the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "digits"
        project.mkdir()
        record(project)
        process, address = serve(project)
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
                )
                page = browser.new_page(viewport={"width": 1200, "height": 720}, color_scheme="light")
                page.route("**/*", lambda route: hide_path(route, str(project)))
                take_all(page, address)
        finally:
            process.terminate()
            process.wait(10)


def hide_path(route: Any, path: str) -> None:
    """Show a path that is not this machine's."""
    if route.request.resource_type not in ("document", "fetch"):
        route.continue_()
        return
    response = route.fetch()
    route.fulfill(response=response, body=response.text().replace(path, "~/digits"))


if __name__ == "__main__":
    main()
