"""The reference of the library gives every signature as it is, and leaves none of the public names out."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import tracelet
from tracelet.core.plugins import PluginManager
from tracelet.store import RunRecord, Series, Store

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "library.md").read_text()
HEADINGS = re.findall(r"^### `(\w+)\.(\w+)(\(.*\))`$", PAGE, flags=re.M)
OWNERS = {
    "tracelet": tracelet,
    "run": tracelet.Run,
    "store": Store,
    "record": RunRecord,
    "series": Series,
    "manager": PluginManager,
}


def as_written(function) -> str:
    """Return a signature without annotations and without ``self``."""
    signature = inspect.signature(function)
    plain = [
        parameter.replace(annotation=parameter.empty)
        for name, parameter in signature.parameters.items()
        if name != "self"
    ]
    return str(signature.replace(parameters=plain, return_annotation=signature.empty))


@pytest.mark.parametrize(("owner", "name", "signature"), HEADINGS, ids=lambda part: part.partition("(")[0])
def test_its_signature_is_the_codes(owner, name, signature):
    assert signature == as_written(getattr(OWNERS[owner], name))


def test_no_public_name_is_left_out():
    assert [name for name in tracelet.__all__ if not re.search(rf"\b{name}\b", PAGE)] == []
