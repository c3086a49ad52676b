"""Configuration is read before anything else, so it must not bring in what a program may never need."""

import subprocess
import sys

HEAVY = {
    *("attr", "attrs", "cattrs", "jsonschema", "pluggy", "psutil", "rich", "click", "sqlite3"),
    *(
        "importlib.metadata",
        "inspect",
        "difflib",
        "json",
        "tomllib",
        "tomli",
        "logging",
        "traceback",
        "numpy",
    ),
}


def modules_after(program):
    code = f"import sys; before = set(sys.modules)\n{program}\nprint(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_config_imports_nothing_heavy():
    assert modules_after("import tracelet.config, tracelet.secrets") & HEAVY == set()


def test_loading_without_a_file_imports_nothing_heavy(tmp_path):
    program = f"import tracelet.config; tracelet.config.load_config(root={str(tmp_path)!r}, environ={{}})"
    assert modules_after(program) & HEAVY == set()


def test_validation_brings_in_its_tools_only_where_they_are_used():
    short = "from tracelet.config.validation import validate\nvalidate({'x': {'type': 'number'}}, {'x': 1})"
    assert modules_after(short) & {"cattrs", "jsonschema", "attrs", "referencing"} == set()
    assert "cattrs" not in modules_after(short.replace("{'x': {'type': 'number'}}", "{'type': 'object'}"))
