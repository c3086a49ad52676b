"""The built-in collectors pass the kit. Their documented units are those of their pages."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tracelet.testing import CollectorConformance

ROOT = Path(__file__).parents[2]
NVML = ROOT / "tests" / "builtin_plugins" / "nvml.c"
ROW = re.compile(r"^\| `([^`]+)` \|([^|]*)\|", re.M)

GPU = """
    import contextlib
    import os
    from pathlib import Path

    from tracelet.testing import CollectorConformance


    class TestGpu(CollectorConformance):
        plugin = "gpu"
        units = {units!r}

        @contextlib.contextmanager
        def without_device(self):
            control = Path(os.environ["FAKE_NVML"])
            before = control.read_text()
            control.write_text("count 0\\n")
            try:
                yield
            finally:
                control.write_text(before)
"""


def units_of(name):
    """Return the units in the tables of a plugin's page, by pattern."""
    rows = ROW.findall((ROOT / "docs" / "plugins" / f"{name}.md").read_text(encoding="utf-8"))
    return {re.sub(r"\b(N|M|NAME|PATH)\b", "*", metric): unit.strip() for metric, unit in rows}


class TestSystem(CollectorConformance):
    plugin = "system"
    units = units_of("system")


class TestEnvironment(CollectorConformance):
    plugin = "environment"
    config = {"packages": False}
    units = {}


def test_gpu_passes_with_devices_and_without(tracelet_project):
    pytest.importorskip("pynvml", reason="needs nvidia-ml-py")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to build the stand-in for libnvidia-ml.so.1 with")
    library, control = tracelet_project.path / "libnvidia-ml.so.1", tracelet_project.path / "control"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, NVML], check=True)
    control.write_text("count 2\n")
    tracelet_project.write({"test_gpu.py": GPU.format(units=units_of("gpu"))})
    done = tracelet_project.run(
        *("-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "test_gpu.py"),
        environ={"LD_LIBRARY_PATH": str(tracelet_project.path), "FAKE_NVML": str(control)},
    )
    done.out.re_match_lines(r"\d+ passed.*")
    done.out.no_re_match_line("FAILED.*")
