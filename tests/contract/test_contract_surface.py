"""The surface of the contract is written down, and its versions are shown wherever a plugin author looks."""

from __future__ import annotations

import difflib
import importlib.util
import json
from pathlib import Path

import pytest

from tracelet_hookspecs import CONTRACT, ContractDeprecationWarning, hook_versions, hookspec, since

HERE = Path(__file__).parent


def test_no_change_of_the_contract_goes_unnoticed():
    spec = importlib.util.spec_from_file_location("surface", HERE / "surface.py")
    surface = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(surface)
    written, found = surface.FILE.read_text(encoding="utf-8"), surface.surface()
    changes = "\n".join(difflib.unified_diff(written.splitlines(), found.splitlines(), lineterm="", n=1))
    assert not changes, (
        f"the contract has changed:\n{changes}\nIf this is meant, raise tracelet_hookspecs.CONTRACT as"
        " docs/contract-versions.md says, and run: python tests/contract/surface.py"
    )


def test_a_hookspec_says_since_when_it_and_its_arguments_exist():
    @since("1.1", run="1.2")
    @hookspec
    def log_lines(lines, run=None): ...

    assert hook_versions(log_lines) == ("1.1", {"run": "1.2"})
    assert hook_versions(lambda: None) == ("1.0", {})


def test_the_hooks_command_shows_the_versions(project):
    hook = json.loads(project.tracelet("hooks", "log_metric", "--json").stdout)
    assert hook["since"] == "1.0"
    assert hook["arguments_since"]["id"] == "1.0"
    assert hook["deprecated"] == []
    assert "since contract 1.0" in project.tracelet("hooks", "log_metric").stdout
    assert f"contract {CONTRACT}" in project.tracelet("hooks").stdout


OWN_HOOKS = """
    import tracelet
    from tracelet_hookspecs import ContractDeprecationWarning, hookspec

    class Specs:
        @hookspec(warn_on_impl=ContractDeprecationWarning(
            "hook log_line", since="1.2", removed_in="2.0", instead="log_text"))
        def log_line(self, line): ...

        @hookspec(warn_on_impl_args={"old": ContractDeprecationWarning(
            "argument old of hook log_text", since="1.3", removed_in="2.0", instead="new")})
        def log_text(self, old, new): ...

    class Owner:
        @tracelet.hookimpl
        def addhooks(self, pluginmanager):
            pluginmanager.add_hookspecs(Specs)

    class Old:
        @tracelet.hookimpl
        def log_line(self, line): ...

        @tracelet.hookimpl
        def log_text(self, old): ...

    class Current:
        @tracelet.hookimpl
        def log_text(self, new): ...
"""


@pytest.fixture
def own_hooks(project):
    project.write("own.py", OWN_HOOKS)
    return project


def test_plugins_check_names_what_is_deprecated_and_what_replaces_it(own_hooks):
    shown = own_hooks.tracelet("plugins", "check", "own.py", "--json", status=None).stdout
    warnings = {each["name"]: each["warnings"] for each in json.loads(shown)["plugins"]}
    assert (
        "hook log_line is deprecated since contract 1.2 and removed in 2.0; use log_text instead"
        in warnings["Old"]
    )
    assert any("argument old of hook log_text is deprecated" in each for each in warnings["Old"])
    assert warnings["Current"] == []


def test_a_run_warns_once_and_goes_on_even_where_warnings_are_errors(own_hooks):
    own_hooks.write(
        "train.py",
        """
        import own, tracelet
        with tracelet.start_run(plugins=[own.Owner(), own.Old(), own.Current()], strict=True) as run:
            run.log_metric("loss", 1)
        """,
    )
    done = own_hooks.python("-W", "error", "train.py")
    assert done.stderr.count("hook log_line is deprecated") == 1
    assert done.stderr.count("argument old of hook log_text is deprecated") == 1


def test_the_warning_carries_its_parts():
    warning = ContractDeprecationWarning("hook a", since="1.2", removed_in="2.0", instead="b")
    assert (warning.what, warning.since, warning.removed_in, warning.instead) == ("hook a", "1.2", "2.0", "b")
