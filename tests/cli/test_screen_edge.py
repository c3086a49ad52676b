"""What reaches the screen: no character that a terminal obeys, whole names, one JSON document."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.text import Text

from tracelet.cli.views.screen import safe_text

# On one worker, since all of them read what one fixture makes.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("screen_edge")]

EVIL = "\x1b]0;pwned\x07\x1b[31m\x9b2J\u202e\u2066\x7f\u200b"
OBEYED = [sign for sign in EVIL if not sign.isprintable()]
HOSTILE = f"""
    import tracelet

    EVIL = {EVIL!r}
    params, tags = {{"k" + EVIL: EVIL, "seed": 1}}, {{"t" + EVIL: EVIL}}
    with tracelet.start_run("n" + EVIL, params=params, tags=tags, project="p" + EVIL) as run:
        run.log({{"m" + EVIL: 1.0}}, step=0)
        run.log({{"m" + EVIL: 2.0}}, step=1)
        run.log_table("t" + EVIL, [[1, EVIL], [3, None]], ["c" + EVIL, "d"])
        run.finish("outcome" + EVIL, error="e" + EVIL)
    with tracelet.start_run("other", params={{"seed": 2}}) as run:
        run.log({{"m" + EVIL: 3.0}}, step=0)
"""
QUIET = 'plugins = ["no:system", "no:environment", "no:gpu"]\n'


@pytest.fixture(scope="module")
def hostile(make_project):
    """Return a project whose runs try to control the terminal; no test here changes it."""
    project = make_project("hostile")
    project.write("tracelet.toml", QUIET)
    project.write("train.py", HOSTILE)
    project.python("train.py", environ={"PYTHONUTF8": "1"})
    run = next(path for path in (project.path / ".tracelet/runs").iterdir())
    run.rename(run.with_name("id" + EVIL))
    return project


COMMANDS = [
    ["runs", "--params", "--tags", "-c", "error", "-c", "project"],
    ["show", "latest"],
    ["show", "other", "-a"],
    ["show", "id" + EVIL, "-a"],
    ["show", "id" + EVIL, "*"],
    ["compare", "--where", "duration >= 0", "-a"],
    ["verify", "id" + EVIL],
    ["doctor"],
    ["show", "no such" + EVIL],
    ["runs", "--where", EVIL],
    ["runs", "--" + EVIL],
    [EVIL],
    ["compact"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: re.sub(r"\W+", "_", " ".join(words)))
def test_nothing_that_is_printed_controls_the_terminal(hostile, words):
    for more in ([], ["--json"]):
        done = hostile.tracelet(*words, *more, status=None, environ={"PYTHONUTF8": "1"})
        assert done.stdout or done.stderr
        assert "Traceback" not in done.stderr
        for text in (done.stdout, done.stderr):
            assert [sign for sign in OBEYED if sign in text] == []


def test_json_still_says_what_was_recorded(hostile):
    shown = json.loads(hostile.tracelet("show", "id" + EVIL, "--json").stdout)
    names = {shown["name"], *shown["params"], *(metric["name"] for metric in shown["metrics"])}
    assert names in ({"n" + EVIL, "k" + EVIL, "seed", "m" + EVIL}, {"other", "seed", "m" + EVIL})


def test_styles_survive_what_is_escaped():
    text = safe_text(Text("a\x1bb", "bold"))
    assert text.plain == r"a\x1bb"
    assert {str(span.style) for span in text.spans} == {"bold"}
    plain = Text("plain")
    assert safe_text(plain) is plain


CHATTY = """
    import atexit
    import os
    import subprocess

    import tracelet

    print("hello")
    os.write(1, b"hello from below\\n")
    subprocess.run(["echo", "hello from a child"])
    atexit.register(print, "goodbye")

    @tracelet.hookimpl
    def log_metrics(points):
        print("received", len(points))
