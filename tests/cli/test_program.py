"""A program under ``tracelet run -q`` behaves as under ``python``: compared side by side, for real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

import tracelet

PROBE = """
    import json
    import sys

    main = sys.modules["__main__"]
    spec = main.__spec__
    print(json.dumps({
        "name": __name__,
        "argv": sys.argv,
        "path": sys.path,
        "file": main.__file__,
        "package": main.__package__,
        "spec": spec and [spec.name, spec.origin, spec.parent],
        "loader": type(main.__loader__).__name__,
        "cached": bool(main.__cached__),
        "code": (lambda: 0).__code__.co_filename,
        "is_main": main.__dict__ is globals(),
        "names": sorted(name for name in globals() if name.startswith("__")),
        "builtins": type(__builtins__).__name__,
        "document": __doc__,
    }))
"""


# In short sleeps: a signal that comes between Python's look for signals and a long one waits for its end.
WAIT = """
    import time

    print("waiting", flush=True)
    for _ in range(6000):
        time.sleep(0.01)
"""


def launch(project, *words):
    """Return what a program printed and how it exited, under python and under tracelet."""
    plain = project.python(*words, status=None)
    ours = project.tracelet("run", "-q", *words, status=None)
    return plain, ours


def assert_alike(project, *words):
    plain, ours = launch(project, *words)
    assert ours.returncode == plain.returncode, ours.stderr
    assert ours.stdout == plain.stdout
    return plain, ours


def probe(project, *words):
    """Return what the probe found under python and under tracelet; entries of ``sys.path`` as a set but the first."""
    found = []
    for done in launch(project, *words):
        assert done.returncode == 0, done.stderr
        one = json.loads(done.stdout)
        found.append({**one, "path": one["path"][0]})
    return found


@pytest.fixture
def probing(project):
    project.write("probe.py", PROBE)
    project.write("sub/deep/probe.py", PROBE)
    project.write("package/__init__.py", "")
    project.write("package/probe.py", PROBE)
    project.write("package/__main__.py", PROBE)
    project.write("folder/__main__.py", PROBE)
    (project.path / "link.py").symlink_to("sub/deep/probe.py")
    with zipfile.ZipFile(project.path / "archive.zip", "w") as archive:
        archive.write(project.path / "probe.py", "__main__.py")
    return project


@pytest.mark.parametrize(
    "words",
    [
        ["probe.py"],
        ["probe.py", "a", "-p", "x", "--json", "--", "-m", "z"],
        ["./sub/../probe.py"],
        ["sub/deep/probe.py"],
        ["link.py"],
        ["folder", "x"],
        ["archive.zip", "x"],
        ["-m", "probe", "-v", "--name", "mine"],
        ["-m", "package"],
        ["-m", "package.probe", "-m", "x"],
    ],
    ids=" ".join,
)
def test_it_finds_itself_as_under_python(probing, words):
    plain, ours = probe(probing, *words)
    assert ours == plain


@pytest.mark.parametrize(
    ("words", "name"), [(["probe.py"], "probe"), (["-m", "package"], "package"), (["folder"], "folder")]
)
def test_a_run_without_a_name_is_called_as_its_program(probing, words, name):
    probing.tracelet("run", "-q", *words)
    [run] = tracelet.open_store(probing.path).runs()
    assert run.name == f"{name}-{run.id.rpartition('-')[2]}"


def test_options_of_its_own_are_left_to_it(probing):
    done = probing.tracelet(
        "run", "-q", "--name", "mine", "-p", "no:system", "probe.py", "--help", "-q", "--name"
    )
    assert json.loads(done.stdout)["argv"] == ["probe.py", "--help", "-q", "--name"]


def test_two_dashes_may_stand_before_the_script(probing):
    done = probing.tracelet("run", "-q", "--", "probe.py", "--", "x")
    assert json.loads(done.stdout)["argv"] == ["probe.py", "--", "x"]


def test_a_module_may_be_attached_to_its_option(probing):
    done = probing.tracelet("run", "-qmprobe", "-q")
    assert json.loads(done.stdout)["argv"][1:] == ["-q"]


@pytest.mark.parametrize(
    "ending",
    [
        "pass",
        "sys.exit()",
        "sys.exit(0)",
        "sys.exit(3)",
        "sys.exit(257)",
        "sys.exit(-1)",
        "sys.exit('a word of farewell')",
        "sys.exit(True)",
        "raise SystemExit",
        "raise SystemExit(['a', 'list'])",
        "os._exit(7)",
        "os.kill(os.getpid(), signal.SIGKILL)",
        "os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)",
        "os.kill(os.getpid(), signal.SIGINT); time.sleep(5)",
        "raise KeyboardInterrupt",
        "1 / 0",
        "raise BaseException('rare')",
        "raise ExceptionGroup('several', [ValueError(1)])"
        if sys.version_info >= (3, 11)
        else "raise ValueError",
    ],
)
def test_its_exit_status_is_the_commands(project, ending):
    project.write("end.py", f"import os, signal, sys, time\nprint('said', flush=True)\n{ending}\n")
    plain, ours = launch(project, "end.py")
    assert (ours.returncode, ours.stdout) == (plain.returncode, plain.stdout), ours.stderr
    assert plain.stderr in ours.stderr


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    1 / 0\n\nf()\n",
        "def broken(:\n",
        "import json\njson.loads('{')\n",
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('second') from e\n",
        "import sys\nsys.excepthook = lambda *e: print('mine', e[0].__name__, e[2].tb_frame.f_lineno)\n1 / 0\n",
        "import missing_module_of_mine\n",
        "raise KeyboardInterrupt\n",
    ],
    ids=["plain", "syntax", "library", "chained", "hook", "import", "interrupt"],
)
def test_a_traceback_is_its_own(project, text):
    project.write("fail.py", text)
    plain, ours = launch(project, "fail.py")
    assert ours.returncode == plain.returncode
    assert ours.stdout == plain.stdout
    assert ours.stderr.startswith(plain.stderr)


def test_a_file_that_is_not_text_is_a_syntax_error(project):
    (project.path / "fail.py").write_bytes(b"x = '\xff'\n")
    done = project.tracelet("run", "-q", "fail.py", status=1)
    assert "SyntaxError" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_traceback_of_a_module_has_its_frames_alone(project):
    project.write("package/__init__.py", "")
    project.write("package/fail.py", "def f():\n    1 / 0\n\nf()\n")
    ours = project.tracelet("run", "-q", "-m", "package.fail", status=1)
    assert ours.stderr.count('File "') == 2
    assert "tracelet/cli" not in ours.stderr


def test_a_package_that_fails_to_import_is_a_failure_of_the_program(project):
    project.write("package/__init__.py", "1 / 0\n")
    project.write("package/job.py", "")
    ours = project.tracelet("run", "-q", "-m", "package.job", status=1)
    assert ours.stderr.count('File "') == 1
    assert "ZeroDivisionError" in ours.stderr


def test_what_atexit_was_given_runs_once_and_last(project):
    project.write(
        "leave.py",
        """
        import atexit
        import sys
        import threading
        import time

        atexit.register(print, "first registered")
        atexit.register(print, "second registered")

        def linger():
            time.sleep(0.2)
            print("thread")

        threading.Thread(target=linger).start()
        print("body")
        sys.exit(4)
        """,
    )
    plain, _ = assert_alike(project, "leave.py")
    assert plain.stdout.split("\n") == ["body", "thread", "second registered", "first registered", ""]


def test_a_thread_may_still_record_when_the_program_has_run_through(project):
    project.write(
        "threads.py",
        """
        import threading
        import time
        from concurrent.futures import ThreadPoolExecutor

        import tracelet

        pool = ThreadPoolExecutor(2)  # left open, as programs do
        pool.submit(print, "worked").result()

        def later():
            time.sleep(0.3)
            tracelet.log({"late": 1.0})

        threading.Thread(target=later).start()
        """,
    )
    done = project.tracelet("run", "threads.py", timeout=30)
    assert "late" in done.stdout


def test_processes_of_an_executor_that_is_left_open_do_not_keep_it(project):
    project.write(
        "left_open.py",
        """
        from concurrent.futures import ProcessPoolExecutor

        if __name__ == "__main__":
            pool = ProcessPoolExecutor(1)  # its thread ends only with the interpreter
            print(pool.submit(sum, [1, 2]).result())
        """,
    )
    done = project.tracelet("run", "-q", "-p", "no:console", "left_open.py", timeout=60)
    assert done.stdout == "3\n"


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_multiprocessing_finds_the_script(project, method):
    project.write(
        "workers.py",
        f"""
        import multiprocessing

        def square(x):
            return x * x

        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            with context.Pool(2) as pool:
                print(pool.map(square, range(4)))
        """,
    )
    assert_alike(project, "workers.py")


def test_multiprocessing_finds_the_module(project):
    project.write("package/__init__.py", "")
    project.write(
        "package/workers.py",
        """
        import multiprocessing

        def square(x):
            return x * x

        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                print(pool.map(square, range(4)))
        """,
    )
    assert_alike(project, "-m", "package.workers")


def test_a_forked_child_prints_no_summary_of_its_own(project):
    project.write(
        "fork.py",
        """
        import os
        import sys

        import tracelet

        child = os.fork()
        if not child:
            tracelet.log({"of_child": 1.0})
            sys.exit(5)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        tracelet.log({"of_parent": 1.0})
        """,
    )
    done = project.tracelet("run", "fork.py")
    assert done.stdout.count("tracelet show") >= 1
    assert done.stdout.count("── summary") == 1
    assert "\n5\n" in done.stdout
    assert "of_child" in done.stdout
    assert "of_parent" in done.stdout


def test_it_can_pickle_what_it_defines(project):
    project.write(
        "pickles.py",
        """
        import pickle

        class Thing:
            x = 1

        copy = pickle.loads(pickle.dumps(Thing()))
        print(type(copy) is Thing, Thing.__module__)
        """,
    )
    assert_alike(project, "pickles.py")


def test_its_standard_input_is_its_own(project):
    project.write("echo.py", "import sys\nprint(sys.stdin.read().upper())\n")
    command = [Path(sys.executable).with_name("tracelet"), "run", "-q", "echo.py"]
    done = subprocess.run(
        command,
        cwd=project.path,
        env=project.environ,
        input="words",
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == "WORDS\n"


def test_files_beside_it_do_not_hide_what_the_command_needs(project):
    for name in ("rich", "click", "statistics", "csv", "sqlite3", "attrs"):
        project.write(f"{name}.py", "raise RuntimeError('not meant')\n")
    project.write("train.py", "import tracelet\ntracelet.log({'loss': 1.0})\n")
    done = project.tracelet("run", "train.py")
    assert "loss" in done.stdout
    assert "not meant" not in done.stdout + done.stderr


def test_nothing_is_cached_for_the_script(project):
    project.environ.pop("PYTHONDONTWRITEBYTECODE")
    project.write("once.py", "print('hello')\n")
    project.tracelet("run", "-q", "once.py")
    assert not (project.path / "__pycache__").exists()


def test_output_comes_as_it_is_written(project):
    """The program's output is not held back until it ends."""
    project.write("slow.py", "import time\nprint('now', flush=True)\ntime.sleep(30)\n")
    process = start(project, "run", "slow.py")
    try:
        lines = iter(process.stdout.readline, "")
        began = time.monotonic()
        assert "now\n" in lines
        assert time.monotonic() - began < 25
    finally:
        process.kill()
        process.communicate()


