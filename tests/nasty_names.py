"""Names of params, tags and metrics that a grammar or an address could trip over, and how expressions write them."""

from __future__ import annotations

from typing import Any, Final

NAMES: Final = (
    *(" ", "a b", " lead", "trail ", "tab\tx", "new\nline", "f1.score", "f1/score", ".", ".."),
    *("50%", "#tag", "a&b=c?d", "a+b", "a,b", "a:b", "~", "!x", "<b>", "a[0]", "b(c)", "{d}", "a|b", "$5"),
    *('say "hi"', '"', "it's", "`tick`", "'\"`mix", "back\\slash", 'end\\"', '"]', "größe", "日本", "😀"),
    *("and", "not", "none", "name", "max", "last", "loss.max", "-x", "+y", "0"),
)


def field(kind: str, name: str, statistic: str = "") -> str:
    """Return the expression for a param, tag or metric; any name can be written in quotes."""
    quoted = name.replace('"', '""')
    return f'{kind}["{quoted}"]' + (f".{statistic}" if statistic else "")


def nasty_values(kind: str, number: int) -> dict[str, Any]:
    """Return what the run of this number logs: values that tell names and runs apart."""
    values = {name: place + 0.25 + number * 0.5 for place, name in enumerate(NAMES, 1)}
    return {name: f"tag {value}" for name, value in values.items()} if kind == "tags" else dict(values)
