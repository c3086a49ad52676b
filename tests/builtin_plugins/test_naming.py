"""The rule for names that a destination cannot hold."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from tracelet_builtin_plugins.naming import fit_name

REFUSED = re.compile(r"[^a-z/]")
names = st.text(st.sampled_from("ab/ AÄ_\0"), max_size=30)


@given(names)
def test_the_result_is_accepted(name):
    fitted = fit_name(name, refused=REFUSED, limit=20, replacement="x", separator="/")
    assert 0 < len(fitted) <= 20
    assert not REFUSED.search(fitted.rpartition("/")[0])


@given(names, names)
def test_different_names_stay_different(one, other):
    assert (fit_name(one, refused=REFUSED, limit=20) == fit_name(other, refused=REFUSED, limit=20)) == (
        one == other
    )


@given(st.from_regex(r"\A[a-z/]{1,20}\Z"))
def test_a_name_that_fits_is_not_changed(name):
    assert fit_name(name, refused=REFUSED, limit=20) == name
