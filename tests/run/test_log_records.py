"""Log records without the command line: nothing in them controls a terminal or forges a line of the log."""

from __future__ import annotations

import io
import logging

import pytest

from tracelet.logs import get_logger

ODD = "\x1b[2J\x9b31m\u202e\a"


@pytest.fixture
def lines():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("tracelet")
    logger.addHandler(handler)
    yield lambda: stream.getvalue()
    logger.removeHandler(handler)


def test_arguments_messages_and_tracebacks_are_escaped(lines):
    log = get_logger("tracelet.test")
    log.warning("run %s", f"{ODD}\nCRITICAL forged")
    log.warning(f"run {ODD}")
    log.warning("%(name)s", {"name": ODD})
    try:
        raise ValueError(ODD)
    except ValueError:
        log.exception("failed\nin two lines")
        log.warning("plugin %s\n%s", "x", 'Traceback (most recent call last):\n  File "x"')
    shown = lines()
    assert shown.replace("\n", "").isprintable()
    assert "\nCRITICAL" not in shown
    assert "\\x1b[2J\\x9b31m\\u202e\\x07" in shown
    assert "failed\nin two lines\nTraceback" in shown
    assert 'plugin x\nTraceback (most recent call last):\n  File "x"' in shown


def test_ordinary_records_are_left_alone(lines, caplog):
    log = get_logger("tracelet.test")
    log.warning("%s: %d of %s, %r", "ünï", 3, ValueError("a\nb"), "x\x1b")
    assert lines() == "ünï: 3 of a\nb, 'x\\x1b'\n"
    assert caplog.records[0].args is not None
