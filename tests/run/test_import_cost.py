"""Importing tracelet loads next to nothing, and recording loads nothing heavy on the caller's path."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "pluggy",
    "attrs",
    "attr",
    "cattrs",
    "psutil",
    "rich",
    "click",
    "sqlite3",
    "jsonschema",
    "packaging",
    "numpy",
    "importlib.metadata",
    "asyncio",
    "multiprocessing",
    "subprocess",
    "tomllib",
    "tracelet_hookspecs._bases",
    "tracelet_hookspecs._records",
    "tracelet_hookspecs._specs",
    "tracelet_builtin_plugins",
}


def loaded(program: str) -> set[str]:
    text = (
        f"import json, sys\nbefore = set(sys.modules)\n{program}\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_tracelet_loads_one_module_of_its_own():
    modules = loaded("import tracelet")
    assert {name for name in modules if name.startswith("tracelet")} == {"tracelet"}
    assert not modules & HEAVY


@pytest.mark.parametrize(
    "program",
    [
        "import tracelet; tracelet.start_run",
        "import tracelet.run, tracelet.journal, tracelet.config",
        "import os, tempfile, tracelet; os.environ['TRACELET_MODE'] = 'disabled';"
        " run = tracelet.start_run(dir=tempfile.gettempdir()); run.log({'x': 1.0}, step=1); run.finish()",
    ],
)
def test_the_callers_path_loads_nothing_heavy(program):
    assert not loaded(program) & (HEAVY - {"tomllib"})


def test_every_public_name_resolves():
    loaded(
        "import tracelet\nfor name in tracelet.__all__: getattr(tracelet, name)\nassert 'start_run' in dir(tracelet)"
    )


def test_an_unknown_name_is_an_attribute_error():
    import tracelet

    with pytest.raises(AttributeError, match="no_such_name"):
        _ = tracelet.no_such_name
