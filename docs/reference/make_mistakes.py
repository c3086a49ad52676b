"""Write the page of authors' mistakes: make each mistake for real, and note what tracelet says.

    python docs/reference/make_mistakes.py

A test fails while ``mistakes.md`` is not what this program writes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).with_name("mistakes.md")
HEAD = """\
# Mistakes and messages

<!-- Written by docs/reference/make_mistakes.py, which makes each mistake. Edit that. -->

What plugin authors write by mistake, and what tracelet says. `tracelet plugins check FILE` finds most of it before
a run: a fault keeps the plugin from starting, a warning does not. The rest is reported when it happens: in the log,
in `run.status()` and in the summary. The other plugins continue.
"""

BASE = """
import tracelet
from tracelet.core.plugins import BackendPlugin, CollectorPlugin, PluginBase, PluginMetadata, ProcessorPlugin


def meta(**more):
    return classmethod(lambda cls: PluginMetadata(**{"version": "1.0", **more}))


class _Life:
    def initialize(self, config): ...
    def start(self): ...
    def stop(self): ...
    def get_status(self): return {}


class _Sink(_Life):
    def log_metric(self, name, value, iteration): ...
    def log_params(self, params): ...
    def log_artifact(self, local_path, artifact_path=None): ...

"""
SINK = "class NAME(_Sink, BackendPlugin):\n    get_metadata = meta(name='NAME', type='backend'%s)\n%s"
METER = "class NAME(_Life, CollectorPlugin):\n    get_metadata = meta(name='NAME', type='collector'%s)\n%s"
COLLECT = "    def collect(self): return {'a': 1}\n"


class Mistake(NamedTuple):
    """A mistake: what it is, in a few words, and the plugin file that makes it."""

    what: str
    source: str


def sink(what: str, body: str = "    ...\n", metadata: str = "") -> Mistake:
    """Return a backend with a mistake in its body or metadata."""
    return Mistake(what, SINK % (metadata, textwrap.indent(textwrap.dedent(body), "    ")))


def meter(what: str, body: str = "", metadata: str = "", collect: str = COLLECT) -> Mistake:
    """Return a collector with a mistake in its body or metadata."""
    return Mistake(what, METER % (metadata, textwrap.indent(textwrap.dedent(body), "    ") + collect))


def hook(what: str, text: str) -> Mistake:
    """Return a module of hooks with a mistake."""
    return Mistake(what, textwrap.dedent(text))


CHECKED = {
    "Files and imports": [
        hook("a syntax error", "def (:\n"),
        hook("an import that fails", "import no_such_module\n"),
        hook("`sys.exit()` at import", "import sys\nsys.exit(1)\n"),
        hook("a hook without its decorator", "def collect(): return {}\n"),
        hook(
            "a hook without its decorator next to a decorated one",
            "def collect(): return {}\n@tracelet.hookimpl\ndef run_started(run): ...\n",
        ),
        hook("a run started at import", "class NAME: ...\ntracelet.start_run('x')\n"),
        hook("printing at import", "print('hello')\n@tracelet.hookimpl\ndef run_started(run): ...\n"),
        hook(
            "a slow import",
            "import time\ntime.sleep(0.6)\n@tracelet.hookimpl\ndef run_started(run): ...\n",
        ),
        hook(
            "`os.chdir` at import",
            "import os\nos.chdir('/')\n@tracelet.hookimpl\ndef run_started(run): ...\n",
        ),
        hook(
            "a seed set at import",
            "import random\nrandom.seed(1)\n@tracelet.hookimpl\ndef run_started(run): ...\n",
        ),
        hook(
            "`sys.stdout` replaced at import",
            "import io, sys\nsys.stdout = io.StringIO()\n@tracelet.hookimpl\ndef run_started(run): ...\n",
        ),
        hook(
            "`warnings.simplefilter` at import",
            "import warnings\nwarnings.simplefilter('ignore')\n@tracelet.hookimpl\ndef run_started(run): ...\n",
        ),
        hook(
            "a thread started at import",
            "import threading, time\nthreading.Thread(target=time.sleep, args=(5,), daemon=True).start()\n"
            "@tracelet.hookimpl\ndef run_started(run): ...\n",
        ),
    ],
    "Hooks": [
        hook("a misspelt hook", "@tracelet.hookimpl\ndef run_startet(run): ...\n"),
        sink("a method that is nearly a hook", "def log_metricss(self, points): ...\n"),
        hook("a misspelt argument", "@tracelet.hookimpl\ndef log_metric(name, valeu): ...\n"),
        sink("`step` for `iteration`", "def log_metric(self, name, value, step=None): ...\n"),
        sink("a keyword-only argument", "def log_metric(self, name, value, *, iteration): ...\n"),
        sink("a required argument that no hook has", "def log_params(self, params, more): ...\n"),
        meter("a hook without `self`", collect="    def collect(): return {}\n"),
        hook("an `async` hook", "@tracelet.hookimpl\nasync def collect(): return {}\n"),
        sink("an `async` method", "async def log_metrics(self, points): ...\n"),
        hook("a wrapper without `yield`", "@tracelet.hookimpl(wrapper=True)\ndef collect(): return {}\n"),
        hook(
            "`wrapper` and `hookwrapper` together",
            "@tracelet.hookimpl(wrapper=True, hookwrapper=True)\ndef collect(): yield\n",
        ),
        sink("a generator for a data hook", "def log_metrics(self, points): yield points\n"),
        hook(
            "a wrapper of a data hook",
            "@tracelet.hookimpl(wrapper=True)\ndef log_metrics(): return (yield)\n",
        ),
    ],
    "Metadata": [
        hook("no `get_metadata`", "class NAME(_Sink, BackendPlugin): ...\n"),
        hook(
            "`get_metadata` that returns a dict",
            "class NAME(_Sink, BackendPlugin):\n    get_metadata = classmethod(lambda cls: {})\n",
        ),
        hook(
            "`get_metadata` that raises",
            "class NAME(_Sink, BackendPlugin):\n    get_metadata = classmethod(lambda cls: 1 / 0)\n",
        ),
        hook("no type", "class NAME(_Sink, BackendPlugin):\n    get_metadata = meta(name='NAME')\n"),
        hook(
            "an unknown type",
            "class NAME(_Sink, BackendPlugin):\n    get_metadata = meta(name='NAME', type='sink')\n",
        ),
        hook(
            "an empty name",
            "class NAME(_Sink, BackendPlugin):\n    get_metadata = meta(name='', type='backend')\n",
        ),
        hook(
            "a name with a comma",
            "class NAME(_Sink, BackendPlugin):\n    get_metadata = meta(name='a,b', type='backend')\n",
        ),
        hook(
            "a version that is not one",
            "class NAME(_Sink, BackendPlugin):\n    get_metadata = meta(name='NAME', version='new', type='backend')\n",
        ),
        sink("dependencies as text", metadata=", dependencies='click'"),
        sink("a dependency that does not exist", metadata=", dependencies=['no-such-thing']"),
        sink("a requirement that is not met", metadata=", dependencies=['click>=99']"),
        sink("a requirement that cannot be parsed", metadata=", dependencies=['click >> 1']"),
        sink("another version of tracelet", metadata=", requires_tracelet='>=99'"),
        sink("`requires_tracelet` that is not a specifier", metadata=", requires_tracelet='latest'"),
    ],
    "The class": [
        hook(
            "a missing abstract method",
            "class NAME(_Life, BackendPlugin):\n    get_metadata = meta(name='NAME', type='backend')\n"
            "    def log_metric(self, name, value, iteration): ...\n    def log_params(self, params): ...\n",
        ),
        hook(
            "a missing part of the lifecycle",
            "class NAME:\n    get_metadata = meta(name='NAME', type='backend')\n"
            "    def initialize(self, config): ...\n",
        ),
        sink("a constructor with arguments", "def __init__(self, url): ...\n"),
        sink("a constructor that raises", "def __init__(self): raise RuntimeError('no server')\n"),
        meter("an interval that is text", "_collection_interval = '5s'\n"),
        meter("an interval below zero", "_collection_interval = -1\n"),
    ],
    "The schema": [
        sink("a schema that is a list", metadata=", config_schema=['url']"),
        sink("an unknown type in the schema", metadata=", config_schema={'n': {'type': 'str'}}"),
        sink(
            "a misspelt key in the schema",
            metadata=", config_schema={'n': {'type': 'string', 'requird': True}}",
        ),
        sink(
            "a default that its own schema refuses",
            metadata=", config_schema={'n': {'type': 'integer', 'default': 'three'}}",
        ),
        sink(
            "a malformed JSON Schema",
            metadata=", config_schema={'type': 'object', 'properties': {'n': {'type': 'text'}}}",
        ),
    ],
}
RUN = {
    "In a run": [
        sink("`initialize` that raises", "def initialize(self, config): raise RuntimeError('no server')\n"),
        sink("`start` that raises", "def start(self): raise ValueError('bad port')\n"),
        sink(
            "a data hook that raises", "def log_metric(self, name, value, iteration): raise KeyError(name)\n"
        ),
        sink(
            "a data hook that returns a coroutine",
            "async def send(self): ...\ndef log_metric(self, name, value, iteration): return self.send()\n",
        ),
        sink("`sys.exit()` in a hook", "def log_params(self, params):\n    import sys\n    sys.exit(3)\n"),
        meter("`collect` that returns a list", collect="    def collect(self): return [1, 2]\n"),
        meter("`collect` that raises", collect="    def collect(self): raise OSError('gone')\n"),
        sink("`get_status` that raises", "def get_status(self): raise RuntimeError('not now')\n"),
        sink(
            "a required key that the table lacks",
            metadata=", config_schema={'url': {'type': 'string', 'required': True}}",
        ),
        sink("`start` that hangs", "def start(self):\n    import time\n    time.sleep(60)\n"),
    ],
}
TRAIN = """
import json, sys, tracelet
sys.path.append("run")
names = json.loads(sys.argv[1])
off = {name: False for name in ("system", "environment", "gpu")}
config = {"plugins": off, "deadlines": {"start": 2}, "finish_timeout": 3}
with tracelet.start_run("x", params={"lr": 1}, plugins=names, config=config) as run:
    run.wait_started(30)
    run.log({"loss": 1.0}, step=0)
    run.flush(timeout=3)
    status = run.status()
