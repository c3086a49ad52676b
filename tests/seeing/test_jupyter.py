"""Runs in a real Jupyter kernel: shown once, updated in place, never a flood of outputs."""

from __future__ import annotations

import queue
import time

import pytest

pytest.importorskip("ipykernel", reason="needs the packages of the nox session 'notebook'")
jupyter_client = pytest.importorskip(
    "jupyter_client", reason="needs the packages of the nox session 'notebook'"
)


class Kernel:
    """A running kernel, and what it has put out."""

    def __init__(self, client):
        self.client = client
        self.outputs = []

    def execute(self, code, timeout=60):
        """Run a cell and return its outputs."""
        request = self.client.execute(code)
        end, found = time.monotonic() + timeout, []
        while time.monotonic() < end:
            message = self.client.get_iopub_msg(timeout=timeout)
            kind, content = message["msg_type"], message["content"]
            if message["parent_header"].get("msg_id") == request:
                if kind == "error":
                    pytest.fail("\n".join(content["traceback"]))
                if kind == "status" and content["execution_state"] == "idle":
                    return found
            if kind in ("display_data", "execute_result", "update_display_data", "stream"):
                found.append((kind, content))
        raise TimeoutError(code)

    def collect(self, seconds):
        """Return what the kernel puts out by itself."""
        end, found = time.monotonic() + seconds, []
        while time.monotonic() < end:
            try:
                message = self.client.get_iopub_msg(timeout=max(0.05, end - time.monotonic()))
            except queue.Empty:
                break
            if message["msg_type"] in ("display_data", "update_display_data", "stream"):
                found.append((message["msg_type"], message["content"]))
        return found


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "tracelet.toml").write_text('project = "tests"\nquiet = true\nplugins = ["no:system"]\n')
    manager, client = jupyter_client.manager.start_new_kernel(cwd=str(folder), startup_timeout=120)
    try:
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def html(output):
    return output[1]["data"]["text/html"]


def test_a_live_run_is_one_output_that_is_updated_in_place(kernel):
    kernel.execute("import tracelet\nrun = tracelet.start_run('live')")
    [shown] = kernel.execute("run")
    assert shown[0] == "display_data"
    assert "running" in html(shown)
    identity = shown[1]["transient"]["display_id"]
    logging = "for step in range(500): run.log({'train/loss': 1 / (step + 1)}, step=step)"
    updates = [*kernel.execute(logging), *kernel.collect(3.0)]
    assert 1 <= len(updates) <= 5  # about one a second, whatever the number of points
    assert {kind for kind, _ in updates} == {"update_display_data"}
    assert {content["transient"]["display_id"] for _, content in updates} == {identity}
    assert "train/loss" in html(updates[-1])
    updates = [*kernel.execute("run.finish()"), *kernel.collect(3.0)]
    assert "finished" in html(updates[-1])
    assert kernel.collect(2.5) == []  # nothing more: the run has ended


def test_what_has_ended_shows_itself_once(kernel):
    kernel.execute("import tracelet\nwith tracelet.start_run('over') as run: run.log_metric('loss', 1.0)")
    for code in (
        "run",
        "tracelet.open_store().run('over')",
        "tracelet.open_store()",
        "tracelet.open_store().run('over').metric('loss')",
    ):
        [shown] = kernel.execute(code)
        assert shown[0] == "execute_result"
        assert "tracelet-html" in html(shown)
        assert "text/plain" in shown[1]["data"]
    assert kernel.collect(1.5) == []


def test_a_figure_shows_itself(kernel):
    pytest.importorskip("matplotlib")
    code = "tracelet.open_store().run('over').plot(library='matplotlib')"
    kernel.execute("import tracelet\nwith tracelet.start_run('over') as run: run.log_metric('loss', 1.0)")
    [shown] = kernel.execute(code)
    assert "image/png" in shown[1]["data"]
