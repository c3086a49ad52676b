"""A slip in the name of a plugin, or in one that is to be blocked, is reported with the name that was meant."""

from __future__ import annotations

import json

import pytest

LINES = """
    import tracelet

    class Lines:
        @tracelet.hookimpl
        def collect(self):
            return {"lines": 1}
"""
TRAIN = """
    import json, tracelet
    with tracelet.start_run("t") as run:
        run.wait_started(20)
        run.log({"loss": 1})
    metrics = tracelet.open_store().run(run.id).metrics()
    print(json.dumps([name for name in metrics if not name.startswith("system")]))
"""


@pytest.fixture
def packed(project):
    project.write("pk/__init__.py", "from .lines import Lines\n")
    project.write("pk/lines.py", LINES)
    project.write("train.py", TRAIN)
    return project


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("pk:Line", "plugin 'pk:Line': pk has no 'Line'; did you mean 'Lines'?"),
        ("pk.lines:lines", "plugin 'pk.lines:lines': pk.lines has no 'lines'; did you mean 'Lines'?"),
        ("pk.Lines", "plugin 'pk.Lines': there is no module 'pk.Lines'; did you mean 'pk:Lines'?"),
        ("pk.line", "plugin 'pk.line': there is no module 'pk.line'; did you mean 'pk.lines'?"),
        ("./pk.py", "pk.py: there is no such file or folder"),
        ("./lines", "lines: there is no such file or folder"),
    ],
)
def test_a_slip_in_what_is_requested(packed, asked, message):
    done = packed.tracelet("run", "-q", "-p", asked, "train.py")
    assert message in done.stderr
    assert json.loads(done.stdout) == ["loss"]
    assert message in packed.tracelet("run", "-q", "train.py", environ={"TRACELET_PLUGINS": asked}).stderr
    if not asked.startswith("."):
        checked = packed.tracelet("plugins", "check", asked, status=1, environ={"COLUMNS": "200"})
        assert message in checked.stdout


@pytest.mark.parametrize("blocked", ["xyz", "./other.py"])
@pytest.mark.parametrize("door", ["-p", "TRACELET_PLUGINS", "start_run", "tracelet.toml"])
def test_a_blocked_name_that_means_nothing(packed, blocked, door):
    words, environ = [], {}
    if door == "-p":
        words = ["-p", f"no:{blocked}"]
    elif door == "TRACELET_PLUGINS":
        environ = {"TRACELET_PLUGINS": f"no:{blocked}"}
    elif door == "start_run":
        packed.write("train.py", TRAIN.replace('"t"', f'"t", plugins=["no:{blocked}"]'))
    else:
        packed.write("tracelet.toml", f'plugins = ["no:{blocked}"]\n')
    done = packed.tracelet(
        "run", "-q", *words, "train.py", environ={**environ, "TRACELET_STRICT_PLUGINS": "1"}
    )
    assert f"no:{blocked}: no plugin is named {blocked!r}, so it blocks nothing" in done.stderr


@pytest.mark.parametrize(
    "blocked", ["jsonl", "system", "pk", "pk:Lines", "pk.lines", "Lines", "./pk", "lines"]
)
def test_a_blocked_name_that_means_something(packed, blocked):
    done = packed.tracelet("run", "-q", "-p", "pk", "-p", f"no:{blocked}", "train.py")
    assert "no plugin is named" not in done.stderr


def test_a_table_may_stay_for_a_plugin_that_is_not_installed(packed):
    packed.write("tracelet.toml", "[plugins.wandb]\nenabled = false\n")
    assert "wandb" not in packed.tracelet("run", "-q", "train.py").stderr


def test_a_program_blocks_a_plugin_of_the_run_that_it_joins(packed):
    packed.write("train.py", TRAIN.replace('"t"', '"t", plugins=["no:pk", "no:system"]'))
    done = packed.tracelet("run", "-q", "-p", "pk", "train.py")
    assert "no plugin is named" not in done.stderr
    packed.write(
        "train.py",
        """
        import tracelet
        with tracelet.start_run("t", plugins=["no:pk"]) as run:
            print(run.status()["plugins"]["Lines"]["state"])
        """,
    )
    assert packed.tracelet("run", "-q", "-p", "pk", "train.py").stdout == "stopped\n"
