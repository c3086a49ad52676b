"""What must hold of a plugin, told with who, where, what was wanted and what was found, all at once."""

from __future__ import annotations

import functools
import traceback
from importlib import metadata
from types import ModuleType

import attrs
import pytest

import tracelet
from tracelet.core.plugins import BackendPlugin, PluginMetadata, PluginState, hookimpl
from tracelet.errors import PluginError
from tracelet.secrets import SecretStr


def fault(manager, plugin, name=None):
    """Register a plugin and return why it is not valid."""
    info = manager.register_plugin(plugin, name)
    assert manager.validate_plugin(info.name) is False
    assert info.state is PluginState.ERROR
    return info.error


def test_a_valid_plugin(manager, make):
    info = manager.register_plugin(make())
    assert manager.validate_plugin("plain") is True
    assert info.state is PluginState.VALIDATED
    assert info.error is None


@pytest.mark.parametrize("missing", ["initialize", "start", "stop", "get_status", "log_metric"])
def test_a_class_that_lacks_a_part_of_the_lifecycle(manager, make, missing):
    methods = {name: getattr(make(), name) for name in ("initialize", "start", "stop", "get_status")}
    methods |= {name: getattr(make(), name) for name in ("log_metric", "log_params", "log_artifact")}
    del methods[missing]
    assert f"lacks {missing}(); add the missing methods" in fault(
        manager, make("a", methods, base=BackendPlugin)
    )


def test_all_missing_parts_are_named_together(manager):
    class Bare:
        @classmethod
        def get_metadata(cls):
            return PluginMetadata("bare", "1", "backend")

    assert "lacks initialize(), start(), stop(), get_status(); add" in fault(manager, Bare)


def test_an_object_without_anything(manager):
    info = manager.register_plugin(object(), "nothing")
    assert "expected a class, an instance or a module with hook implementations" in info.error
    assert not manager.validate_plugin("nothing")


class Callable:
    def __call__(self, *args): ...


@pytest.mark.parametrize(
    "made",
    [functools.partial(print), functools.lru_cache(print), Callable(), functools.partialmethod(print)],
    ids=lambda made: type(made).__name__,
)
@pytest.mark.parametrize("kind", ["class", "object", "module"])
def test_a_decorated_callable_that_is_not_a_function(manager, made, kind):
    hooks = {"run_started": hookimpl(made), "run_ended": staticmethod(hookimpl(lambda run: None))}
    plugin = type("Odd", (), hooks)
    if kind == "module":
        plugin = ModuleType("odd")
        vars(plugin).update(run_started=hooks["run_started"])
    expected = f"hook run_started: expected a function, found an object of type {type(made).__name__}"
    assert expected in fault(manager, plugin() if kind == "object" else plugin, "odd")


@pytest.mark.parametrize("version", ["one", "", None, 1.0, "1.0.x"])
def test_a_version_that_does_not_parse(manager, make, version):
    assert f"expected a PEP 440 version such as '1.0', found {version!r}" in fault(
        manager, make(version=version)
    )


@pytest.mark.parametrize("version", ["1", "1.0", "2.0.0rc1", "1!2.3+local", "v1.2"])
def test_a_version_that_does(manager, make, version):
    manager.register_plugin(make(version=version))
    assert manager.validate_plugin("plain")


def test_the_message_names_the_plugin_and_where_it_came_from(manager, make):
    error = fault(manager, make(version="x"))
    assert error.startswith("plugin 'plain' (by hand): metadata version: ")


def test_several_faults_are_told_together(manager, make):
    @hookimpl
    def log_metrik(self, name): ...

    error = fault(manager, make("a", {"log_metrik": log_metrik}, version="x", dependencies=["no-such-thing"]))
    assert "metadata version" in error
    assert "unknown hook 'log_metrik'; did you mean 'log_metric'?" in error
    assert "needs 'no-such-thing', found neither such a plugin nor such a distribution" in error


# -- hooks ---------------------------------------------------------------------------------------------


def test_an_unknown_hook_is_reported_with_the_closest(manager):
    class Own:
        @hookimpl
        def colect(self): ...

    assert "unknown hook 'colect'; did you mean 'collect'?" in fault(manager, Own(), "own")


def test_an_unknown_hook_may_be_optional(manager):
    class Own:
        @hookimpl(optionalhook=True)
        def of_another_tool(self): ...

    manager.register_plugin(Own(), "own")
    assert manager.start_plugins(["own"]) == {"own": True}


