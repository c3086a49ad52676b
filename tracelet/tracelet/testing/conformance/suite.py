"""What all suites share: the plugin, its configuration, the declared limits, and harnesses to drive it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tracelet.errors import PluginError, UsageError
from tracelet.messages import closest
from tracelet.testing.conformance.promises import NEEDED, Promise, promises_of
from tracelet.testing.harness import Harness
from tracelet.testing.plugins import find_plugin
from tracelet.testing.project import seal
from tracelet_hookspecs import PluginMetadata, PluginState

#: What suites have for their own tests, not for authors to set.
_HELPERS: Final = frozenset(
    (
        *("metadata", "table", "call", "folder", "harness", "not_applicable", "use"),
        *("far_side", "should_have", "check_far_side", "compare"),
    )
)
_SIMILAR: Final = 0.8  # from which similarity on a name is taken for a misspelled one
#: The classes whose plugin was started once, and those whose plugin could not be, with the reason.
_STARTED: Final[set[type]] = set()
_REFUSED: Final[dict[type, str]] = {}


class Suite:
    """A class of tests for one plugin.

    Set ``plugin`` (a class, an installed name or ``"package.module:Class"``) and ``config``: its table, or a method
    that returns it. A method may take pytest's fixtures as arguments. ``limits`` maps the key of a promise that
    cannot be kept to the reason why.
    """

    plugin: Any = None
    config: Any = None
    limits: Mapping[str, str] = {}

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        _check_names(cls)
        known = promises_of(cls)
        for key, reason in cls.limits.items():
            if key not in known:
                near = closest(key, known)
                hint = f"; did you mean {near!r}?" if near else f"; expected one of {', '.join(known)}"
                raise UsageError(f"{cls.__name__}.limits: there is no promise {key!r}{hint}")
            if not isinstance(reason, str) or not reason.strip():
                raise UsageError(f"{cls.__name__}.limits[{key!r}]: expected the reason, found {reason!r}")

    # -- set up by pytest ------------------------------------------------------------------------------

    @pytest.fixture(autouse=True)
    def _tracelet_suite(
        self,
        request: pytest.FixtureRequest,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> Iterator[None]:
        seal(monkeypatch, tmp_path_factory.mktemp("home"))
        self._request = request
        self._factory = tmp_path_factory
        self._harnesses: list[Harness] = []
        self._table: dict[str, Any] | None = None
        self._refuse_known()
        try:
            self._object = find_plugin(type(self).plugin)
        except UsageError as error:
            self._refuse(str(error))
        self._isolation = getattr(getattr(request.node, "callspec", None), "params", {}).get("isolation")
        try:
            self._start_once()
            if (kept := getattr(request.function, "promise", None)) is not None:
                self._apply(kept)
            yield
        finally:
            for harness in reversed(self._harnesses):
                harness.close()

    def _refuse_known(self) -> None:
        """Skip a test if the plugin could not be started before the first one, which has reported that."""
        if type(self) in _REFUSED:
            pytest.skip(_REFUSED[type(self)])

    def _refuse(self, why: str) -> None:
        """Report once that the suite or the plugin's configuration is wrong: no promise can be checked."""
        _REFUSED[type(self)] = why
        self._request.node.user_properties.append(("usage", why))
        pytest.fail(why, pytrace=False)

    def _start_once(self) -> None:
        """Start the plugin before the first test of the class."""
        if type(self) in _STARTED:
            return
        _STARTED.add(type(self))
        isolation, self._isolation = self._isolation, None
        harness = self.harness(start=False)
        harness.start(must=False)
        info, failed = harness.info, harness.info.state is PluginState.ERROR
        harness.close()
        self._isolation = isolation
        if failed and not info.unavailable:
            self._refuse(f"plugin {info.name!r} does not start: {info.error}")

    def _apply(self, kept: Promise) -> None:
        """Skip what does not concern this plugin, and expect what is declared as a limit."""
        node = self._request.node
        node.user_properties += [("promise", kept.key), ("text", kept.text)]
        self._skip_isolation()
        if kept.hooks and not any(hook in self._hooks() for hook in kept.hooks):
            self.not_applicable(f"the plugin has no {' or '.join(kept.hooks)}")
        if kept.read_back and not self._can_read_back():
            if kept.read_back == NEEDED:
                self.not_applicable("the suite has no read_back()")
            node.user_properties.append(("accepted", "the suite has no read_back()"))
        if kept.key in self.limits:
            reason = self.limits[kept.key]
            node.user_properties.append(("limit", reason))
            node.add_marker(pytest.mark.xfail(reason=f"limit: {reason}", strict=False))

    def _skip_isolation(self) -> None:
        declared = self.metadata.isolation
        if self._isolation == "thread" and declared == "process":
            self.not_applicable("the plugin runs in a process of its own by default")
        if self._isolation == "process" and (why := self._why_not_elsewhere()):
            self.not_applicable(why)

    def not_applicable(self, why: str) -> None:
        """Skip a promise that does not concern this plugin."""
        self._request.node.user_properties.append(("not_applicable", why))
        pytest.skip(why)

    def _can_read_back(self) -> bool:
        return False

    # -- the plugin ------------------------------------------------------------------------------------

    @property
    def metadata(self) -> PluginMetadata:
        """The plugin's metadata."""
        metadata: PluginMetadata = self._describe().metadata
        return metadata

    @property
    def isolation(self) -> str:
        """Where this test runs the plugin: ``"thread"`` or ``"process"``."""
        return self._isolation or self.metadata.isolation

    def _describe(self) -> Any:
        from tracelet.host.plugins import PluginManager

        manager = PluginManager(use_default_paths=False)
        return manager.register_plugin(self._object)

    def _hooks(self) -> set[str]:
        from tracelet.host.discovery import implementations

        return {one.hook for one in implementations(self._object) if not one.wraps}

    def _spec(self) -> tuple[str, str]:
        """Return how another process loads the plugin."""
        from tracelet.delivery.process.import_spec import import_spec_of

        return tuple(import_spec_of(self._describe()))  # type: ignore[return-value]

    def _why_not_elsewhere(self) -> str:
        try:
            self._spec()
        except PluginError as error:
            return f"another process cannot load the plugin: {str(error).partition('but it ')[2] or error}"
        return ""

    def table(self) -> dict[str, Any]:
        """Return the plugin's configuration: the same one throughout a test."""
        if self._table is None:
            given = self.call("config") if self._provides("config") else self.config
            self._table = dict(given or {})
        return dict(self._table)

    # -- calling what the author wrote -----------------------------------------------------------------

    def _provides(self, name: str) -> bool:
        found = inspect.getattr_static(type(self), name, None)
        return callable(found) or _is_fixture(found) or isinstance(found, (staticmethod, classmethod))

    def call(self, name: str, **known: Any) -> Any:
        """Call a method of the test class. Arguments that are not ``known`` are pytest's fixtures."""
        if _is_fixture(inspect.getattr_static(type(self), name, None)):
            return self._request.getfixturevalue(name)
        method = getattr(self, name)
        given = {}
        for parameter in inspect.signature(method).parameters.values():
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            if parameter.name in known:
                given[parameter.name] = known[parameter.name]
            elif parameter.default is parameter.empty:
                given[parameter.name] = self._request.getfixturevalue(parameter.name)
        return method(**given)

    # -- driving it ------------------------------------------------------------------------------------

    def folder(self) -> Path:
        """Return a new folder for a store."""
        return self._factory.mktemp("conformance")

    def harness(self, **options: Any) -> Harness:
        """Drive the plugin with its configuration; ended with the test."""
        from tracelet.run.folder import new_run_id

        options.setdefault("folder", self.folder())
        options.setdefault("isolation", self.isolation)
        options.setdefault("run_id", new_run_id())
        plugin = options.pop("plugin", self._object)
        config = options.pop("config", None)
        made = Harness(plugin, self.table() if config is None else config, **options)
        self._harnesses.append(made)
        return made


def _check_names(cls: type) -> None:
    """Refuse an attribute that nothing reads, and whose name resembles one that the suite has."""
    if cls.__module__.startswith("tracelet.testing."):
        return
    known = [
        name
        for base in cls.__mro__
        if base.__module__.startswith("tracelet.testing.")
        for name in vars(base)
        if not name.startswith(("_", "test_")) and name not in _HELPERS
    ]
    for name in vars(cls):
        if name.startswith(("_", "test_")) or any(hasattr(base, name) for base in cls.__bases__):
            continue
        if near := closest(name, known, cutoff=_SIMILAR):
            raise UsageError(
                f"{cls.__name__}.{name}: the suite has no such attribute; did you mean {near!r}?"
            )


def _is_fixture(found: Any) -> bool:
    return type(found).__name__ == "FixtureFunctionDefinition" or hasattr(found, "_pytestfixturefunction")
