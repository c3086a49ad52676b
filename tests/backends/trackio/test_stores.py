"""A run in Trackio's folder, and on a real Trackio server."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import backend_servers as servers
import pytest

PROGRAM = """
    import math, sys
    import tracelet

    with tracelet.start_run("digits", run_id="r1", params={"lr": 0.1, "_hidden": [1, math.nan]}, project="my.model",
                            tags={"team": "vision"}, strict="all") as run:
        for step in [0, 1, 2, 2, 1]:
            run.log({"loss": 1 / (step + 1), "acc": step / 8, "step": 7}, step=step)
        run.log_metric("special", math.nan, 1)
        run.log_metric("special", -math.inf, 2)
        run.log_image("picture", [[[255, 0, 0], [0, 255, 0]]], step=1)
        run.log_histogram("weights", [0, 1, 1, 2], step=1)
        run.log_table("table", [{"a": 1, "b": None}], step=1)
        run.log_text("note", "# Title", step=1)
        run.log_artifact(__file__, "code")
"""


@pytest.fixture
def trained(project: Any) -> Any:
    """Return a project with a program, and its configuration up to the backend's table."""
    project.write("train.py", PROGRAM)
    project.table = (
        "[plugins.environment]\nenabled = false\n[plugins.gpu]\nenabled = false\n[plugins.trackio]\n"
    )
    return project


def check_rows(rows: list[dict[str, Any]]) -> None:
    found = [(row["step"], row["loss"], row["acc"], row["__step"]) for row in rows if "loss" in row]
    assert sorted(found) == sorted((step, 1 / (step + 1), step / 8, 7.0) for step in [0, 1, 2, 2, 1])
    special = sorted((row["step"], str(row["special"])) for row in rows if "special" in row)
    assert special in (
        [(1, "nan"), (2, "-inf")],
        [(1, "None"), (2, "None")],
    )  # JSON over HTTP has none of them
    values = {key: row[key] for row in rows for key in row if isinstance(row[key], dict)}
    assert values["table"] == {"_type": "trackio.table", "_value": [{"a": 1, "b": None}]}
    assert values["note"] == {"_type": "trackio.markdown", "_value": "# Title"}
    assert sum(values["weights"]["values"]) == 4
    assert values["picture"]["_type"] == "trackio.image"


def picture_in(folder: Path, rows: list[dict[str, Any]]) -> bytes:
    (row,) = [row for row in rows if "picture" in row]
    return (folder / "media" / row["picture"]["file_path"]).read_bytes()


def test_a_run_in_a_folder(trained: Any, read_folder: Any) -> None:
    trained.write("tracelet.toml", trained.table + "dir = 'tracks'\n")
    trained.python("train.py")
    folder = trained.path / "tracks"
    (file,) = folder.glob("*.db")
    assert re.fullmatch(r"my-model_[0-9a-f]{9}", file.stem)
    found = read_folder(folder).read(file.stem, "r1")
    check_rows(found["logs"])
    assert found["config"]["lr"] == 0.1
    assert found["config"]["tracelet"]["tags"] == {"team": "vision"}
    assert found["config"]["tracelet"]["outcome"] == "finished"
    assert [record["name"] for record in found["runs"]] == ["digits"]
    assert "system/memory/percent" in found["system"][0]
    assert set(found["artifacts"]) == {"code/train.py"}
    (media,) = (trained.path / ".tracelet" / "runs" / "r1" / "media").glob("picture*")
    assert picture_in(folder, found["logs"]) == media.read_bytes()

    shutil.rmtree(trained.path / ".tracelet" / "runs" / "r1" / "delivery")  # everything is delivered again
    trained.tracelet("sync", "r1", timeout=120)
    again = read_folder(folder).read(file.stem, "r1")
    assert again["logs"] == found["logs"]
    assert again["system"] == found["system"]


class TrackioServer(servers.Server):
    """A Trackio server on a folder of its own."""

    def command(self) -> list[str]:
        """Return a program that serves; it prints the URL with the write token."""
        program = (
            f"import os; os.environ['TRACKIO_DIR'] = {str(self.folder)!r}; import trackio;"
            f" trackio.show(open_browser=False, block_thread=True, host='127.0.0.1', server_port={self.port})"
        )
        return [sys.executable, "-u", "-c", program]

    def is_ready(self) -> bool:
        """Say whether it has printed its URL."""
        return super().is_ready() and bool(self.url())

    def url(self) -> str:
        """Return its URL with the write token."""
        found = re.findall(r"http://127\.0\.0\.1:\d+\S*write_token=[\w-]+", self.log.read_text())
        return found[-1] if found else ""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TrackioServer]:
    """Return a running server."""
    (tmp_path / "server").mkdir()
    server = TrackioServer(tmp_path / "server")
    try:
        server.start()
        yield server
    finally:
        server.close()


def test_a_run_on_a_server(trained: Any, server: TrackioServer, read_folder: Any) -> None:
    trained.write("tracelet.toml", trained.table + "space_id = '${TRACKIO_URL}'\n")
    trained.environ["TRACKIO_URL"] = server.url()
    trained.python("train.py", timeout=120)
    (file,) = server.folder.glob("*.db")
    found = read_folder(server.folder).read(file.stem, "r1")
    check_rows(found["logs"])
    assert found["config"]["lr"] == 0.1
    assert set(found["artifacts"]) == {"code/train.py"}
    (media,) = (trained.path / ".tracelet" / "runs" / "r1" / "media").glob("picture*")
    assert picture_in(server.folder, found["logs"]) == media.read_bytes()
    shutil.rmtree(trained.path / ".tracelet" / "runs" / "r1" / "delivery")
    trained.tracelet("sync", "r1", timeout=120)
    assert len(read_folder(server.folder).read(file.stem, "r1")["logs"]) == len(found["logs"])


def test_a_server_that_is_down_is_one_clear_line_without_the_token(trained: Any) -> None:
    url = f"http://127.0.0.1:{servers.free_port()}/?write_token=s3cr3t-t0ken-0123456789"
    trained.write("tracelet.toml", trained.table + "space_id = '${TRACKIO_URL}'\nisolation = 'thread'\n")
    trained.environ["TRACKIO_URL"] = url
    trained.write(
        "train.py", "import tracelet\nwith tracelet.start_run() as run:\n    run.log_metric('x', 1, 1)\n"
    )
    done = trained.tracelet("run", "--quiet", "train.py", timeout=120)
    assert "s3cr3t" not in done.stdout + done.stderr
    status = json.loads(trained.tracelet("verify", "--json", status=None).stdout)
    assert "s3cr3t" not in json.dumps(status)
    assert "127.0.0.1" in done.stdout + done.stderr
