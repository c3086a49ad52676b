"""The collector ``console``: everything printed reaches its destination unchanged, and is in the transcript."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracelet
from tracelet_builtin_plugins.collectors.console.screen import LIVE_ROWS, Screen

TRACELET = Path(sys.executable).with_name("tracelet")
ONLY_CONSOLE = ("-p", "no:system", "-p", "no:environment", "-p", "no:gpu", "-p", "no:code")

PRINTS = """
    import os, subprocess, sys
    print("python"); print("to stderr", file=sys.stderr)
    os.write(1, b"raw \\x1b[31mred\\x1b[0m\\n")
    sys.stdout.flush(); sys.stderr.flush()
    subprocess.run(["sh", "-c", "echo child; echo child error >&2"])
    for i in range(5): print(f"{i}/5", end="\\r")
    print()
    print("no newline", end="")
"""


def start(project, *argv, **options):
    """Start a program in a project, with pipes unless other streams are given."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([str(word) for word in argv], cwd=project.path, env=project.environ, **streams)


def transcript(project):
    """Return what was recorded of the only run."""
    (record,) = tracelet.open_store(project.path / ".tracelet").runs()
    return record.console()


def texts(project, stream=None):
    return [line.text for line in transcript(project) if stream in (None, line.stream)]


def test_output_through_pipes_is_the_same_with_and_without(project):
    project.write("train.py", PRINTS)
    plain = project.python("train.py")
    recorded = project.tracelet("run", "-q", *ONLY_CONSOLE, "train.py")
    assert recorded.stdout == plain.stdout
    assert recorded.stderr.startswith(plain.stderr)
    assert texts(project, "stdout") == ["python", "raw red", "child", "4/5", "no newline"]
    assert texts(project, "stderr") == ["to stderr", "child error"]


