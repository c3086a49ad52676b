"""What ``tracelet run`` prints around a program."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TRAIN = """
    import sys

    import tracelet

    with tracelet.start_run("decay", params={"lr": 0.1, "layers": [8, 16]}, tags={"kind": "test"}) as run:
        for step in range(100):
            loss = 1 / (step + 1)
            run.log({"train/loss": loss, "train/acc": 1 - loss, "rest": step % 7}, step=step)
        run.log_metric("once", 5)
        run.log_metric("gone", float("nan"))
        run.log_artifact(__file__)
        print("the program says this")
        print("and this", file=sys.stderr)
"""
PLUGINS = """
    import tracelet
    from tracelet.core.plugins import BackendPlugin, PluginMetadata

    @tracelet.hookimpl
    def report_header(config):
        return [f"project is {config['project']}", f"token is {config['tables']['flaky']['token']}"]

    @tracelet.hookimpl
    def report_summary(run):
        return f"see example.org/{run.name}"

    class Backend(BackendPlugin):
        name, error = "good", None
        def initialize(self, config): pass
        def start(self): pass
        def stop(self): pass
        def get_status(self): return {}
        def log_metric(self, name, value, iteration): pass
        def log_params(self, params): pass
        def log_artifact(self, local_path, artifact_path=None): pass
        @classmethod
        def get_metadata(cls):
            return PluginMetadata(name=cls.name, version="1.5", type="backend")

    class Broken(Backend):
        name = "broken"
        def start(self): raise RuntimeError("no such luck")

    class Flaky(Backend):
        name = "flaky"
        def log_metric(self, name, value, iteration): raise ConnectionError("far away")
