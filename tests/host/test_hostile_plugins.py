"""A plugin that misbehaves at any one access of the host's does not cost the plugin next to it a single point.

The hostile class is generated: each test makes it raise, leave, or answer with something that objects to everything, at
one of the places that the host touches.
"""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracelet
from tracelet.core.plugins import BackendPlugin, PluginMetadata

OFF = ["no:system", "no:environment", "no:gpu", "no:console", "no:code"]


class Skip(BaseException):
    """An exception that is not an Exception, as test frameworks and event loops have them."""


class Objector:
    """An object that objects to everything that anybody does with it."""

    def __object(self, *arguments, **keywords):
        raise RuntimeError("not with me")

    __str__ = __repr__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __float__ = __object
    __index__ = __call__ = __getattr__ = __contains__ = __getitem__ = __format__ = __dir__ = __object
    __class__ = property(__object)


def raising(error):
    def misbehave(*arguments, **keywords):
        raise error

    return misbehave


def waiting(*arguments, **keywords):
    yield {"a": 1}


async def absent(*arguments, **keywords):
    return {"a": 1}


def recurse():
    return recurse()


KINDS = {
    "raises": raising(RuntimeError("hostile")),
    "raises what is not an Exception": raising(Skip("hostile")),
    "exits": raising(SystemExit(3)),
    "answers with an objector": lambda *arguments, **keywords: Objector(),
    "answers with a list of objectors": lambda *arguments, **keywords: [Objector(), Objector()],
    "answers with a mapping of objectors": lambda *arguments, **keywords: {"a": Objector()},
    "answers with False": lambda *arguments, **keywords: False,
    "answers with an iterator": lambda *arguments, **keywords: iter([1]),
    "answers with a class": lambda *arguments, **keywords: Objector,
    "raises an error that cannot be shown": raising(
        type("Odd", (Exception,), {"__str__": raising(ValueError)})()
    ),
    "recurses": lambda *arguments, **keywords: recurse(),
    "is a generator": waiting,
    "returns a coroutine": lambda *arguments, **keywords: absent(),
}
HOOKS = {
    "initialize": "self, config",
    "start": "self",
    "stop": "self",
    "get_status": "self",
    "log_metric": "self, name, value, iteration",
    "log_metrics": "self, points",
    "log_params": "self, params",
    "set_tags": "self, tags",
    "log_artifact": "self, local_path, artifact_path",
    "log_media": "self, name, step, kind, path, metadata",
    "run_changed": "self, run, changes",
    "run_started": "self, run",
    "run_ended": "self, run",
    "report_header": "self, config",
    "report_summary": "self, run",
    "plugin_state_changed": "self, plugin, old, new",
    "process_metric": "self, metric",
    "collect": "self",
}
ATTRIBUTES = (
    *("__getattribute__", "__getattr__", "__setattr__", "__dir__", "__eq__", "__hash__", "__bool__"),
    *("__repr__", "__str__", "__init__", "__new__", "can_handle_type", "is_available", "get_metadata"),
)
PROPERTIES = (
    "__class__",
    "_collection_interval",
    "_config",
    "config",
    "_active",
    "can_handle_type",
    "__dict__",
)
METACLASS = ("__getattribute__", "__subclasscheck__", "__instancecheck__", "__eq__", "__hash__", "__dir__")
FIELDS = (
    "version",
    "description",
    "author",
    "dependencies",
    "config_schema",
    "capabilities",
    "isolation",
    "mapping",
)


def body(**more):
    """Return the body of a backend that would be right but for ``more``."""
    right = {
        "get_metadata": classmethod(lambda cls: PluginMetadata("hostile", "1", "backend")),
        "initialize": lambda self, config: None,
        "start": lambda self: None,
        "stop": lambda self: None,
        "get_status": lambda self: {},
        "log_metric": lambda self, name, value, iteration: None,
        "log_params": lambda self, params: None,
        "log_artifact": lambda self, local_path, artifact_path=None: None,
        "collect": lambda self: {"hostile": 1},
        "_collection_interval": 3600,
    }
    return {**right, **more}


