"""The fixtures of the pytest plugin, as a stranger uses them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import tracelet
from tracelet.testing import strategies

TRAIN = """
    import tracelet

    with tracelet.start_run("digits", params={"lr": 0.1}) as run:
        for step in range(3):
            run.log({"loss": 1 / (step + 1)}, step=step)
    print("loss is", 1 / 3)
"""


def test_a_project_runs_programs_and_reads_their_runs(tracelet_project):
    tracelet_project.write({"train.py": TRAIN, "sub/notes.txt": "  a\n  b\n"})
    assert (tracelet_project.path / "sub" / "notes.txt").read_text() == "a\nb\n"
    done = tracelet_project.run("train.py")
    assert done.status == 0
    assert done.run.name == "digits"
    assert done.run.params == {"lr": 0.1}
    assert list(done.run.metric("loss").values) == [1.0, 0.5, 1 / 3]
    done.out.fnmatch_lines(["loss is 0.333*"])
    done.out.re_match_lines(r"loss is \d")
    done.out.no_fnmatch_line("*Traceback*")
    listed = tracelet_project.tracelet("runs", "--json")
    assert '"digits"' in listed.out
    assert not listed.err.text


def test_a_project_is_sealed(tracelet_project, monkeypatch):
    monkeypatch.setenv("TRACELET_PROJECT", "of the machine")
    done = tracelet_project.run("-c", "import os; print(os.environ.get('HOME')); print(os.environ)")
    assert done.out.lines[0] == str(tracelet_project.home)
    tracelet_project.environ["TRACELET_MODE"] = "disabled"
    tracelet_project.write({"train.py": TRAIN})
    done = tracelet_project.run("train.py")
    with pytest.raises(pytest.fail.Exception, match="expected one new run, found 0"):
        done.run


def test_a_wrong_status_shows_everything(tracelet_project):
    with pytest.raises(pytest.fail.Exception, match=r"(?s)expected the exit status 0, found 3.*out.*err"):
        tracelet_project.run("-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert tracelet_project.run("-c", "raise SystemExit(3)", status=3).status == 3
    assert tracelet_project.run("-c", "raise SystemExit(3)", status=None).status == 3


def test_lines_that_do_not_match_show_the_output(tracelet_project):
    out = tracelet_project.run("-c", "print('one\\ntwo\\nthree')").out
    out.fnmatch_lines(["one", "th*"])
    with pytest.raises(
        pytest.fail.Exception, match=r"no line matches 'one' \(fnmatch\) after a match of 'two'"
    ):
        out.fnmatch_lines(["two", "one"])
    with pytest.raises(pytest.fail.Exception, match=r"line 2 matches 't\.o'"):
        out.no_re_match_line("t.o")


def test_a_run_in_a_temporary_store(tracelet_run, tracelet_sealed):
    tracelet_run.log({"loss": 0.5}, step=0)
    tracelet_run.flush()
    assert tracelet.active_run() is tracelet_run
    assert os.environ["HOME"] == str(tracelet_sealed)
    assert not {"system", "environment", "gpu"} & set(tracelet_run.status()["collecting"])


@pytest.mark.parametrize("options", [(), ("-p", "no:tracelet"), ("-p", "no:cacheprovider")])
def test_a_session_that_does_not_use_it_loads_nothing_of_it(tracelet_project, options):
    """Of all that the kit needs, a session that ignores it imports two modules."""
    tracelet_project.write(
        {
            "test_other.py": """
                import sys

                HEAVY = ("hypothesis", "attrs", "pluggy", "tracelet.run", "tracelet.host", "tracelet.testing.harness")

                def test_nothing_is_loaded():
                    loaded = {name for name in sys.modules if name.startswith("tracelet")}
                    assert loaded <= {"tracelet", "tracelet.testing", "tracelet.testing.plugin"}
            """
        }
    )
    words = ("-m", "pytest", "-q", *options, "-p", "no:hypothesispytest", "test_other.py")
    tracelet_project.run(*words).out.re_match_lines("1 passed")


def test_importing_tracelet_does_not_import_the_kit():
    program = "import sys, tracelet, tracelet.run; print([m for m in sys.modules if 'testing' in m])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_kit_without_its_extra_imports_until_it_is_needed():
    program = "import sys, tracelet.testing; print({'pytest', 'hypothesis'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_configurations_of_a_schema_are_valid():
    from hypothesis import given, settings

    from tracelet.config.validation import validate

    schema = {
        "url": {"type": "string", "required": True},
        "timeout": {"type": "number", "default": 30},
        "retries": {"type": "integer", "default": 3},
        "names": {"type": "array"},
        "on": {"type": "boolean", "default": True},
        "labels": {"type": "object"},
    }

    @settings(max_examples=30, deadline=None, database=None)
    @given(strategies.configurations(schema), strategies.points(max_size=5))
    def check(config, points):
        validate(schema, config, path="plugins.x")
        assert len({point.id for point in points}) == len(points)
        assert all(point.name for point in points)

    check()
