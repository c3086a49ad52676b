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
    subprocess.run([*install, *sorted(wheels.glob("*.whl")), "pytest>=8.2", "hypothesis>=6.100"], check=True)
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


@pytest.mark.parametrize("name", ["ledger", "heap"])
def test_it_passes_the_kit(installed, project, name):
    done = project.run(
        installed / "tracelet", "plugins", "check", name, "--conformance", "--json", timeout=170, status=None
    )
    [found] = json.loads(done.stdout)["conformance"]
    results = [each[where] for each in found["promises"] for where in ("thread", "process") if each[where]]
    assert found["suite"].startswith("tracelet_ledger.conformance:")
    assert not [result for result in results if result["outcome"] in ("broken", "kept limit")]
    assert len([result for result in results if result["outcome"] == "kept"]) > (
        30 if name == "ledger" else 8
    )


def test_a_generated_package_of_several_plugins_passes_its_tests_installed(installed, project):
    kinds = ("backend", "collector", "processor", "framework")
    plugins = [word for kind in kinds for word in ("--plugin", f"my-{kind}:{kind}")]
    project.run(installed / "tracelet", "plugins", "new", "--package", "several", *plugins)
    package = project.path / "tracelet-several"
    pip = [installed / "python", "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    project.run(*pip, package, timeout=120)
    done = project.run(
        *(installed / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "pythonpath="),
        *("--rootdir", package, package / "tests"),
        timeout=170,
    )
    assert "passed" in done.stdout
    shown = project.run(
        installed / "tracelet", "plugins", "check", "my-collector", "--conformance", timeout=120
    )
    assert "0 broken" not in shown.stdout
    assert "kept" in shown.stdout