print("STATUS " + json.dumps(status, default=str))
"""


def identifier(what: str) -> str:
    """Return a name for the file and the plugin of a mistake."""
    return "m_" + re.sub(r"[^a-z0-9]+", "_", what.lower()).strip("_")


def write(folder: Path, mistake: Mistake) -> str:
    """Write the file of a mistake and return its name."""
    name = identifier(mistake.what)
    text = mistake.source.replace("NAME", name)
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(
        text if mistake.what == "a syntax error" else BASE + text, encoding="utf-8"
    )
    return name


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, without the variables of this environment."""
    environ = {
        key: value for key, value in os.environ.items() if not key.startswith(("TRACELET_", "PYTEST_"))
    }
    environ |= {"HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environ, capture_output=True, encoding="utf-8", check=False
    )


def check(folder: Path, mistake: Mistake) -> list[str]:
    """Return what ``plugins check`` says about a mistake."""
    name = write(folder / "check", mistake)
    found = json.loads(run(folder, "-m", "tracelet", "plugins", "check", f"check/{name}.py", "--json").stdout)
    said = [
        *(fault for one in found["plugins"] for fault in one["faults"]),
        *(f"warning: {warning}" for one in found["plugins"] for warning in one["warnings"]),
    ]
    # On a busy machine any import may be slow.
    return [text for text in said if "import took" not in text or mistake.what == "a slow import"]


