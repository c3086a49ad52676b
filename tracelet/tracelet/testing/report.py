"""The results of conformance suites as data: a pytest plugin, loaded with ``-p tracelet.testing.report``.

It writes them, as JSON, to the file that the variable ``TRACELET_CONFORMANCE_REPORT`` names, after each test: if
pytest is killed, the results so far are there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

VARIABLE: Final = "TRACELET_CONFORMANCE_REPORT"
KEPT, BROKEN, LIMIT, KEPT_LIMIT = "kept", "broken", "limit", "kept limit"
ACCEPTED, NOT_APPLICABLE = "accepted", "not applicable"
_LONGEST: Final = 2000  # characters of a reason

_results: dict[str, dict[str, Any]] = {}
_about: dict[str, int] = {"total": 0}
_file = ""  # where to write the results


def pytest_configure(config: pytest.Config) -> None:
    """Note where to write, before a test clears the environment. A worker of xdist writes nothing."""
    global _file
    _file = "" if hasattr(config, "workerinput") else os.environ.get(VARIABLE, "")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the outcome of a promise's test. With xdist, this is called where the results are gathered."""
    given = dict(report.user_properties)
    if report.when == "setup" and report.passed:
        return
    if report.when == "teardown" and report.passed:
        return
    known = _results.setdefault(report.nodeid, {"promise": given.get("promise") or _name(report)})
    known |= {
        "text": given.get("text", ""),
        "isolation": isolation_of(report.nodeid),
        "test": report.nodeid,
        "seconds": round(known.get("seconds", 0.0) + report.duration, 3),
    }
    if known.get("outcome") != BROKEN:
        known["outcome"], known["why"] = _outcome(report, given)
    if usage := given.get("usage"):
        known["usage"] = str(usage)
    _write(None)


def isolation_of(nodeid: str) -> str:
    """Return the isolation that a test is run with, "" for the plugin's own."""
    name = nodeid.rpartition("[")[2].removesuffix("]")
    return next((each for each in ("thread", "process") if name.split("-")[0] == each), "")


def _name(report: pytest.TestReport) -> str:
    return report.nodeid.rpartition("::")[2].removeprefix("test_").partition("[")[0]


def _outcome(report: pytest.TestReport, given: Mapping[str, Any]) -> tuple[str, str]:
    if "limit" in given and report.when == "call":
        kept = report.passed
        return (KEPT_LIMIT if kept else LIMIT), str(given["limit"])
    if report.skipped:
        return NOT_APPLICABLE, str(given.get("not_applicable") or _skip_reason(report))
    if report.failed:
        return BROKEN, _failure(report)
    return (ACCEPTED, str(given["accepted"])) if "accepted" in given else (KEPT, "")


def _skip_reason(report: pytest.TestReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")


def _failure(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    where = " (when it ended)" if report.when == "teardown" else ""
    return str(text).removeprefix("Failed: ")[:_LONGEST] + where


def pytest_collection_finish(session: pytest.Session) -> None:
    """Count the tests."""
    _about["total"] = len(session.items)
    _write(None)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write the results."""
    _write(int(exitstatus))


def _write(status: int | None) -> None:
    """Write the results so far; the status is ``None`` until pytest has ended."""
    if _file:
        text = json.dumps({"results": list(_results.values()), **_about, "status": status})
        part = Path(f"{_file}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(_file)
