"""The tree of runs shows every run once, whatever their parents are."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from tracelet.cli.views.run_tree import arrange

IDS = [*"abcdefg"]


@settings(max_examples=100, deadline=None)
@given(parents=st.lists(st.sampled_from([*IDS, "elsewhere", None]), min_size=1, max_size=len(IDS)))
def test_every_run_has_one_row(parents):
    records = [
        SimpleNamespace(id=run, parent=parent, group=None) for run, parent in zip(IDS, parents, strict=False)
    ]
    rows = arrange(records, {one.id: [one.id, one.id, ""] for one in records}, ascii_only=True)
    assert sorted(row[1] for row in rows) == [one.id for one in records]