"""


@pytest.fixture
def train(project):
    project.write("tracelet.toml", 'project = "tests"\nfinish_timeout = 5\n')
    project.write("train.py", TRAIN)
    project.environ.pop("COLUMNS")  # a pipe gets whole lines
    return project


def parts(output):
    """Return the header, what the program said, and the summary."""
    header, rest = re.split(r"^─+\n", output, maxsplit=1, flags=re.M)
    said, summary = re.split(r"^── summary ─+\n", rest, maxsplit=1, flags=re.M)
    return header, said, summary


def test_header_program_summary(train):
    done = train.tracelet("run", "train.py")
    header, said, summary = parts(done.stdout)
    assert header.startswith("── tracelet run ──")
    assert f"Python {sys.version.split()[0]}" in header
    assert re.search(r"^root +\S+\nconfig +tracelet.toml$", header, re.M)
    assert re.search(r"^run +\d{8}-\d{6}-\w{6} · project tests$", header, re.M)
    assert re.search(r"^folder +\.tracelet/runs/\d{8}-\d{6}-\w{6}$", header, re.M)
    assert re.search(
        r"^plugins +code [\d.]+, console [\d.]+, environment [\d.]+, system [\d.]+", header, re.M
    )
    assert said == "the program says this\n"
    assert done.stderr == "and this\n"
    assert re.search(r"^train/loss +0\.0100 +0\.0100 +99 +100 +█.+▁$", summary, re.M)
    assert re.search(r"^train/acc +0\.9900 +0\.9900 +99 +100 +▁.+█$", summary, re.M)
    assert re.search(r"^rest +1 +0 … 6 +100 +\S+$", summary, re.M)
    assert re.search(r"^once +5 +1$", summary, re.M)
    assert re.search(r"^gone +nan +1$", summary, re.M)
    assert re.search(r"^and \d+ measured by collectors: tracelet show \S+ --all$", summary, re.M)
    assert re.search(r"^params +lr 0\.1 · layers/0 8 · layers/1 16$", summary, re.M)
    assert re.search(r"^tags +kind test$", summary, re.M)
    assert re.search(r"^(artifacts)? +artifacts/train.py  \d+ B$", summary, re.M)
    assert re.search(r"^system +collector +\d+ +0 +.*ok$", summary, re.M)
    page, last = done.stdout.splitlines()[-2:]
    has_page = find_spec("starlette") is not None and find_spec("uvicorn") is not None
    assert ("tracelet ui shows it in a browser" in page) == has_page
    assert re.match(r"── decay finished in .+ · tracelet show \S+ ─+$", last)


def test_the_hint_at_its_end_works(train):
    done = train.tracelet("run", "train.py")
    hint = re.search(r"tracelet (show \S+) ─", done.stdout)
    assert hint is not None
    assert "train/loss" in train.tracelet(*hint[1].split()).stdout


def test_quiet_leaves_the_programs_output_alone(train):
    done = train.tracelet("run", "--quiet", "train.py")
    assert done.stdout == "the program says this\n"
    assert re.fullmatch(r"and this\ntracelet: run decay finished; tracelet show \S+\n", done.stderr)


def test_a_program_that_does_not_know_tracelet(train):
    train.write("plain.py", "print('plain')\n")
    done = train.tracelet("run", "plain.py")
    _, said, summary = parts(done.stdout)
    assert said == "plain\n"
    assert "plain-" in summary
    assert "finished" in summary


def test_a_program_that_fails(train):
    train.write("fail.py", "import tracelet\ntracelet.log({'loss': 1})\nraise ValueError('nothing\\nleft')\n")
    done = train.tracelet("run", "fail.py", status=1)
    _, said, summary = parts(done.stdout)
    assert said == ""
    assert "ValueError: nothing" in done.stderr
    assert re.search(r"^outcome +failed: ValueError: nothing\\nleft$", summary, re.M)
    assert re.search(r"^── fail-\w+ failed in ", summary, re.M)


def test_a_program_that_fails_after_its_run(train):
    train.write(
        "late.py", "import tracelet\nwith tracelet.start_run('early'): pass\nraise ValueError('late')\n"
    )
    summary = parts(train.tracelet("run", "late.py", status=1).stdout)[2]
    assert "warning: the program failed after the run had ended (exit status 1)" in summary


def test_a_place_that_cannot_be_written_stops_nothing(train):
    (train.path / "file").touch()
    done = train.tracelet("run", "--dir", "file", "train.py")
    _, said, summary = parts(done.stdout)
    assert said == "the program says this\n"
    assert "points could not be recorded: not a folder" in summary
    assert re.search(r"^── decay finished in .* · nothing was recorded ─+$", summary, re.M)
    assert "tracelet: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_program_with_several_runs(train):
    train.write(
        "sweep.py",
        """
        import tracelet

        for rate in (1, 2, 3):
            with tracelet.start_run(f"rate {rate}", params={"rate": rate}) as run:
                run.log({"loss": rate})
        """,
    )
    summary = parts(train.tracelet("run", "-p", "no:system", "sweep.py").stdout)[2]
    assert re.search(r"^other runs +rate 2 \d\S+ finished\n +rate 3 \d\S+ finished$", summary, re.M)
    assert re.search(r"^── rate 1 finished in", summary, re.M)
    assert len(json.loads(train.tracelet("runs", "--json").stdout)["runs"]) == 3


def test_a_program_that_removes_the_folder_it_stands_in(train):
    train.write("gone.py", "import os\nos.mkdir('x')\nos.chdir('x')\nos.rmdir('../x')\n")
    summary = parts(train.tracelet("run", "gone.py").stdout)[2]
    assert re.search(r"^── gone-\w+ finished in", summary, re.M)


def test_verbose_shows_collectors_and_tracebacks(train):
    train.write("tracelet_plugins.py", PLUGINS.replace("config['tables']['flaky']['token']", "1"))
    summary = parts(train.tracelet("run", "-v", "train.py").stdout)[2]
    assert re.search(r"^system/\S+ ", summary, re.M)
    assert 'raise RuntimeError("no such luck")' in summary


def test_plugins_say_their_lines_and_their_failures(train):
    train.write("tracelet.toml", 'project = "tests"\nfinish_timeout = 3\n[plugins.flaky]\ntoken = "s3cr3t"\n')
    train.write("tracelet_plugins.py", PLUGINS)
    done = train.tracelet("run", "-p", "nothing", "-p", "no:system", "train.py")
    header, _, summary = parts(done.stdout)
    assert "project is tests\ntoken is ***\n" in header
    assert "tracelet_plugins, good 1.5" in header.replace("\n            ", " ")
    assert "system" not in header
    assert "warning: no plugin is named 'nothing'" in header
    assert "warning: plugin 'broken': start failed: RuntimeError: no such luck" in header
    assert "see example.org/decay" in summary
    assert "error: plugin 'broken': start failed: RuntimeError: no such luck" in summary
    assert re.search(r"^broken +backend .* error$", summary, re.M)
    assert re.search(r"^(delivery)? +good has all \d+ records$", summary, re.M)
    pending = re.sub(r"\s+", " ", summary)
    assert re.search(r"flaky pending: \d+ records.* deliver with: tracelet sync \S+", pending)
    assert "s3cr3t" not in done.stdout + done.stderr


def test_strict_plugins_stop_the_program(train):
    train.write("tracelet_plugins.py", PLUGINS)
    done = train.tracelet("run", "--strict-plugins", "train.py", status=1)
    assert "the program says" not in done.stdout
    assert done.stderr.startswith("tracelet: ")
    assert "no such luck" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_it_is_told_of_the_run(train):
    train.write("train.py", "import tracelet\ntracelet.log({'x': 1})\n")
    words = [
        "--name",
        "mine",
        "--project",
        "other",
        "--tag",
        "a=b=c",
        "--param",
        "lr=1",
        "--run-id",
        "my-run",
    ]
    train.tracelet("run", *words, "train.py")
    [run] = json.loads(train.tracelet("runs", "--json").stdout)["runs"]
    assert (run["id"], run["name"], run["project"]) == ("my-run", "mine", "other")
    assert (run["tags"], run["params"]) == ({"a": "b=c"}, {"lr": "1"})
    train.tracelet("run", "--resume", "--run-id", "my-run", "train.py")
    assert json.loads(train.tracelet("runs", "--json").stdout)["total"] == 1


def test_the_data_may_live_elsewhere(train):
    train.tracelet("run", "-q", "--dir", "else/where", "train.py")
    assert not (train.path / ".tracelet").exists()
    assert json.loads(train.tracelet("--dir", "else/where", "runs", "--json").stdout)["total"] == 1
    assert (
        json.loads(train.tracelet("runs", "--json", environ={"TRACELET_DIR": "else/where"}).stdout)["total"]
        == 1
    )
    assert json.loads(train.tracelet("runs", "--json").stdout) == {"total": 0, "runs": []}


@pytest.mark.parametrize("mode", ["disabled", "offline"])
def test_other_modes_say_so(train, mode):
    done = train.tracelet("run", "train.py", environ={"TRACELET_MODE": mode})
    header, said, _ = parts(done.stdout)
    assert mode in header
    assert said == "the program says this\n"
    assert (train.path / ".tracelet").exists() == (mode == "offline")


def test_trace_config_tells_where_all_comes_from(train):
    train.write("tracelet_plugins.py", PLUGINS)
    train.write("one_more.py", "import tracelet\n\n@tracelet.hookimpl\ndef collect(): return {'x': 1}\n")
    done = train.tracelet("run", "--trace-config", "-p", "one_more", "-p", "no:gpu", "train.py")
    assert str(train.path / "tracelet.toml") in done.stderr
    assert re.search(r"^blocked +gpu$", done.stderr, re.M)
    assert re.search(r"^ +one_more .* ACTIVE|active +module one_more$", done.stdout, re.M)
    assert re.search(r"^ +jsonl .* discovered +entry point of tracelet", done.stdout, re.M)


def test_what_goes_wrong_on_the_way_is_told_at_once_in_a_line(train):
    train.write(
        "tracelet_plugins.py",
        """
        import tracelet

        @tracelet.hookimpl
        def collect():
            raise OSError("no sensor")
        """,
    )
    done = train.tracelet("run", "train.py")
    [told] = [line for line in done.stderr.splitlines() if "no sensor" in line][:1]
    assert told.startswith("tracelet: plugin 'tracelet_plugins'")
    assert "Traceback" not in done.stderr


def test_it_is_plain_where_only_ascii_will_do(train):
    train.write("train.py", TRAIN.replace('"kind": "test"', '"kind": "prüfung"'))
    done = train.tracelet("run", "train.py", environ={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.stdout.isascii()
    assert "-- tracelet run ---" in done.stdout
    assert r"pr\xfcfung" in done.stdout


def test_control_characters_of_a_name_do_nothing(train):
    train.write("train.py", "import tracelet\ntracelet.start_run('a\\x1b[31m\\nb').log({'x\\x1b[2J': 1})\n")
    done = train.tracelet("run", "train.py")
    assert "\x1b" not in done.stdout
    assert r"x\x1b[2J" in done.stdout
    assert "\x1b" not in train.tracelet("runs").stdout + train.tracelet("show").stdout
    told = train.tracelet("show", "other", status=2).stderr  # names what is there
    assert r"a\x1b[31m" in told
    assert "\x1b" not in told


def terminal(project, *words, columns=80, **environ):
    """Run the command in a terminal of its own and return what it shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [Path(sys.executable).with_name("tracelet"), *words],
        cwd=project.path,
        env={**project.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), **environ},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            data = os.read(ours, 65536)
        except OSError:
            break
        if not data:
            break
        seen += data
    os.close(ours)
    process.wait(timeout=30)
    return seen.decode().replace("\r\n", "\n")