def check_healthy(tmp_path, hostile):
    """Run a healthy backend and collector next to a hostile plugin: nothing of theirs may be missing."""
    got, events = [], []

    class Healthy(BackendPlugin):
        @classmethod
        def get_metadata(cls):
            return PluginMetadata("healthy", "1", "backend")

        def initialize(self, config): ...
        def start(self): ...
        def stop(self): ...
        def get_status(self):
            return {"got": len(got)}

        def log_metric(self, name, value, iteration):
            got.append((name, value, iteration))

        def log_params(self, params):
            events.append(params)

        def set_tags(self, tags):
            events.append(tags)

        def log_media(self, name):
            events.append(name)

        def run_changed(self, changes):
            events.append(changes)

        def log_artifact(self, local_path, artifact_path=None): ...
        def collect(self):
            return {"healthy": 1}

    config = {"finish_timeout": 10, "deadlines": {"start": 5, "initialize": 5}, "start_timeout": 10}
    with tracelet.start_run(dir=tmp_path, plugins=[hostile, Healthy, *OFF], config=config) as run:
        for step in range(3):
            run.log({"loss": float(step)}, step=step)
        run.log_params({"lr": 0.1})
        run.set_tags(["hostile"])
        run.log_text("note", "text")
        run.name = "renamed"
        run.flush(timeout=3)
        status = run.status()
    losses = [(value, step) for name, value, step in got if name == "loss"]
    assert losses == [(0.0, 0), (1.0, 1), (2.0, 2)]
    assert events == [{"lr": 0.1}, {"hostile": ""}, "note", {"name": "renamed"}]
    assert "healthy" in {name for name, _, _ in got}
    assert run.status()["plugins"]["healthy"]["state"] == "stopped"
    json.dumps(status["plugins"]["healthy"])
    repr(run.status())
    assert run.outcome == "finished"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook(tmp_path, hook, kind):
    namespace = {"misbehave": KINDS[kind]}
    exec(f"def {hook}({HOOKS[hook]}): return misbehave()", namespace)
    check_healthy(tmp_path, type("Hostile", (BackendPlugin,), body(**{hook: namespace[hook]})))


@pytest.mark.parametrize("attribute", ATTRIBUTES)
@pytest.mark.parametrize("kind", ["raises", "raises what is not an Exception", "answers with an objector"])
def test_each_attribute(tmp_path, attribute, kind):
    check_healthy(tmp_path, type("Hostile", (BackendPlugin,), body(**{attribute: KINDS[kind]})))


@pytest.mark.parametrize("name", PROPERTIES)
@pytest.mark.parametrize("kind", ["raises", "answers with an objector"])
def test_each_property(tmp_path, name, kind):
    check_healthy(tmp_path, type("Hostile", (BackendPlugin,), body(**{name: property(KINDS[kind])})))


@pytest.mark.parametrize("name", METACLASS)
def test_each_method_of_a_metaclass(tmp_path, name):
    meta = type("Meta", (type(BackendPlugin),), {})
    hostile = meta("Hostile", (BackendPlugin,), body())
    setattr(meta, name, KINDS["raises"])
    try:
        check_healthy(tmp_path, hostile)
    finally:
        delattr(meta, name)


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_of_the_metadata(tmp_path, field):
    def get_metadata(cls):
        metadata = PluginMetadata("hostile", "1", "backend")
        with contextlib.suppress(RuntimeError):
            setattr(metadata, field, Objector())
        return metadata

    check_healthy(tmp_path, type("Hostile", (BackendPlugin,), body(get_metadata=classmethod(get_metadata))))


@pytest.mark.parametrize(
    "interval", ["5s", float("nan"), float("inf"), -1, 0, 1e-300, 1e300, None, True, [], 10**400]
)
def test_each_interval(tmp_path, interval):
    check_healthy(tmp_path, type("Hostile", (BackendPlugin,), body(_collection_interval=interval)))


def test_an_object_that_objects_to_everything(tmp_path):
    check_healthy(tmp_path, Objector())


PLACES = [*HOOKS, *ATTRIBUTES, *(f"property {name}" for name in PROPERTIES)]


@settings(
    max_examples=settings().max_examples // 20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    faults=st.dictionaries(st.sampled_from(PLACES), st.sampled_from(sorted(KINDS)), min_size=2, max_size=5)
)
def test_several_misbehaviors_at_once(tmp_path_factory, faults):
    more = {}
    for place, kind in faults.items():
        name = place.removeprefix("property ")
        if place in HOOKS:
            namespace = {"misbehave": KINDS[kind]}
            exec(f"def {place}({HOOKS[place]}): return misbehave()", namespace)
            more[name] = namespace[place]
        else:
            more[name] = property(KINDS[kind]) if place != name else KINDS[kind]
    check_healthy(tmp_path_factory.mktemp("run"), type("Hostile", (BackendPlugin,), body(**more)))


def test_a_class_that_exits_at_each_access_and_is_registered_all_the_same(tmp_path):
    """Its ``__dir__`` has the host register a proxy, so that it gets as far as being given work."""
    more = {"__getattribute__": KINDS["exits"], "__dir__": KINDS["answers with False"]}
    check_healthy(
        tmp_path, type("Hostile", (BackendPlugin,), body(process_metric=lambda self, metric: metric, **more))
    )
