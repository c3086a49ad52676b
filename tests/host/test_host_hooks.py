"""Hooks as pluggy has them: arguments by name, defaults, order, wrappers, hookspecs of a plugin's own."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, field

import attrs
import pytest

from tracelet.core.plugins import MetricData, PluginMetadata, PluginState, hookimpl, hookspec

POINT = {"name": "loss", "value": 0.5, "iteration": 3, "timestamp": 7.0, "run": "the run"}


def started(manager, plugin, name="p"):
    manager.register_plugin(plugin, name)
    assert manager.start_plugins({name: {}}) == {name: True}, manager.plugins[name].error
    return manager.handle(name)


# -- arguments -----------------------------------------------------------------------------------------


def test_an_implementation_takes_only_what_it_names_in_any_order(manager):
    seen = []

    class Own:
        @hookimpl
        def log_metric(self, iteration, name):
            seen.append((iteration, name))

    started(manager, Own()).call("log_metric", **POINT)
    assert seen == [(3, "loss")]


def test_an_argument_with_a_default_gets_the_hosts_value_too(manager):
    seen = []

    class Own:
        @hookimpl
        def log_metric(self, name, value, iteration=None, timestamp=None, run=None, extra="own"):
            seen.append((name, value, iteration, timestamp, run, extra))

    started(manager, Own()).call("log_metric", **POINT)
    assert seen == [("loss", 0.5, 3, 7.0, "the run", "own")]


def test_methods_of_a_base_class_need_no_decorator_and_keep_theirs(manager, make):
    seen = []

    @hookimpl(tryfirst=True, specname="run_ended")
    def when_over(self, outcome):
        seen.append(outcome)

    handle = started(manager, make("p", {"when_over": when_over}), "p")
    for hook in ("initialize", "start", "stop", "get_status", "log_metric", "log_params", "log_artifact"):
        assert handle.implements(hook)
    assert handle.implements("run_ended")
    assert not handle.implements("log_metrics")
    handle.call("run_ended", run=None, outcome="finished")
    assert seen == ["finished"]


def test_a_batch_method_is_a_hook_without_being_declared(manager, make):
    def log_metrics(self, points):
        self.note(*points)

    handle = started(manager, make("p", {"log_metrics": log_metrics}), "p")
    assert handle.implements("log_metrics")
    handle.call("log_metrics", points=[1, 2])
    assert handle.plugin.seen[-1] == (1, 2)


def test_static_and_class_methods_and_functions_on_the_object(manager, make):
    seen = []

    class Own:
        @staticmethod
        @hookimpl
        def log_params(params):
            seen.append(params)

        @hookimpl
        @classmethod
        def set_tags(cls, tags):
            seen.append((cls.__name__, tags))

        def __init__(self):
            @hookimpl
            def collect():
                return {"own": 1}

            self.collect = collect

    handle = started(manager, Own())
    handle.call("log_params", params=1, run=None)
    handle.call("set_tags", tags=2, run=None)
    assert handle.call("collect") == {"own": 1}
    assert seen == [1, ("Own", 2)]


def test_what_the_implementation_returns_is_the_result(manager):
    class Own:
        @hookimpl
        def collect(self):
            return [1, 2]

        @hookimpl
        def process_metric(self, metric):
            return None

    handle = started(manager, Own())
    assert handle.call("collect") == [1, 2]
    assert handle.call("process_metric", metric=MetricData("a", 1)) is None


# -- order and wrappers --------------------------------------------------------------------------------


def test_tryfirst_and_trylast_order_implementations(manager):
    def plugin(name, **options):
        class Own:
            @hookimpl(**options)
            def report_header(self):
                return name

        return Own()

    for name, options in {"a": {}, "last": {"trylast": True}, "first": {"tryfirst": True}, "b": {}}.items():
        manager.register_plugin(plugin(name, **options), name)
    manager.start_plugins(["a", "last", "first", "b"])
    assert manager.hook.report_header(config={}) == ["first", "b", "a", "last"]


class Around:
    """Wraps lifecycle and data hooks, and notes what it sees."""

    def __init__(self):
        self.seen = []

    @hookimpl(wrapper=True)
    def initialize(self, config, plugin):
        self.seen.append(("initialize", plugin.name, dict(config), threading.current_thread().name))
        return (yield)

    @hookimpl(wrapper=True)
    def start(self, plugin):
        self.seen.append(("before start", plugin.name))
        result = yield
        self.seen.append(("after start", plugin.name))
        return result

    @hookimpl(wrapper=True)
    def stop(self, plugin):
        try:
            return (yield)
        finally:
            self.seen.append(("stopped", plugin.name))

    @hookimpl(wrapper=True)
    def log_metric(self, name):
        self.seen.append(("log_metric", name))
        return (yield)


def test_a_wrapper_wraps_lifecycle_and_data_hooks_of_every_plugin(manager, make):
    around = Around()
    manager.register_plugin(make("a"))
    manager.register_plugin(around, "around")
    manager.register_plugin(make("b", dependencies=["a"]))
    manager.start_plugins({"a": {"x": 1}, "around": {}, "b": {}})
    assert around.seen == [
        ("initialize", "a", {"x": 1}, "tracelet plugin a"),
        ("before start", "a"),
        ("after start", "a"),
        ("initialize", "b", {}, "tracelet plugin b"),
        ("before start", "b"),
        ("after start", "b"),
    ]
    manager.handle("a").call("log_metric", **POINT)
    manager.handle("a").submit(lambda: manager.handle("a").caller("log_metric")(**POINT), step="log_metric")
    assert around.seen[6:] == [("log_metric", "loss")] * 2
    assert manager.plugins["a"].instance.seen[-2:] == [("log_metric", "loss", 0.5, 3)] * 2
    manager.stop_all_plugins()
    assert around.seen[8:] == [("stopped", "b"), ("stopped", "a")]


def test_a_wrapper_of_a_plugin_stopped_alone_wraps_no_more(manager, make):
    around = Around()
    manager.register_plugin(around, "around")
    manager.register_plugin(make("a"))
    manager.start_plugins(["around", "a"])
    before = len(around.seen)
    manager.stop_plugin("around")
    manager.handle("a").call("log_metric", **POINT)
    assert len(around.seen) == before
    manager.start_plugin("around")
    manager.handle("a").call("log_metric", **POINT)
    assert around.seen[before:] == [("log_metric", "loss")]


def test_after_stopping_all_no_wrapper_wraps_any_more(manager, make):
    around = Around()
    manager.register_plugin(around, "around")
    manager.register_plugin(make("a"))
    manager.start_plugins(["around", "a"])
    manager.stop_all_plugins()
    before = len(around.seen)
    manager.start_plugins(["a"])
    assert len(around.seen) == before
    manager.start_plugins(["around"])
    manager.handle("a").call("log_metric", **POINT)
    assert around.seen[before:] == [("log_metric", "loss")]


def test_calls_can_be_watched_as_pluggy_has_it(manager, make):
    seen = []
    undo = manager.pluggy.add_hookcall_monitoring(
        lambda hook, impls, kwargs: seen.append(hook), lambda outcome, hook, impls, kwargs: None
    )
    manager.register_plugin(make("a"))
    manager.start_plugins(["a"])
    manager.handle("a").call("log_metric", **POINT)
    undo()
    manager.stop_all_plugins()
    assert seen == ["initialize", "start", "log_metric"]


def test_a_wrapper_may_change_the_result_and_take_an_error(manager):
    class Wrapper:
        @hookimpl(wrapper=True)
        def collect(self):
            try:
                [measured] = yield
            except ZeroDivisionError:
                return [{"saved": 1}]
            return [{**measured, "more": 1}]

    class Fine:
        @hookimpl
        def collect(self):
            return {"a": 1}

    class Failing:
        @hookimpl
        def collect(self):
            return 1 / 0

    manager.register_plugin(Wrapper(), "wrapper")
    manager.register_plugin(Fine(), "fine")
    manager.register_plugin(Failing(), "failing")
    manager.start_plugins(["wrapper", "fine", "failing"])
    assert manager.handle("fine").call("collect") == {"a": 1, "more": 1}
    assert manager.handle("failing").call("collect") == {"saved": 1}


def test_a_plugin_with_a_lifecycle_may_wrap_the_same_hooks_of_the_others(manager, make):
    seen = []

    @hookimpl(wrapper=True, specname="start")
    def around(self, plugin):
        seen.append(plugin.name)
        return (yield)

    manager.register_plugin(make("wrapping", {"around": around}))
    manager.register_plugin(make("a"))
    manager.start_plugins(["wrapping", "a"])
    assert seen == ["wrapping", "a"]
    assert ("start",) in manager.plugins["wrapping"].instance.seen
    plugin = manager.get_plugin_instance("wrapping")
    assert manager.pluggy.get_plugin("wrapping") is plugin
    assert manager.pluggy.get_name(plugin) == "wrapping"
    manager.pluggy.unregister(plugin)
    assert manager.pluggy.get_plugin("wrapping") is None
    assert manager.pluggy.list_name_plugin() == [("a", manager.get_plugin_instance("a"))]


def failing_wrapper(where):
    class Wrapper:
        @hookimpl(wrapper=True)
        def log_metric(self):
            if where == "before":
                raise LookupError("wrapper's own")
            if where == "no yield":
                return None
            result = yield
            if where == "second yield":
                yield
            if where == "after":
                raise SystemExit("wrapper's own")
            return result

    return Wrapper()


@pytest.mark.parametrize("where", ["before", "after", "no yield", "second yield"])
@pytest.mark.parametrize("call_fails", [False, True])
def test_a_wrapper_that_fails_is_blamed_itself_and_the_call_made_once(
    manager, make, where, call_fails, caplog
):
    def log_metric(self, name, value, iteration):
        self.note("log_metric", name)
        if call_fails:
            raise OSError("the backend's own")

    other = Around()
    manager.register_plugin(failing_wrapper(where), "wrapper")
    manager.register_plugin(other, "other")
    manager.register_plugin(make("a", {"log_metric": log_metric}))
    manager.start_plugins(["wrapper", "other", "a"])
    for _ in range(3):
        if call_fails:
            with pytest.raises(Exception, match="log_metric failed: OSError: the backend's own"):
                manager.handle("a").call("log_metric", **POINT)
        else:
            manager.handle("a").call("log_metric", **POINT)
    assert manager.plugins["a"].instance.seen[-3:] == [("log_metric", "loss")] * 3
    assert len(manager.plugins["a"].instance.seen) == 5
    assert ("log_metric", "loss") in other.seen
    status = manager.get_status()["plugins"]
    assert [status[name]["state"] for name in ("wrapper", "other", "a")] == ["active"] * 3
    assert "error" not in status["a"]
    if not (call_fails and where in ("after", "second yield")):  # then it never got to its own failure
        assert "wrapper of log_metric failed" in status["wrapper"]["error"]
        assert status["wrapper"]["costs"]["log_metric (wrapper)"]["errors"] == 3
        assert caplog.text.count("further failures are only counted") == 1


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_wrapper_that_hangs_is_left_behind_and_the_wrapped_plugin_goes_on(hasty, make, where):
    gate = threading.Event()

    class Wrapper:
        @hookimpl(wrapper=True)
        def log_metric(self):
            if where == "before":
                gate.wait()
            result = yield
            gate.wait()
            return result

    hasty.register_plugin(Wrapper(), "wrapper")
    hasty.register_plugin(make("a"))
    hasty.start_plugins(["wrapper", "a"])
    for _ in range(2):
        hasty.handle("a").call("log_metric", **POINT)
    gate.set()
    assert hasty.plugins["a"].instance.seen[2:] == [("log_metric", "loss", 0.5, 3)] * 2
    assert hasty.plugins["a"].state is PluginState.ACTIVE
    assert hasty.plugins["wrapper"].state is PluginState.ERROR
    assert "its wrapper of log_metric around 'a' never returned" in hasty.plugins["wrapper"].error


# -- hookspecs of a plugin's own -----------------------------------------------------------------------


class Specs:
    @hookspec
    def alert(self, text):
        """Tell somebody."""


class Bringer:
    def __init__(self):
        self.brought = 0

    @hookimpl
    def addhooks(self, pluginmanager):
        self.brought += 1
        self.manager = pluginmanager
        pluginmanager.add_hookspecs(Specs)


class Listener:
    def __init__(self):
        self.heard = []

    @hookimpl
    def alert(self, text):
        self.heard.append(text)


@pytest.mark.parametrize("order", [["bringer", "listener"], ["listener", "bringer"]])
def test_a_plugin_brings_hookspecs_that_others_implement(manager, order):
    bringer, listener = Bringer(), Listener()
    manager.register_plugin(bringer, "bringer")
    manager.register_plugin(listener, "listener")
    assert manager.start_plugins(order) == dict.fromkeys(order, True)
    bringer.manager.hook.alert(text="fire")
    assert listener.heard == ["fire"]
    assert manager.handle("listener").implements("alert")


def test_it_brings_them_once_however_often_it_is_started(manager):
    bringer = Bringer()
    manager.register_plugin(bringer, "bringer")
    for _ in range(3):
        assert manager.start_plugins(["bringer"]) == {"bringer": True}, manager.plugins["bringer"].error
        manager.stop_all_plugins()
    assert bringer.brought == 1


def test_a_misfit_with_hookspecs_of_its_own_is_told(manager):
    class Own(Bringer):
        @hookimpl
        def alert(self, test): ...

        @hookimpl
        def alarm(self): ...

    manager.register_plugin(Own(), "own")
    assert manager.start_plugins(["own"]) == {"own": False}
    error = manager.plugins["own"].error
    assert "hook alert: unknown argument 'test'; did you mean 'text'?" in error
    assert "unknown hook 'alarm'; did you mean 'alert'?" in error


def test_addhooks_takes_only_the_arguments_it_names(manager):
    class Own:
        @hookimpl
        def addhooks(self): ...

    started(manager, Own())


# -- plugins that pluggy itself would not take ---------------------------------------------------------


def lifecycle(cls):
    """Give a class a whole lifecycle that notes its calls."""

    def note(step):
        return lambda self, *args: self.seen.append(step)

    for step in ("start", "stop"):
        setattr(cls, step, note(step))
    cls.initialize = lambda self, config: self.seen.append("initialize")
    cls.get_status = lambda self: {"seen": len(self.seen)}
    cls.log_metric = lambda self, name, value, iteration: self.seen.append(name)
    cls.get_metadata = classmethod(lambda cls: PluginMetadata(cls.__name__.lower(), "1", "backend"))
    return cls


@lifecycle
@dataclass
class Data:
    seen: list = field(default_factory=list)


@lifecycle
@attrs.define
class Attrs:
    seen: list = attrs.field(factory=list)


@lifecycle
class Quarrelsome:
    def __init__(self):
        self.seen = []

    def __eq__(self, other):
        raise RuntimeError("compare me not")

    def __hash__(self):
        raise RuntimeError("hash me not")

    def __dir__(self):
        raise RuntimeError("list me not")


@lifecycle
class Listing:
    def __init__(self):
        self.seen = []

    def __eq__(self, other):
        return [True]  # as an array would

    __hash__ = None


@lifecycle
class Evaluating:
    def __init__(self):
        self.seen = []

    @property
    def trouble(self):
        raise RuntimeError("evaluate me not")

    def __getattr__(self, name):
        raise RuntimeError(f"ask me not for {name}")


@lifecycle
class Partial:
    def __init__(self):
        self.seen = []

    def go(self, how):
        self.seen.append(how)


Partial.start = functools.partialmethod(Partial.go, "start")


@pytest.mark.parametrize("cls", [Data, Attrs, Quarrelsome, Listing, Evaluating, Partial])
def test_an_unusual_object_is_a_plugin_like_any_other(manager, make, cls):
    manager.register_plugin(make("before"))
    info = manager.register_plugin(cls)
    manager.register_plugin(make("after"))
    name = info.name
    assert manager.start_plugins(["before", name, "after"]) == {"before": True, name: True, "after": True}, (
        info.error
    )
    plugin = manager.get_plugin_instance(name)
    assert manager.pluggy.get_plugin(name) is plugin
    for each in ("before", name, "after"):
        manager.handle(each).call("log_metric", **POINT)
    assert manager.get_status()["plugins"][name]["status"] == {"seen": 3}
    manager.stop_all_plugins()
    assert plugin.seen == ["initialize", "start", "loss", "stop"]
    assert manager.plugins["after"].instance.seen[-1] == ("stop",)


def test_a_proxy_that_answers_for_another_object(manager, make):
    class Proxy:
        def __init__(self, inner):
            self.__dict__["_inner"] = inner

        def __getattr__(self, name):
            return getattr(self._inner, name)

    inner = make("inner")()
    manager.register_plugin(Proxy(inner))
    assert manager.start_plugins({"inner": {"a": 1}}) == {"inner": True}, manager.plugins["inner"].error
    manager.handle("inner").call("log_metric", **POINT)
    manager.stop_all_plugins()
    assert inner.seen == [("initialize", {"a": 1}), ("start",), ("log_metric", "loss", 0.5, 3), ("stop",)]