def start(project, *words):
    return subprocess.Popen(
        [Path(sys.executable).with_name("tracelet"), *words],
        cwd=project.path,
        env=project.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def wait_for(process, word):
    for line in process.stdout:
        if word in line:
            return
    pytest.fail(f"never said {word!r}")


def test_ctrl_c_ends_it_as_it_ends_python(project):
    project.write("wait.py", WAIT)
    process = start(project, "run", "wait.py")
    wait_for(process, "waiting")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT  # which a shell shows as 130
    assert "KeyboardInterrupt" in err
    assert "wait.py" in err
    assert "tracelet show" in out
    assert "Traceback" not in out
    assert err.count("Traceback") == 1


def test_a_shell_sees_130_after_ctrl_c(project):
    project.write("wait.py", "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n")
    command = f"{Path(sys.executable).with_name('tracelet')} run -q wait.py; echo $?"
    assert project.run("bash", "-c", command).stdout == "130\n"


def test_a_program_may_handle_ctrl_c(project):
    project.write(
        "stubborn.py",
        """
        import time
        try:
            print("waiting", flush=True)
            for _ in range(6000):
                time.sleep(0.01)
        except KeyboardInterrupt:
            print("handled")
        """,
    )
    process = start(project, "run", "-q", "stubborn.py")
    wait_for(process, "waiting")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "handled" in out


def test_sigterm_ends_the_run_and_the_program(project):
    project.write("wait.py", WAIT)
    process = start(project, "run", "wait.py")
    wait_for(process, "waiting")
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGTERM
    [run] = json.loads(project.tracelet("runs", "--json").stdout)["runs"]
    assert run["outcome"] == "killed"


def test_a_closed_output_does_not_change_its_status(project):
    project.write("closing.py", "import os, sys\nsys.stdout.close()\nos.close(1)\nsys.exit(6)\n")
    done = project.tracelet("run", "closing.py", status=6)
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_does_not_change_its_status(project):
    project.write("chatty.py", "import sys\nsys.exit(6)\n")
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [Path(sys.executable).with_name("tracelet"), "run", "chatty.py"],
        cwd=project.path,
        env=project.environ,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
    )
    os.close(write)
    assert done.returncode == 6
    assert "Traceback" not in done.stderr


def test_group_and_notes_are_recorded(project):
    project.write("train.py", "print('trained')\n")
    project.tracelet("run", "--group", "sweep", "--notes", "the **first** one", "train.py")
    import tracelet

    record = tracelet.open_store(project.path).run()
    assert (record.group, record.notes) == ("sweep", "the **first** one")
    project.tracelet("edit", record.id, "--notes", "edited")
    project.tracelet("run", "--resume", "--group", "other", "--notes", "the **first** one", "train.py")
    again = tracelet.open_store(project.path).run(record.id)
    assert (again.group, again.notes) == ("other", "edited")