"""


@pytest.mark.parametrize(
    "words",
    [["plugins"], ["plugins", "info", "tracelet_plugins"], ["doctor"], ["runs"], ["show"], ["sync", "--all"]],
    ids=" ".join,
)
def test_json_is_one_document_next_to_chatty_plugins(project, words):
    project.write("tracelet.toml", QUIET)
    project.write("train.py", "import tracelet\nwith tracelet.start_run() as run: run.log({'x': 1})\n")
    project.python("train.py")
    project.write("tracelet_plugins.py", CHATTY)
    done = project.tracelet(*words, "--json")
    assert json.loads(done.stdout)
    if words[0] in ("plugins", "doctor", "sync"):
        assert "hello from below" in done.stderr
        assert "hello from a child" in done.stderr


def test_a_program_can_call_the_command_line(project):
    project.write(
        "call.py",
        """
        from tracelet.cli import main

        assert main(["hooks", "log_metric", "--json"]) == 0
        print("after")
        """,
    )
    document, _, rest = project.python("call.py").stdout.rpartition("}\n")
    assert json.loads(document + "}")["name"] == "log_metric"
    assert rest == "after\n"


@pytest.mark.parametrize("words", [["runs", "--json"], ["runs"], ["plugins", "--json"]], ids=" ".join)
def test_a_closed_output_is_no_traceback(project, words):
    done = subprocess.run(
        ["bash", "-c", '"$0" "$@" >&-', Path(sys.executable).with_name("tracelet"), *words],
        cwd=project.path,
        env=project.environ,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr


def test_media_are_grouped_and_files_counted(project):
    project.write("tracelet.toml", QUIET)
    project.write(
        "train.py",
        """
        from pathlib import Path

        import tracelet

        with tracelet.start_run("media") as run:
            for step in range(5):
                for layer in range(12):
                    run.log_histogram(f"weights/{layer:02}", list(range(10)), step=step)
            for number in range(15):
                Path(f"file{number:02}.txt").write_text("x" * number)
                run.log_artifact(f"file{number:02}.txt")
        """,
    )
    project.python("train.py")
    shown = project.tracelet("show").stdout
    assert re.search(r"^media +weights/00  5 histograms, steps 0 … 4, \S+ \wB?$", shown, re.M)
    assert re.search(r"^ +and 2 more: tracelet show \S+ --all$", shown, re.M)
    assert re.search(r"^ +and 5 more: tracelet show \S+ --all$", shown, re.M)
    assert "file12.txt" not in shown
    whole = project.tracelet("show", "--all").stdout
    assert "weights/11" in whole
    assert "file14.txt" in whole


def test_parameters_break_between_two_and_tags_may_be_bare(project):
    project.write("tracelet.toml", QUIET)
    params = {f"parameter_{number}": number for number in range(12)}
    project.write(
        "train.py",
        f"import tracelet\nwith tracelet.start_run(params={params}, tags=['grid', 'svc']): pass\n",
    )
    project.python("train.py")
    shown = project.tracelet("show").stdout
    for number in range(12):
        assert f"parameter_{number} {number}" in shown
    assert re.search(r"^tags +grid · svc$", shown, re.M)


def test_long_names_leave_room_for_the_trend(project):
    project.write("tracelet.toml", QUIET)
    project.write(
        "train.py",
        """
        import tracelet

        with tracelet.start_run("hf") as run:
            for step in range(50):
                run.log({"eval_samples_per_second": 1500.0 + step, "learning_rate": 5e-5 / (step + 1)}, step=step)
        """,
    )
    project.python("train.py")
    shown = project.tracelet("show", environ={"COLUMNS": "80"}).stdout
    row = next(line for line in shown.splitlines() if line.startswith("eval_samples_per_second "))
    assert len(set(row) & set("▁▂▃▄▅▆▇█")) > 4


def test_export_is_utf8_into_a_pipe_and_escaped_on_a_terminal(project):
    import pty

    project.write("tracelet.toml", QUIET)
    name = "потеря\x1b[31m"
    project.write(
        "train.py", f"import tracelet\nwith tracelet.start_run('r') as run: run.log({{{name!r}: 1.0}})\n"
    )
    project.python("train.py", environ={"PYTHONUTF8": "1"})
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    assert name in project.tracelet("export", environ=ascii_only).stdout
    ours, theirs = pty.openpty()
    command = [Path(sys.executable).with_name("tracelet"), "export"]
    environ = {**project.environ, "PYTHONUTF8": "1"}
    subprocess.run(
        command, cwd=project.path, env=environ, stdin=theirs, stdout=theirs, timeout=60, check=True
    )
    os.close(theirs)
    seen = os.read(ours, 65536).decode()
    os.close(ours)
    assert r"потеря\x1b[31m" in seen
    assert "\x1b" not in seen


def test_parquet_is_parquet(project):
    parquet = pytest.importorskip("pyarrow.parquet")
    project.write("tracelet.toml", QUIET)
    project.write(
        "train.py", "import tracelet\nwith tracelet.start_run('r') as run: run.log({'loss': 0.5}, step=3)\n"
    )
    project.python("train.py")
    project.tracelet("export", "-o", "points.parquet")
    table = parquet.read_table(project.path / "points.parquet").to_pylist()
    assert [(row["metric"], row["iteration"], row["value"]) for row in table] == [("loss", 3, 0.5)]


def test_metrics_named_like_patterns_are_shown_and_exported(project):
    project.write("tracelet.toml", QUIET)
    project.write(
        "train.py",
        """
        import tracelet

        with tracelet.start_run("r") as run:
            for step in range(3):
                run.log({"*": step, "loss": 10 + step, "!loss": 20 + step, "[a]": 30 + step}, step=step)
        """,
    )
    project.python("train.py")
    shown = project.tracelet("show").stdout
    for name, last in (("*", 2), ("loss", 12), ("!loss", 22), ("[a]", 32)):
        assert re.search(rf"^{re.escape(name)} +{last} ", shown, re.M), shown
    for name in ("*", "!loss", "[a]"):
        pattern = "\\*" if name == "*" else name
        lines = project.tracelet("export", "--metric", pattern).stdout.splitlines()[1:]
        assert {line.split(",")[0].lstrip("'") for line in lines} == {name}
        assert re.search(rf"^{re.escape(name)} · last", project.tracelet("show", "r", pattern).stdout, re.M)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_tables_line_up_in_every_encoding(project, encoding):
    project.write("tracelet.toml", QUIET)
    project.write(
        "train.py",
        """
        import tracelet

        for number in range(2):
            with tracelet.start_run("학습 größe", params={"модель": number}) as run:
                run.log({"потеря": 1.0 + number}, step=0)
        """,
    )
    project.python("train.py", environ={"PYTHONUTF8": "1"})
    environ = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", "COLUMNS": "80"}
    for words in (["runs", "--params"], ["compare", "--where", "duration >= 0"], ["show"]):
        done = subprocess.run(
            [Path(sys.executable).with_name("tracelet"), *words],
            cwd=project.path,
            env={**project.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        lines = done.stdout.decode(encoding).splitlines()
        assert max(map(len, lines)) <= 80
        rule = next(at for at, line in enumerate(lines) if at and set(line.strip()) in ({"-"}, {"─"}))
        assert max(cell_len(line) for line in lines[rule - 1 : rule + 3]) <= cell_len(lines[rule])