def record(folder: Path, mistakes: list[Mistake]) -> list[list[str]]:
    """Return what one run with all the mistakes says about each of them."""
    names = [write(folder / "run", mistake) for mistake in mistakes]
    (folder / "train.py").write_text(TRAIN, encoding="utf-8")
    done = run(folder, "train.py", json.dumps(names))
    status = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("STATUS "))[7:])
    return [_of_run(status, done.stderr, name) for name in names]


def _of_run(status: dict[str, dict[str, dict[str, str]]], log: str, name: str) -> list[str]:
    plugin = status["plugins"][name]
    texts = [plugin.get("error"), plugin.get("status_error")]
    texts.append((status.get("delivery", {}).get(name) or {}).get("error"))
    found = list(dict.fromkeys(text for text in texts if text))
    return found or [line for line in log.splitlines() if f"plugin '{name}'" in line][:1]


def row(mistake: Mistake, said: list[str], folder: Path) -> str:
    """Return the table's row of a mistake."""
    name = identifier(mistake.what)
    shown = []
    for text in said[:2]:
        text = text.replace(f"{folder}/check/{name}.py", "FILE").replace(f"{folder}", "...")
        text = re.sub(rf"^plugin '{name}'( \(FILE\))?: ", "", text).replace(name, "NAME").replace("|", "\\|")
        text = re.sub(
            r"(?<=, found )[\d.]+(?=; run: pip)", "8.1", text
        )  # of a library; it differs between machines
        shown.append(re.sub(r"took \d+\.\d s", "took 0.6 s", " ".join(text.split())))
    return f"| {mistake.what} | {'<br>'.join(shown)} |"


def page() -> str:
    """Return the page."""
    parts = [HEAD]
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path).resolve()
        (folder / "tracelet.toml").write_text("[plugins]\nsystem = false\nenvironment = false\ngpu = false\n")
        for title, mistakes in CHECKED.items():
            with ThreadPoolExecutor(4) as pool:
                said = list(pool.map(lambda each: check(folder, each), mistakes))
            rows = [row(each, texts, folder) for each, texts in zip(mistakes, said, strict=True)]
            parts.append(table(title, rows))
        for title, mistakes in RUN.items():
            rows = [
                row(each, said, folder) for each, said in zip(mistakes, record(folder, mistakes), strict=True)
            ]
            parts.append(table(title, rows))
    return "\n".join(parts)


def table(title: str, rows: list[str]) -> str:
    """Return a section with its table."""
    return f"## {title}\n\n| what you write | what tracelet says |\n| --- | --- |\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
