"""How many promises a report counts, and what it says without pytest."""

from __future__ import annotations

import sys

import pytest

from tracelet.cli.commands.plugins_conformance import check_conformance, count_promises, gather_promises
from tracelet.errors import UsageError


def result(promise, isolation, outcome):
    return {
        "promise": promise,
        "text": "",
        "isolation": isolation,
        "outcome": outcome,
        "why": "",
        "seconds": 0.0,
        "test": "",
    }


def test_a_promise_counts_once_for_both_isolations():
    results = [
        result("units", "", "not applicable"),
        result("status", "thread", "not applicable"),
        result("status", "process", "not applicable"),
        result("delivered", "thread", "kept"),
        result("delivered", "process", "not applicable"),
    ]
    assert count_promises(gather_promises(results, "thread")) == {"not applicable": 3, "kept": 1}


def test_without_pytest_the_message_says_how_to_install_this_project(monkeypatch):
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(UsageError) as caught:
        check_conformance(None, "lines", None, None)
    assert "from a clone of the repository: pip install './tracelet[testing]'" in str(caught.value)
    assert "'tracelet[testing]'" not in str(caught.value)