def on_a_terminal(project, *argv):
    """Run a program on a pseudoterminal and return what appears there."""
    master, slave = pty.openpty()
    process = start(project, *argv, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # nobody has the terminal open any more
            break
        shown += data
    os.close(master)
    assert process.wait(30) == 0
    return shown


def test_output_on_a_terminal_is_the_same_with_and_without(project):
    project.write("train.py", PRINTS + "    print(sys.stdout.isatty(), os.get_terminal_size())\n")
    plain = on_a_terminal(project, sys.executable, "train.py")
    recorded = on_a_terminal(project, TRACELET, "run", "-q", *ONLY_CONSOLE, "train.py")
    assert recorded.startswith(plain)
    assert texts(project)[:2] == ["python", "to stderr"]  # in the order of printing
    assert {line.stream for line in transcript(project)} == {"both"}
    assert b"True os.terminal_size" in plain


def test_a_killed_program_loses_nothing(project):
    project.write(
        "train.py",
        "import os, signal, sys\nfor i in range(5000): print('line', i)\nsys.stdout.flush()\n"
        "os.kill(os.getpid(), signal.SIGKILL)",
    )
    done = project.tracelet("run", "-q", *ONLY_CONSOLE, "train.py", status=-signal.SIGKILL)
    assert done.stdout.splitlines()[-1] == "line 4999"
    deadline = time.monotonic() + 10
    while (found := texts(project))[-1:] != ["line 4999"] and time.monotonic() < deadline:
        time.sleep(0.05)  # the separate process records on
    assert [line for line in found if line.startswith("line ")] == [f"line {i}" for i in range(5000)]


def test_the_program_goes_on_when_the_separate_process_is_killed(project):
    project.write(
        "train.py",
        """
        import os, signal, subprocess, sys, time
        children = subprocess.check_output(["pgrep", "-P", str(os.getpid()), "-f", "tee.py"])
        (tee,) = map(int, children.split())
        for i in range(2000):
            print("line", i, "x" * 100)
            if i == 1000:
                sys.stdout.flush()
                time.sleep(0.5)  # what it has read and not passed on would be lost with it
                os.kill(tee, signal.SIGKILL)
        """,
    )
    done = project.tracelet("run", "-q", *ONLY_CONSOLE, "train.py", timeout=60)
    numbers = [int(line.split()[1]) for line in done.stdout.splitlines()]
    assert numbers == list(range(2000))


def test_a_child_that_outlives_the_program_still_prints(project):
    project.write("train.py", "import subprocess; subprocess.Popen(['sh', '-c', 'sleep 1; echo late'])")
    process = start(project, TRACELET, "run", "-q", *ONLY_CONSOLE, "train.py")
    out, _ = process.communicate(timeout=30)
    assert out == b"late\n"


def test_a_reader_that_leaves_ends_the_program_as_it_would_otherwise(project):
    project.write("train.py", "while True: print('y' * 100)")
    process = start(project, TRACELET, "run", "-q", *ONLY_CONSOLE, "train.py")
    assert process.stdout.readline() == b"y" * 100 + b"\n"
    process.stdout.close()
    assert process.wait(30) != 0
    process.stderr.close()


def test_the_middle_of_long_output_is_left_out_and_counted(project):
    project.write("train.py", "for i in range(40_000): print('line', i)")
    project.write("tracelet.toml", "[plugins.console]\nlimit = 0.2\n")
    done = project.tracelet("run", "-q", *ONLY_CONSOLE, "train.py")
    assert done.stdout.splitlines() == [f"line {i}" for i in range(40_000)]
    console = transcript(project)
    assert console.missing > 20_000
    kept = [line.text for line in console if line.stream == "stdout"]
    assert (kept[0], kept[-1]) == ("line 0", "line 39999")
    assert len(kept) + console.missing == 40_000
    assert f"... {console.missing} lines left out ..." in [line.text for line in console]
    folder = console and next((project.path / ".tracelet" / "runs").iterdir()) / "console"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 250_000


def test_secrets_are_masked_in_the_transcript_only(project):
    project.write("train.py", "print('token hf_' + 'abcdefghijklmnopqrstuvwxyzabcdefgh')")
    done = project.tracelet("run", "-q", *ONLY_CONSOLE, "train.py")
    assert "hf_abc" in done.stdout
    assert "hf_abc" not in str(transcript(project))


def test_closed_streams_are_left_alone(project):
    project.write("train.py", "import tracelet\nwith tracelet.start_run() as run: run.log_metric('a', 1)")
    line = f"exec {TRACELET} run -q {' '.join(ONLY_CONSOLE)} train.py >&- 2>&-"
    assert start(project, "sh", "-c", line).wait(30) == 0


def test_show_console(project):
    project.write("train.py", "print('hello \\x1b[1mworld')")
    project.tracelet("run", "-q", *ONLY_CONSOLE, "train.py")
    assert project.tracelet("show", "--console").stdout == "hello world\n"
    shown = json.loads(project.tracelet("show", "--console", "--json").stdout)
    assert [line["text"] for line in shown["lines"]] == ["hello world"]
    assert shown["missing"] == 0


def test_it_is_on_by_default_only_under_tracelet_run(project):
    project.write("train.py", "import tracelet\nwith tracelet.start_run() as run: print('hello')")
    project.python("train.py")
    assert texts(project) == []


lines = st.lists(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20), max_size=2 * LIVE_ROWS
)


@given(lines, st.data())
def test_plain_lines_are_kept_however_they_arrive(lines, data):
    screen, found = Screen(), []
    rest = "".join(line + "\n" for line in lines).encode()
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        found += screen.feed(rest[:size], 1.0)
        rest = rest[size:]
    assert [text for _, text in [*found, *screen.finish()]] == lines


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("10%\r20%\r100%\n", ["100%"]),
        ("long text\rshort\x1b[K\n", ["short"]),
        ("a\nb\n\x1b[2A\x1b[2Kc\n\x1b[2Kd\n", ["c", "d"]),
        ("one\x1b[3Dt\n", ["tne"]),
        ("a\tb\n", ["a       b"]),
        ("abc\b\bX\n", ["aXc"]),
        ("\x1b]0;title\x07text\n", ["text"]),
        ("\x1b[?25l\x1b[38;5;1mred\x1b[0m\x1b[?25h\n", ["red"]),
        ("page one\n\x1b[2J\x1b[Hpage two\n", ["page one", "", "page two"]),
        ("x" * 10_005 + "\n", ["x" * 10_000 + " ... (5 more characters)"]),
        ("\x1b[999999999B\x1b[9999999999Cx\n", None),
    ],
)
def test_control_sequences(printed, shown):
    for size in (1, 3, len(printed)):
        screen, found = Screen(), []
        data = printed.encode()
        for start in range(0, len(data), size):
            found += screen.feed(data[start : start + size], 1.0)
        found = [text for _, text in [*found, *screen.finish()]]
        assert shown is None or found == shown