@pytest.mark.parametrize(
    ("hook", "body", "told"),
    [
        ("log_metric", "self, name, value, step", "unknown argument 'step'"),
        ("log_metric", "self, nane", "unknown argument 'nane'; did you mean 'name'?"),
        ("initialize", "self, cfg", "unknown argument 'cfg'"),
        ("start", "self, now", "unknown argument 'now'"),
        ("log_params", "self, *, params", "argument 'params' is keyword-only and never passed; remove the *"),
    ],
)
def test_an_unknown_argument_is_reported_with_the_closest(manager, make, hook, body, told):
    namespace: dict = {}
    exec(f"def {hook}({body}): ...", namespace)
    error = fault(manager, make("a", {hook: namespace[hook]}))
    assert f"hook {hook}: " in error
    assert told in error
    if "unknown" in told:
        assert "; available arguments: " in error


@pytest.mark.parametrize(
    ("function", "doubt"),
    [
        (
            lambda self, name, value, step=None: None,
            "argument 'step' is never passed; did you mean 'iteration'?",
        ),
        (
            lambda self, name, value, *, iteration=None: None,
            "argument 'iteration' is keyword-only and never passed; remove the *",
        ),
        (lambda self, name, value, iteration, retries=3: None, None),
        (lambda self, name, value: None, None),
    ],
)
def test_an_argument_that_is_never_passed(manager, make, function, doubt):
    manager.register_plugin(make("plain", {"log_metric": function}))
    assert manager.validate_plugin("plain") is True
    assert len(manager.problems) == (doubt is not None)
    assert doubt is None or f"hook log_metric: {doubt}" in manager.problems[0]


def test_arguments_are_read_through_decorators(manager, make):
    def logged(function):
        @functools.wraps(function)
        def inner(*args, **kwargs):
            return function(*args, **kwargs)

        return inner

    @logged
    def log_metric(self, name, value, iteration):
        self.note(name)

    manager.register_plugin(make("a", {"log_metric": log_metric}))
    assert manager.start_plugins(["a"]) == {"a": True}
    manager.handle("a").call("log_metric", name="x", value=1, iteration=None)
    assert manager.plugins["a"].instance.seen[-1] == ("x",)


def test_a_wrapper_that_is_no_generator(manager):
    class Own:
        @hookimpl(wrapper=True)
        def start(self):
            return None

    assert "hook start: a wrapper must be a generator function" in fault(manager, Own(), "own")


# -- dependencies and versions -------------------------------------------------------------------------


def test_an_async_function_is_no_implementation(manager, make):
    async def start(self): ...

    assert "hook start: an async function is never awaited" in fault(manager, make("plain", {"start": start}))


def test_requirements_are_checked_against_what_is_installed(manager, make):
    installed = metadata.version("pluggy")
    needs = ["pluggy>=1.0", f"PLUGGY=={installed}", 'no-such-thing; python_version < "3"', "pluggy[testing]"]
    manager.register_plugin(make(dependencies=needs))
    assert manager.validate_plugin("plain"), manager.plugins["plain"].error


@pytest.mark.parametrize(
    ("needs", "told"),
    [
        ("pluggy>=99", "needs 'pluggy>=99', found {pluggy}; run: pip install 'pluggy>=99'"),
        (
            "no-such-thing>=2",
            "needs 'no-such-thing>=2', found neither such a plugin nor such a distribution; run: pip",
        ),
        ("no such thing", "dependency 'no such thing': expected a plugin's name or a PEP 508 requirement"),
        (
            "othre",
            "needs 'othre', found neither such a plugin nor such a distribution; did you mean 'other'?",
        ),
        (3, "dependency 3: expected a string"),
        ([], "dependency []: expected a string"),
    ],
)
def test_a_dependency_that_is_not_met(manager, make, needs, told):
    manager.register_plugin(make("other"))
    assert told.format(pluggy=metadata.version("pluggy")) in fault(manager, make(dependencies=[needs]))


@pytest.mark.parametrize("needs", ["other", 7, {"other": 1}])
def test_dependencies_that_are_no_list(manager, make, needs):
    manager.register_plugin(make("other"))
    assert "metadata dependencies: expected a list of strings" in fault(manager, make(dependencies=needs))
    assert manager.start_plugins(["plain"]) == {"plain": False}


def test_a_plugin_named_after_the_library_that_it_needs(manager, make):
    manager.register_plugin(make("pluggy", dependencies=["pluggy>=1.0", "pluggy"]))
    manager.register_plugin(make("other", dependencies=["pluggy>=1.0"]))
    manager.register_plugin(make("third", dependencies=["pluggy"]))
    assert manager.resolve_dependencies(["other", "third"]) == ["other", "pluggy", "third"]
    assert manager.start_plugins(["pluggy", "other", "third"]) == dict.fromkeys(
        ["pluggy", "other", "third"], True
    )


@pytest.mark.parametrize(("wanted", "is_met"), [("other-plugin>=2", True), ("other-plugin>=3", False)])
def test_a_requirement_on_another_plugins_version(manager, make, wanted, is_met):
    manager.register_plugin(make("other-plugin", version="2.1"))
    info = manager.register_plugin(make(dependencies=[wanted]))
    assert manager.validate_plugin("plain") is is_met
    if not is_met:
        assert f"needs {wanted!r}, found 2.1" in info.error


