"""One training, five backends at once, two of whose servers are killed and started again midway.

Each destination, read with its own reader, has each point once; ``tracelet verify`` agrees; the training takes part in
nothing of it.
"""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from backend_servers import MlflowServer, Postgres, Prometheus, wait_until

for package in ("mlflow", "wandb", "psycopg", "cramjam", "tensorboard"):
    if importlib.util.find_spec(package) is None:
        pytest.skip(
            f"needs {package}: nox -s \"far_sides(client='together')\" installs all five clients",
            allow_module_level=True,
        )

STEPS = 3000
PROGRAM = f"""
import time
from pathlib import Path

import tracelet

slowest = 0.0
with tracelet.start_run("five", params={{"lr": 0.1}}, tags={{"team": "vision"}}) as run:
    print(run.id, flush=True)
    for step in range({STEPS}):
        time.sleep(0.004)
        began = time.perf_counter()
        run.log({{"train/loss": 1 / (step + 1), "train/acc": step / {STEPS}}}, step=step)
        slowest = max(slowest, time.perf_counter() - began)
        if step % 100 == 0:
            Path("step.txt").write_text(str(step))
print(f"slowest call: {{1000 * slowest:.1f}} ms")
"""
EXPECTED = {
    "train/loss": [(step, 1 / (step + 1)) for step in range(STEPS)],
    "train/acc": [(step, step / STEPS) for step in range(STEPS)],
}


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Any, Any, Any]]:
    """Return servers of the test's own: PostgreSQL, MLflow and Prometheus."""
    made = [Postgres(), MlflowServer(), Prometheus(tmp_path / "prometheus")]
    try:
        for server in made:
            server.start()
        yield tuple(made)
    finally:
        for server in made:
            server.close()


@pytest.fixture
def project(tmp_path: Path, servers: tuple[Any, Any, Any]) -> Path:
    postgres, mlflow, prometheus = servers
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(PROGRAM)
    (folder / "tracelet.toml").write_text(
        f"""
project = "together"

[plugins]
system = {{ enabled = false }}
environment = {{ enabled = false }}
gpu = {{ enabled = false }}
console = {{ enabled = false }}
code = {{ enabled = false }}
tensorboard = {{ log_dir = "tensorboard" }}
mlflow = {{ tracking_uri = "{mlflow.uri}" }}
wandb = {{ mode = "offline", dir = "wandb-runs" }}
postgres = {{ dsn = "{postgres.dsn()}" }}
prometheus = {{ remote_write_url = "{prometheus.url}/api/v1/write" }}
"""
    )
    return folder


def tracelet(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("tracelet"))
    return subprocess.run(
        [program, *words], cwd=folder, env=environ(folder), capture_output=True, text=True, timeout=170
    )


def environ(folder: Path) -> dict[str, str]:
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("TRACELET_", "MLFLOW_", "WANDB_"))
    }
    return {**kept, "HOME": str(folder), "MLFLOW_DISABLE_TELEMETRY": "true"}


def wait_for_step(folder: Path, step: int, seconds: float = 120) -> None:
    file = folder / "step.txt"
    wait_until(lambda: file.exists() and int(file.read_text() or 0) >= step, seconds, f"step {step}")


@pytest.mark.timeout(600)
def test_each_destination_has_each_point_once(
    project: Path, servers: tuple[Any, Any, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    postgres, mlflow, prometheus = servers
    process = subprocess.Popen(
        [sys.executable, "train.py"], cwd=project, env=environ(project), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    wait_for_step(project, 600)
    postgres.kill()
    mlflow.kill()
    wait_for_step(project, 1800)
    postgres.start()
    mlflow.start()
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    with capfd.disabled():
        print(f"\n{said.strip()}")
    end = time.monotonic() + 240
    while (synced := tracelet(project, "sync")).returncode and time.monotonic() < end:
        time.sleep(1)  # a breaker waits before it tries again
    assert synced.returncode == 0, synced.stdout + synced.stderr
    verified = tracelet(project, "verify", "--json")
    assert verified.returncode == 0, verified.stdout + verified.stderr

    readers: dict[str, Callable[[str], list[tuple[int, float]]]] = {
        "tensorboard": lambda name: read_tensorboard(project / "tensorboard", name),
        "mlflow": lambda name: read_mlflow(mlflow, name),
        "wandb": lambda name: read_wandb(project / "wandb-runs", run_id, name),
        "postgres": lambda name: read_postgres(postgres, name),
        "prometheus": lambda name: read_prometheus(prometheus, name),
    }
    for backend, read in readers.items():
        for name, expected in EXPECTED.items():
            found = read(name)
            assert len(found) == STEPS, backend
            assert [step for step, _ in found] == [step for step, _ in expected], backend
            tolerance = 1e-6 if backend == "tensorboard" else 0  # scalars of event files are float32
            pairs = zip(found, expected, strict=True)
            assert all(math.isclose(a, b, rel_tol=tolerance, abs_tol=0) for (_, a), (_, b) in pairs), backend


def read_tensorboard(folder: Path, name: str) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    found = []
    for file in sorted(folder.rglob("events.out.tfevents.*")):
        reader = EventAccumulator(str(file), size_guidance={"scalars": 0, "tensors": 0})
        reader.Reload()
        tags = reader.Tags()
        if name in tags["scalars"]:
            found += [(event.step, event.value) for event in reader.Scalars(name)]
        if name in tags["tensors"]:
            found += [
                (event.step, float(tensor_util.make_ndarray(event.tensor_proto)))
                for event in reader.Tensors(name)
            ]
    return found


def read_mlflow(server: Any, name: str) -> list[tuple[int, float]]:
    client = server.client()
    experiment = client.get_experiment_by_name("together")
    (run,) = client.search_runs([experiment.experiment_id])
    return sorted((each.step, each.value) for each in client.get_metric_history(run.info.run_id, name))


def read_wandb(folder: Path, run_id: str, name: str) -> list[tuple[int, float]]:
    spec = importlib.util.spec_from_file_location(
        "wandb_files_of_five", Path(__file__).parents[1] / "wandb" / "run_files.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WandbRun(folder, run_id).points(name)


def read_postgres(server: Any, name: str) -> list[tuple[int, float]]:
    rows = server.sql(f"SELECT step, value FROM tracelet.metrics WHERE name = '{name}' ORDER BY step")
    return [(int(step), float(value)) for step, value in rows]


def read_prometheus(server: Any, name: str) -> list[tuple[int, float]]:
    series = name.replace("/", "_")
    now = time.time()
    (values,) = server.samples(series, now).values()
    (steps,) = server.samples(f"{series}_step", now).values()
    assert [when for when, _ in values] == [when for when, _ in steps]
    return [(int(step), value) for (_, step), (_, value) in zip(steps, values, strict=True)]
