"""Promises on data: steps, values, names, parameters and tags."""

from __future__ import annotations

import math
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any, Final

from tracelet.testing.conformance.backend_delivery import POINTS
from tracelet.testing.conformance.far_mapping import FarMapping
from tracelet.testing.conformance.promises import BETTER, promise

_LENGTHS: Final = (1, 2, 31, 63, 64, 127, 128, 249, 250, 251, 255, 256, 257, 500, 999, 1000)
_PER_CATEGORY: Final = 4  # characters of each Unicode category
#: Names that differ by what far sides tend to change: case, separators, spaces, dots, leading and trailing signs.
_SIMILAR: Final = (
    *(
        "loss",
        "Loss",
        "LOSS",
        "loss ",
        " loss",
        "loss.",
        ".loss",
        "loss/",
        "/loss",
        "a/b",
        "a.b",
        "a_b",
        "a-b",
    ),
    *(
        "a b",
        "a  b",
        "a:b",
        "a\\b",
        "a//b",
        "a/../b",
        "../a",
        "..",
        ".",
        "%41",
        "A",
        "a%2Fb",
        "\u00e9",
        "e\u0301",
    ),
    *(
        "#",
        "?",
        "&",
        "=",
        "'",
        '"',
        "`",
        "$x",
        "{x}",
        "[x]",
        "<x>",
        "x*",
        "x|y",
        "x;y",
        "x,y",
        "x@y",
        "~",
        "^",
        "+",
    ),
)
_MANY_PARAMS: Final = 10_000