def without_colours(text):
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def test_a_terminal_gets_colours_unless_it_wants_none(train):
    assert "\x1b[" in terminal(train, "run", "train.py")
    assert "\x1b[" not in terminal(train, "run", "train.py", NO_COLOR="1")
    assert "\x1b[" not in terminal(train, "runs", TERM="dumb")
    assert "\x1b" not in train.tracelet("runs").stdout


@pytest.mark.parametrize("columns", [40, 60, 80, 160])
def test_it_fits_the_terminal(train, columns):
    train.write("tracelet_plugins.py", PLUGINS.replace("config['tables']['flaky']['token']", "1"))
    shown = without_colours(terminal(train, "run", "train.py", columns=columns))
    # What goes to stderr is a line each, which a terminal breaks wherever it must.
    assert max(len(line) for line in shown.splitlines() if not line.startswith("tracelet: ")) <= columns
    assert "train/loss" in shown
    for words in (
        ["runs"],
        ["show", "--all"],
        ["show", "latest", "train/*"],
        ["plugins"],
        ["hooks"],
        ["doctor"],
    ):
        shown = without_colours(terminal(train, *words, columns=columns))
        assert max(map(len, shown.splitlines())) <= columns, shown


def test_a_pipe_gets_whole_lines(train):
    name = "a_rather_long_name_of_a_metric/" * 5
    train.write("train.py", f"import tracelet\ntracelet.log({{{name!r}: 1.0}})\n")
    train.tracelet("run", "-q", "train.py")
    shown = train.tracelet("show").stdout
    assert name in shown
    assert not re.search(r" +$", shown, re.M)


