"""``tracelet sync`` and ``tracelet verify``, from the outside."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.slow

PLUGINS = """
    import os
    import tracelet
    from tracelet.core.plugins import BackendPlugin, PluginMetadata

    class Base(BackendPlugin):
        def initialize(self, config): ...
        def start(self): ...
        def stop(self): ...
        def get_status(self): return {}
        def log_params(self, params): ...
        def log_artifact(self, local_path, artifact_path=None): ...

        def log_metric(self, name, value, iteration):
            if os.path.exists("down"):
                raise ConnectionError("the service is down")
            with open(self.get_metadata().name + ".txt", "a") as file:
                file.write(f"{name} {value}\\n")

    class Ledger(Base):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata("ledger", "1", "backend")
"""
LATER = """
    class Later(Base):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata("later", "1", "backend")

    @tracelet.hookimpl
    def process_metric(metric):
        metric.name = metric.name.upper()
        return metric
"""
TRAIN = """
    import tracelet

    with tracelet.start_run("first", config={"finish_timeout": 3}) as run:
        for step in range(50):
            run.log_metric("loss", step, step)
"""


@pytest.fixture
def trained(project):
    """Return a project with a run whose backend was down all the time."""
    project.write("tracelet_plugins.py", PLUGINS)
    project.write("train.py", TRAIN)
    project.write("tracelet.toml", 'plugins = ["no:system", "no:environment", "no:gpu"]\n')
    project.write("down", "")
    project.python("train.py")
    return project


def test_what_is_due_is_named_and_delivered_later(trained):
    done = trained.tracelet("verify")
    assert "recorded    50 records" in done.stdout
    assert "ledger            0          0         0        50" in done.stdout
    assert "pending: 50 records" in trained.tracelet("show").stdout
    assert json.loads(trained.tracelet("show", "--json").stdout)["pending"] == {"ledger": 50}
    done = trained.tracelet("sync", status=1)
    assert "0 records delivered; pending: 50 records" in done.stdout
    assert "the service is down" in done.stdout
    (trained.path / "down").unlink()
    done = trained.tracelet("sync")
    assert "50 records delivered" in done.stdout
    assert "ledger has all 50 records" in trained.tracelet("show").stdout
    assert len((trained.path / "ledger.txt").read_text().splitlines()) == 50
    assert "nothing is pending for ledger" in trained.tracelet("sync").stdout
    assert "ledger  up to date" in trained.tracelet("sync", "--all").stdout
    assert len((trained.path / "ledger.txt").read_text().splitlines()) == 50


def test_a_backend_that_is_new_gets_the_run_that_is_named_processed(trained):
    (trained.path / "down").unlink()
    trained.tracelet("sync")
    trained.write("tracelet_plugins.py", PLUGINS + LATER)
    assert "nothing is pending for ledger, later" in trained.tracelet("sync").stdout
    report = json.loads(trained.tracelet("sync", "first", "--json").stdout)
    (run,) = report["runs"]
    assert run["name"] == "first"
    assert run["backends"] == [
        {"backend": "ledger", "delivered": 0, "due": "", "error": None, "complete": True},
        {"backend": "later", "delivered": 50, "due": "", "error": None, "complete": True},
    ]
    assert set((trained.path / "later.txt").read_text().split()[::2]) == {"LOSS"}
    found = json.loads(trained.tracelet("verify", "first", "--json").stdout)
    assert (found["recorded"], found["agrees"], found["dropped"], found["damage"]) == (50, True, {}, {})
    assert [(row["backend"], row["delivered"], row["pending"]) for row in found["backends"]] == [
        ("later", 50, 0),
        ("ledger", 50, 0),
    ]


def test_accounts_that_do_not_agree_end_with_1(trained):
    (trained.path / "down").unlink()
    trained.tracelet("sync")
    (file,) = trained.path.glob(".tracelet/runs/*/delivery/ledger.json")
    file.write_text(file.read_text().replace('"delivered": 50', '"delivered": 49'))
    done = trained.tracelet("verify", status=1)
    assert "error: ledger: 50 recorded, 49 accounted for" in done.stdout


def test_mistakes_in_use(trained):
    assert "expected RUN or --all, found both" in trained.tracelet("sync", "first", "--all", status=2).stderr
    done = trained.tracelet("sync", "-p", "no:ledger", status=2)
    assert "no backend is active" in done.stderr
    assert "no run" in trained.tracelet("verify", "unknown", status=2).stderr