class DataPromises(FarMapping):
    """What a backend promises on numbers, names, parameters and tags."""

    # -- steps and values ------------------------------------------------------------------------------

    @promise("steps_out_of_order", "Steps in any order are kept", read_back=BETTER, hooks=POINTS)
    def test_steps_out_of_order_are_kept(self) -> None:
        """A step that is smaller than the one before."""
        self._check([("loss", step / 2, step) for step in (5, 3, 9, 0, 7, 1_000_000, 2)])

    @promise("steps_repeated", "Several points at one step are all kept", read_back=BETTER, hooks=POINTS)
    def test_repeated_steps_are_kept(self) -> None:
        """Different values at one step, and the same value twice."""
        self._check([("loss", value, step) for step in (0, 1, 1, 1, 2, 0) for value in (0.25, 0.5, 0.5)])

    @promise("steps_negative", "Negative steps are kept", read_back=BETTER, hooks=POINTS)
    def test_negative_steps_are_kept(self) -> None:
        """Steps below zero, as before a warm-up."""
        self._check([("loss", step / 2, step) for step in (-3, -2, -1, 0, 1)])

    @promise("steps_large", "Large steps are kept exactly", read_back=BETTER, hooks=POINTS)
    def test_large_steps_are_kept(self) -> None:
        """Steps beyond 32 bits, as with a step for each token."""
        self._check([("loss", 0.5, step) for step in (2**31 - 1, 2**31, 2**32 + 1, 2**53)])

    @promise(
        "steps_missing",
        "Points without a step get the steps that the journal counted",
        read_back=BETTER,
        hooks=POINTS,
    )
    def test_missing_steps_are_counted(self) -> None:
        """No step is given; tracelet counts them."""
        self._check([("loss", value / 2) for value in range(10)])

    @promise("nan", "NaN is kept", read_back=BETTER, hooks=POINTS)
    def test_nan_is_kept(self) -> None:
        """NaN between numbers."""
        self._check([("loss", 0.5, 0), ("loss", math.nan, 1), ("loss", 0.25, 2), ("loss", math.nan, 3)])

    @promise("infinities", "Positive and negative infinity are kept", read_back=BETTER, hooks=POINTS)
    def test_infinities_are_kept(self) -> None:
        """Infinities between numbers."""
        self._check([("loss", value, step) for step, value in enumerate((0.5, math.inf, -math.inf, 0.25))])

    @promise("float64", "Numbers are kept to the last bit of a float64", read_back=BETTER, hooks=POINTS)
    def test_numbers_are_kept_to_the_last_bit(self) -> None:
        """The largest, the smallest, and those that float32 cannot hold."""
        info = sys.float_info
        values = (0.1, 1 / 3, math.pi, info.max, -info.max, info.min, 5e-324, -0.0, 2.0**53, 1 + info.epsilon)
        self._check([("loss", value, step) for step, value in enumerate(values)])

    # -- names -----------------------------------------------------------------------------------------

    @promise(
        "names",
        "Names of every printable Unicode class are kept, or mapped by the documented rule",
        read_back=BETTER,
        hooks=POINTS,
    )
    def test_names_of_every_unicode_class(self) -> None:
        """Characters of each category, alone and inside a name."""
        names = [name for character in printable_characters() for name in (character, f"a{character}b")]
        self._check([(name, at / 4, at) for at, name in enumerate(dict.fromkeys(names))])

    @promise("names_similar", "Names that differ only slightly stay apart", read_back=BETTER, hooks=POINTS)
    def test_similar_names_stay_apart(self) -> None:
        """Case, separators, spaces, dots and signs."""
        self._check([(name, at / 4, at) for at, name in enumerate(_SIMILAR)])

    @promise(
        "names_long",
        "Names of 1 to 1,000 characters are kept, or mapped by the documented rule",
        read_back=BETTER,
        hooks=POINTS,
    )
    def test_names_of_one_to_a_thousand_characters(self) -> None:
        """Long names that differ only at their end, in one byte and in three bytes per character."""
        names = [letter * (length - 1) + end for length in _LENGTHS for letter in "a\u8a9e" for end in "xy"]
        self._check([(name, at / 4, at) for at, name in enumerate(dict.fromkeys(names))])

    def _check(self, points: list[Any]) -> None:
        harness = self.harness()
        harness.send(points)
        self.check_far_side(harness)

    # -- parameters ------------------------------------------------------------------------------------

    @promise(
        "params",
        "Parameters of every type arrive, nested ones by their path",
        read_back=BETTER,
        hooks=("log_params",),
    )
    def test_parameters_of_every_type(self) -> None:
        """Numbers, texts, booleans, None, lists, nested mappings, and awkward texts."""
        self._check_params(
            {"lr": 0.1, "epochs": 3, "shuffle": True, "note": None, "name": "r\u00e9seau \u8a9e\U0001f600"},
            {"optimizer": {"name": "adam", "betas": [0.9, 0.999], "deep": {"er": {"est": 1}}}},
            {
                "empty": "",
                "spaces": " a  b ",
                "lines": "one\ntwo\r\n\tthree",
                "quotes": "'\"\\`$",
                "big": 2**63,
            },
            {"tiny": 1e-300, "nothing": [], "texts": ["a", "b"], "none/of": {"x": False}},
        )

    @promise(
        "params_change",
        "A parameter that changes has its last value",
        read_back=BETTER,
        hooks=("log_params",),
    )
    def test_a_parameter_that_changes_has_its_last_value(self) -> None:
        """Three values of one parameter, one of them repeated."""
        self._check_params({"lr": 0.1, "name": "a"}, {"lr": 0.01}, {"lr": 0.01}, {"lr": 0.001})

    @promise(
        "params_long",
        "Long parameters arrive whole, or are shortened by the documented rule",
        read_back=BETTER,
        hooks=("log_params",),
    )
    def test_long_parameters(self) -> None:
        """Texts around usual limits, long keys, and a text of 100,000 characters."""
        texts = {f"text{length}": "x" * length for length in (250, 500, 501, 6000, 6001, 65_536, 100_000)}
        keys = {"k" * length: length for length in (249, 250, 251, 255, 256, 500, 1000)}
        self._check_params(texts, keys, {"wide": "\u8a9e" * 6000})

    @promise("params_many", "10,000 parameters arrive", read_back=BETTER, hooks=("log_params",))
    def test_ten_thousand_parameters(self) -> None:
        """In one call."""
        self._check_params({f"layer{number}/units": number for number in range(_MANY_PARAMS)})

    def _check_params(self, *events: dict[str, Any]) -> None:
        harness = self.harness()
        for params in events:
            harness.run.log_params(params)
        harness.wait(120)
        self._require_part("params", self.check_far_side(harness))

    # -- tags and changes ------------------------------------------------------------------------------

    @promise(
        "tags",
        "Tags arrive, and a tag that changes has its last value",
        read_back=BETTER,
        hooks=("set_tags", "run_changed"),
    )
    def test_tags_arrive(self) -> None:
        """Texts, names alone, unicode, and a change."""
        harness = self.harness()
        harness.run.set_tags({"team": "vision", "stage": "draft", "caf\u00e9": "\u8a9e"})
        harness.run.set_tags(["baseline"])
        harness.run.set_tags({"stage": "final"})
        harness.wait()
        self._require_part("tags", self.check_far_side(harness))

    def _require_part(self, part: str, found: Any) -> None:
        if self._can_read_back() and getattr(found, part) is None:
            self.not_applicable(f"read_back() returns no {part}")


def printable_characters() -> Iterator[str]:
    """Yield some printable characters of each Unicode category: the first ones, and those outside the first plane."""
    seen: dict[str, int] = {}
    for start in (0x20, 0xA1, 0x370, 0x900, 0x2000, 0x3041, 0xA000, 0x10000, 0x1D400, 0x1F300):
        counted: dict[str, int] = {}
        for code in range(start, min(start + 0x200, sys.maxunicode)):
            character = chr(code)
            category = unicodedata.category(character)
            if (
                character.isprintable()
                and counted.get(category, 0) < _PER_CATEGORY
                and seen.get(category, 0) < 16
            ):
                counted[category] = counted.get(category, 0) + 1
                seen[category] = seen.get(category, 0) + 1
                yield character