def test_quiet_still_tells_what_fails(project):
    project.write("tracelet_plugins.py", "import tracelet\n@tracelet.hookimpl\ndef run_started(run): 1 / 0\n")
    project.write("tracelet.toml", "[plugins.jsonl]\npth = 'x'\n")
    project.write("train.py", "print('said')\n")
    done = project.tracelet("run", "-q", "train.py", environ={"TRACELET_PROJCT": "x"})
    assert done.stdout == "said\n"
    assert "division by zero" in done.stderr
    assert "plugins.jsonl.pth" in done.stderr
    assert done.stderr.count("TRACELET_PROJCT is unknown (did you mean 'TRACELET_PROJECT'?)") == 1


def test_a_hook_that_fails_at_the_end_is_told_in_the_summary(project):
    project.write(
        "tracelet_plugins.py", "import tracelet\n@tracelet.hookimpl\ndef report_summary(run): 1 / 0\n"
    )
    project.write("train.py", "")
    assert "division by zero" in project.tracelet("run", "train.py").stdout.partition("summary")[2]


def test_a_file_of_plugins_is_named_once(project):
    file = project.write("plugins/tracelet_plugins.py", PLUGINS)
    project.write("plugins/train.py", "")
    header = project.tracelet("run", "plugins/train.py").stdout.partition("summary")[0]
    assert header.count("plugins/tracelet_plugins") == 1
    file.chmod(0o666)
    header = project.tracelet("run", "plugins/train.py").stdout.partition("summary")[0]
    assert header.count("refused") == 1


def test_what_plugins_cost_is_kept(project):
    project.write("tracelet_plugins.py", PLUGINS)
    project.write("tracelet.toml", "plugins = ['jsonl']\nbudget = '50%'\n")
    project.write(
        "train.py", "import tracelet\nfor step in range(50): tracelet.log({'x': step}, step=step)\n"
    )
    told = project.tracelet("run", "train.py").stdout
    show = project.tracelet("show").stdout
    for line in ("jsonl", "broken"):
        assert re.search(rf"^{line} +backend .*(ok|error)$", show, re.M)
    assert "(budget 50%)" in told
    assert "(budget 50%)" in show
    kept = json.loads(project.tracelet("show", "--json").stdout)
    assert kept["plugins"]["good"]["version"] == "1.5"
    assert kept["plugins"]["good"]["calls"] >= 50
    assert kept["plugins"]["good"]["wall_s"] > 0
    assert kept["plugins"]["broken"]["state"] == "error"
    assert "no such luck" in kept["plugins"]["broken"]["error"]
    assert kept["plugins"]["broken"]["errors"] == 1
    assert 0 < kept["overhead"]["share"] < 1
