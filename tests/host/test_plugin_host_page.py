"""The page on the plugin host says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from tracelet.core.plugins import PluginState
from tracelet.host.states import TRANSITIONS

PAGE = Path(__file__).parents[2] / "docs" / "plugin-host.md"


def test_the_table_of_transitions_is_the_one_in_the_code():
    rows = re.findall(r"^\| ([A-Z]+) \| ([A-Z, ]+) \|$", PAGE.read_text(), re.M)
    told = {PluginState[old]: {PluginState[new] for new in news.split(", ")} for old, news in rows}
    assert told == TRANSITIONS
