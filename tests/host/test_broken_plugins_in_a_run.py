"""Broken plugins of every kind in one run: the training ends well, and a healthy backend gets every point."""

from __future__ import annotations

import json
import time

import pytest

import tracelet

HEAD = """
import threading
import time
import tracelet
from tracelet.core.plugins import BackendPlugin, PluginMetadata

def hang(*args, **kwargs):
    threading.Event().wait(300)

class Base(BackendPlugin):
    def initialize(self, config): ...
    def start(self): ...
    def stop(self): ...
    def get_status(self): return {}
    def log_metric(self, name, value, iteration): ...
    def log_params(self, params): ...
    def log_artifact(self, local_path, artifact_path=None): ...
"""

CLASS = """
class CLS(Base):
    @classmethod
    def get_metadata(cls):
        return PluginMetadata(**{"name": NAME, "version": "1.0", "type": "backend", **{MORE}})
"""

#: name: what stands in a module of that name, after the head; and a part of what is said of it.
FILES = {
    "ill_import": (
        "import no_such_module_at_all",
        "ModuleNotFoundError: No module named 'no_such_module_at_all'",
    ),
    "ill_syntax": ("def broken(:", "SyntaxError"),
    "ill_exit": ("raise SystemExit('not today')", "SystemExit: not today"),
    "ill_endless": ("hang()", "import was still running at ill_endless.py:"),
    "ill_metadata": (
        CLASS.replace("return PluginMetadata", "return 1 / 0 or PluginMetadata"),
        "get_metadata failed: ZeroDivisionError",
    ),
    "ill_described": (
        CLASS.replace("return PluginMetadata", "return dict"),
        "must return a PluginMetadata, found dict",
    ),
    "ill_nameless": (CLASS.replace("NAME,", "'',"), "metadata name: expected a non-empty string, found ''"),
    "ill_version": (CLASS.replace("1.0", "new"), "expected a PEP 440 version such as '1.0', found 'new'"),
    "ill_host": (CLASS.replace("MORE", "'requires_tracelet': '>99'"), "needs tracelet >99, found"),
    "ill_hook": (
        CLASS + "    @tracelet.hookimpl\n    def log_metrik(self, name): ...",
        "unknown hook 'log_metrik'; did you mean 'log_metric'?",
    ),
    "ill_argument": (
        CLASS + "    @tracelet.hookimpl\n    def set_tags(self, tag): ...",
        "hook set_tags: unknown argument 'tag'; did you mean 'tags'?",
    ),
    "ill_needy": (
        CLASS.replace("MORE", "'dependencies': ['gone']"),
        "needs 'gone', found neither such a plugin",
    ),
    "ill_old": (CLASS.replace("MORE", "'dependencies': ['pluggy<1']"), "needs 'pluggy<1', found 1"),
    "ill_round": (CLASS.replace("MORE", "'dependencies': ['ill_about']"), "Circular dependency detected: "),
    "ill_about": (CLASS.replace("MORE", "'dependencies': ['ill_round']"), "Circular dependency detected: "),
    "ill_config": (
        CLASS.replace("MORE", "'config_schema': {'n': {'type': 'integer'}}"),
        "ill_config.n: expected",
    ),
    "ill_made": (CLASS + "    def __init__(self): 1 / 0", "initialize failed: ZeroDivisionError"),
    "ill_never_made": (CLASS + "    __init__ = hang", "initialize was still running at ill_never_made.py:"),
    "ill_getattr": (CLASS + "    def __getattr__(self, name): raise RuntimeError(name)", None),
    "ill_property": (CLASS + "    @property\n    def seen(self): raise RuntimeError", None),
    "ill_unhashable": (CLASS + "    def __eq__(self, other): raise RuntimeError\n    __hash__ = None", None),
    "ill_initialize": (
        CLASS + "    def initialize(self, config): raise SystemExit",
        "initialize failed: SystemExit",
    ),
    "ill_initialize_hang": (
        CLASS + "    def initialize(self, config): hang()",
        "initialize was still running at",
    ),
    "ill_start": (
        CLASS + "    def start(self): raise OSError('no')",
        "start failed: OSError: no (at ill_start.py:",
    ),
    "ill_start_hang": (
        CLASS + "    def start(self): hang()",
        "start was still running at ill_start_hang.py:",
    ),
    "ill_points": (CLASS + "    def log_metric(self, name, value, iteration): raise ValueError(value)", None),
    "ill_points_exit": (CLASS + "    def log_metric(self, name, value, iteration): raise SystemExit", None),
    "ill_points_hang": (
        CLASS + "    def log_metric(self, name, value, iteration): hang()",
        "log_metric was still running",
    ),
    "ill_params_hang": (CLASS + "    def log_params(self, params): hang()", "log_params was still running"),
    "ill_status": (CLASS + "    def get_status(self): raise RuntimeError('no answer')", None),
    "ill_status_hang": (CLASS + "    def get_status(self): hang()", None),
    "ill_collect": ("@tracelet.hookimpl\ndef collect(): 1 / 0", None),
    "ill_collect_exit": ("@tracelet.hookimpl\ndef collect(): raise SystemExit", None),
    "ill_collect_type": ("@tracelet.hookimpl\ndef collect(): return 7", None),
    "ill_process": ("@tracelet.hookimpl\ndef process_metric(metric): 1 / 0", None),
    "ill_process_type": ("@tracelet.hookimpl\ndef process_metric(metric): return 'what'", None),
    "ill_process_hang": (
        "@tracelet.hookimpl\ndef process_metric(metric): hang()",
        "process_metric was still running",
    ),
    "ill_listener": ("@tracelet.hookimpl\ndef plugin_state_changed(): raise SystemExit", None),
    "ill_run_started": ("@tracelet.hookimpl\ndef run_started(run): 1 / 0", None),
    "ill_run_ended": ("@tracelet.hookimpl\ndef run_ended(run): raise SystemExit", None),
    "ill_summary": ("@tracelet.hookimpl\ndef report_summary(run): raise SystemExit", None),
    "ill_wrapper": (
        "@tracelet.hookimpl(wrapper=True)\ndef log_metric():\n    raise SystemExit\n    yield",
        None,
    ),
    "ill_wrapper_hang": (
        "@tracelet.hookimpl(wrapper=True)\ndef start():\n    yield\n    hang()",
        "its wrapper of start",
    ),
    "ill_stop": (CLASS + "    def stop(self): raise SystemExit", "stop failed: SystemExit"),
    "ill_stop_hang": (CLASS + "    def stop(self): hang()", "stop was still running at ill_stop_hang.py:"),
}

