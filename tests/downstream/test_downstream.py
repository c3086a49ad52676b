"""A stranger's distribution beside tracelet's own, both as wheels, in an environment of their own."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytestmark = [pytest.mark.pip, pytest.mark.xdist_group("downstream")]

REPOSITORY = Path(__file__).parents[2]
STRANGER = Path(__file__).parent / "tracelet-ledger"

TRAIN = """
    import time

    import tracelet

    with tracelet.start_run("visit", params={"lr": 0.1}) as run:
        for step in range(100):
            run.log({"loss": 1 / (step + 1)}, step=step)
            time.sleep(0.005)
        run.log_artifact("notes.txt")
        print(run.id)
"""

READ = """
    import json

    import tracelet

    [run] = tracelet.open_store().runs()
    heap = {name: run.metric(name).values for name in run.metrics() if name.startswith("heap/")}
    print(json.dumps({name: list(values) for name, values in heap.items()}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build both wheels, install them into a fresh environment, and return its folder of programs."""
    base = tmp_path_factory.mktemp("downstream")
    wheels = base / "wheels"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    for source in (REPOSITORY, STRANGER):
        subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", wheels, source], check=True)
    venv.create(base / "venv", with_pip=True)
    programs = base / "venv" / "bin"
    install = [programs / "python", "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*install, *sorted(wheels.glob("*.whl"))], check=True)
    return programs


@pytest.fixture
def ledger(project):
    """Return a project that configures both plugins."""
    project.write("tracelet.toml", '[plugins.ledger]\npath = "ledger.csv"\n\n[plugins.heap]\n')
    project.write("train.py", TRAIN)
    project.write("read.py", READ)
    project.write("notes.txt", "seen\n")
    return project


def test_found_without_being_imported(installed, project):
    listed = json.loads(project.run(installed / "tracelet", "plugins", "--json").stdout)
    found = {plugin["name"]: plugin for plugin in listed["plugins"]}
    assert {"ledger", "heap"} <= found.keys()
    for name in ("ledger", "heap"):
        assert found[name]["version"] == "1.2.0"
        assert found[name]["state"] == "discovered"


def test_validated(installed, project):
    for name in ("ledger", "heap"):
        project.run(installed / "tracelet", "plugins", "check", name)


def test_configured_started_fed_and_stopped(installed, ledger):
    ledger.run(installed / "python", "train.py")
    with open(ledger.path / "ledger.csv", newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["initialize", "digits", "17", ""]  # a default, filled in
    assert lines[1] == ["start", "", "", ""]
    assert lines[-1] == ["stop", "", "", ""]
    assert ["param", "lr", "0.1", ""] in lines
    assert ["artifact", "notes.txt", "5", ""] in lines
    losses = [(float(value), int(step)) for what, name, value, step in lines if name == "loss"]
    assert losses == [(1 / (step + 1), step) for step in range(100)]

    heap = json.loads(ledger.run(installed / "python", "read.py").stdout)
    assert set(heap) == {"heap/objects", "heap/pending/0", "heap/pending/1", "heap/pending/2"}
    assert len(heap["heap/objects"]) >= 3  # at start, at least one tick, at the end
    assert all(count > 1000 for count in heap["heap/objects"])


def test_a_wrong_configuration_is_told_whole_and_spares_the_training(installed, ledger):
    ledger.write("tracelet.toml", '[plugins.ledger]\ndigits = "many"\ndelimeter = ";"\napi_key = "s3cr3t"\n')
    done = ledger.run(installed / "python", "train.py")
    told = done.stdout + done.stderr
    for fault in ("plugins.ledger.path", "plugins.ledger.digits", "plugins.ledger.delimeter", "'delimiter'"):
        assert fault in told
    assert "s3cr3t" not in told
    assert not (ledger.path / "ledger.csv").exists()