def test_the_hosts_version(manager, make):
    manager.register_plugin(make("fits", requires_tracelet=f">=0.0.1,=={tracelet.__version__}"))
    assert manager.validate_plugin("fits")
    error = fault(manager, make("newer", requires_tracelet=">=99"))
    assert f"needs tracelet >=99, found {tracelet.__version__}; upgrade tracelet, or" in error
    assert "expected a version specifier" in fault(manager, make("odd", requires_tracelet="newest"))
    assert "expected a version specifier" in fault(manager, make("odder", requires_tracelet=3))


# -- configuration -------------------------------------------------------------------------------------

SHORT = {
    "timeout": {"type": "number", "required": True, "default": 30},
    "url": {"type": "string", "required": True},
    "token": {"type": "string"},
}


def test_the_configuration_is_validated_with_defaults_filled_in(manager, make):
    info = manager.register_plugin(make(config_schema=SHORT))
    given = {"url": "http://x"}
    assert manager.initialize_plugin("plain", given)
    assert info.instance.seen == [("initialize", {"timeout": 30, "url": "http://x"})]
    assert given == {"url": "http://x"}


def test_all_problems_of_a_configuration_are_told_with_their_paths(manager, make):
    info = manager.register_plugin(make(config_schema=SHORT))
    assert manager.initialize_plugin("plain", {"timeout": "soon", "tiemout": 3, "token": 7}) is False
    assert info.state is PluginState.ERROR
    assert "plugins.plain.timeout: expected number, found 'soon' (string)" in info.error
    assert "plugins.plain.url: expected string" in info.error
    assert "plugins.plain.tiemout: unknown key (did you mean 'timeout'?)" in info.error
    assert info.error.startswith("plugin 'plain': initialize failed: ")


def test_a_secret_is_shown_nowhere(manager, make, caplog):
    secret = "s3cr3t-t0k3n-value"

    def start(self):
        raise ConnectionError(f"server says: {self.config['token']} is wrong for {self.config}")

    def get_status(self):
        return {
            "token": self.config["token"],
            "said": f"sent {self.config['token']}",
            "nested": [self.config],
        }

    info = manager.register_plugin(make("a", {"start": start}, config_schema=SHORT))
    manager.register_plugin(make("b", {"get_status": get_status}, config_schema=SHORT))
    config = {"url": "http://x", "token": secret}
    manager.start_plugins({"a": config, "b": config})
    assert isinstance(manager.get_plugin_instance("a").config["token"], SecretStr)
    assert manager.get_plugin_instance("a").config["token"] == secret
    for shown in (info.error, info.traceback, caplog.text, str(manager.get_status()), repr(info)):
        assert secret not in shown
    assert "***" in info.error
    assert "***" in info.traceback


def test_a_secret_is_in_no_chain_of_exceptions(manager, make):
    secret = "s3cr3t-t0k3n-value"

    def get_status(self):
        try:
            raise OSError(self.config["token"])
        except OSError as error:
            raise RuntimeError("no answer") from error

    manager.register_plugin(make("a", {"get_status": get_status}, config_schema=SHORT))
    manager.start_plugins({"a": {"url": "http://x", "token": secret}})
    with pytest.raises(PluginError) as failed:
        manager.handle("a").call("get_status")
    told = "".join(traceback.format_exception(None, failed.value, failed.value.__traceback__))
    assert secret not in told
    assert "OSError: ***" in told
    assert isinstance(failed.value.cause, RuntimeError)


def test_an_attrs_class_as_the_schema(manager, make):
    @attrs.define
    class Config:
        url: str
        timeout: float = 30.0

    info = manager.register_plugin(make(config_schema=Config))
    assert manager.initialize_plugin("plain", {"url": "http://x"}), info.error
    [(_, config)] = info.instance.seen
    assert config == Config("http://x", 30.0)
    assert manager.get_plugin_instance("plain").config == config
    assert manager.initialize_plugin("plain", Config("http://y")), info.error
    assert info.instance.seen[-1] == ("initialize", Config("http://y"))


@pytest.mark.parametrize("schema", [3, {"a": 3}, {"a": {"type": "text"}}, str])
def test_a_schema_that_is_malformed_is_told_at_validation(manager, make, schema):
    assert "config_schema" in fault(manager, make(config_schema=schema))


def test_a_converter_that_hangs_hangs_on_the_plugins_thread(hasty, make):
    import threading

    gate = threading.Event()

    @attrs.define
    class Config:
        url: str = attrs.field(converter=lambda value: gate.wait() and value)

    info = hasty.register_plugin(make(config_schema=Config))
    assert hasty.initialize_plugin("plain", {"url": "http://x"}) is False
    gate.set()
    assert "initialize was still running at test_host_validation.py" in info.error