HEALTHY = (
    HEAD
    + """
tracelet_plugins = NAMES

class Healthy(Base):
    @classmethod
    def get_metadata(cls):
        return PluginMetadata(name="healthy", version="1.0", type="backend")
    def start(self):
        self.file = open("healthy.txt", "w")
    def log_metric(self, name, value, iteration):
        if name == "x":
            print(iteration, value, file=self.file)
    def stop(self):
        self.file.close()

class Twin(Healthy):
    pass
"""
)

TRAIN = """
import json
import tracelet

with tracelet.start_run("hospital", params={"lr": 0.1}) as run:
    run.wait_started(120)
    for step in range(2000):
        run.log_metric("x", step / 8, step)
    run.flush(timeout=60)
    status = run.status()
    run.finish(timeout=60)
after = run.status()
print(json.dumps({
    "during": {name: [plugin["state"], plugin.get("error")] for name, plugin in status["plugins"].items()},
    "after": {name: [plugin["state"], plugin.get("error")] for name, plugin in after["plugins"].items()},
    "said": {name: plugin.get("status_error") for name, plugin in status["plugins"].items()},
    "problems": status["problems"],
    "outcome": run.outcome,
}))
"""


@pytest.mark.slow
def test_the_healthy_backend_gets_every_point(project):
    limits = {
        "import": 2,
        **dict.fromkeys(("initialize", "start", "stop", "get_status", "log", "process"), 1),
    }
    lines = [f"{name} = {limit}\n" for name, limit in limits.items()]
    config = "finish_timeout = 90\n[deadlines]\n" + "".join(lines) + '[plugins.ill_config]\nn = "many"\n'
    project.write("tracelet.toml", config)
    for name, (text, _) in FILES.items():
        text = text.replace("CLS", name).replace("NAME", repr(name)).replace("MORE", "")
        project.path.joinpath(f"{name}.py").write_text(f"{HEAD}{text}\n")
    project.write("tracelet_plugins.py", HEALTHY.replace("NAMES", repr(list(FILES))))
    project.environ["PYTHONPATH"] = str(project.path)
    project.write("train.py", TRAIN)
    began = time.monotonic()
    done = project.python("train.py", timeout=300)
    took = time.monotonic() - began
    said = json.loads(done.stdout.splitlines()[-1])
    points = [line.split() for line in project.path.joinpath("healthy.txt").read_text().splitlines()]
    assert points == [[str(step), str(step / 8)] for step in range(2000)]
    assert said["outcome"] == "finished"
    assert said["during"]["healthy"] == ["active", None]
    assert said["after"]["healthy"] == ["stopped", None]
    assert any("plugin name 'healthy' is taken: Healthy from" in problem for problem in said["problems"])
    for name, (_, told) in FILES.items():
        state, error = said["after"][name]
        if told is not None:
            assert state == "error", name
            assert told in error, name
    assert "no answer" in said["said"]["ill_status"]
    assert "has not answered" in said["said"]["ill_status_hang"]
    for name in ("ill_getattr", "ill_property", "ill_unhashable"):
        assert said["during"][name] == ["active", None], name
    [record] = tracelet.open_store(project.path).runs()
    assert len(record.metric("x").values) == 2000
    assert record.outcome == "finished"
    assert took < 200
