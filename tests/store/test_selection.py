"""Runs by project, tag, parameter, summary and time; and the small language for it."""

from __future__ import annotations

import math
import time
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.nasty_names import NAMES, field

from tracelet.errors import UsageError
from tracelet.store.fields import read_columns
from tracelet.store.free_text import read_query
from tracelet.store.selection import parse_time
from tracelet.store.where import And, Comparison, Field, Has, Not, Or, parse, parse_field


@pytest.fixture
def store(records):
    records.run(
        "a",
        {"acc": [0.5, 0.95, 0.9], "train/loss": [1.0, 0.1]},
        name="base-1",
        params={"lr": 0.1, "opt/name": "sgd", "seed": "7", "amp": True, "layers": 2},
        tags={"team": "vision", "good": ""},
    )
    records.run(
        "b",
        {"acc": [0.4, 0.7], "train/loss": [1.0, math.nan], "my metric.max": [5.0]},
        name="base-2",
        params={"lr": 0.01, "opt/name": "adam", "seed": "10", "amp": False},
        tags={"team": "audio"},
    )
    records.run(
        "c", {"val.loss": [0.3]}, name="other", project="speech", params={"lr": "auto", "decay": None}
    )
    records.run("d", {"acc": [0.1]}, name="bad", project="speech", outcome="failed", error="ValueError: no")
    records.run("e", {"acc": [0.2]}, name="live", project="speech", outcome=None)
    return records.store()


def ids(runs) -> str:
    return "".join(run.id for run in runs)


def found(store, where: str) -> str:
    return ids(store.runs(where=where, sort="id"))


def test_newest_first(store):
    assert ids(store.runs()) == "edcba"
    assert ids(store.runs(limit=2)) == "ed"
    assert store.runs(limit=0) == []


def test_keywords(store):
    assert ids(store.runs("speech")) == "edc"
    assert ids(store.runs(["speech", "digits"], limit=3)) == "edc"
    assert ids(store.runs(project="speech", outcome="failed")) == "d"
    assert ids(store.runs(outcome=["failed", "running"])) == "ed"
    assert ids(store.runs(name="base-1")) == "a"
    assert ids(store.runs(params={"lr": 0.1})) == "a"
    assert ids(store.runs(params={"lr": [0.1, 0.01], "amp": False})) == "b"
    assert ids(store.runs(params={"opt/name": "sgd"})) == "a"
    assert ids(store.runs(tags={"team": ["vision", "audio"]})) == "ba"
    assert ids(store.runs(tags=["good"])) == "a"
    assert ids(store.runs(tags="team")) == "ba"
    assert ids(store.runs(since="-1h")) == "edcba"
    assert ids(store.runs(until=time.time() - 3600)) == ""
    assert ids(store.runs(since=store.run("c").started_at, until=store.run("e").started_at)) == "dc"
    assert store.projects() == ["digits", "speech"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("params.lr < 0.05", "b"),
        ("params.lr <= 0.1 and metrics.acc.max > 0.9", "a"),
        ("0.05 < params.lr < 1", "a"),
        ("metrics.acc > 0.8", "a"),  # the last value, when no statistic is named
        ("metrics.acc.min < 0.45", "bde"),
        ("metrics.acc.count == 3", "a"),
        ("metrics.acc.mean >= 0.55 and metrics.acc.mean <= 0.55", "b"),
        ("metrics.train/loss.min = 0.1", "a"),
        ("metrics.train.loss.min == 0.1", "a"),
        ('metrics["train/loss"].last_step == 1', "ab"),
        ("metrics.train/loss.last > -inf", "a"),  # NaN is neither above nor below
        ("metrics.train/loss.nans > 0", "b"),
        ("metrics.val.loss < 1", "c"),
        ('metrics."my metric.max" == 5', "b"),
        ("metrics.`my metric.max`.last == 5", "b"),
        ("metrics.acc.last < metrics.acc.max", "a"),
        ("params.opt/name == 'sgd' or params.opt.name = \"adam\"", "ab"),
        ("params.seed > 8", "b"),  # a text that reads like a number
        ("params.seed == '7'", "a"),
        ("params.amp == true", "a"),
        ("params.amp = false", "b"),
        ("params.lr == 'auto'", "c"),
        ("params.lr != 0.1", "b"),
        ("not params.lr == 0.1", "bcde"),
        ("params.lr in (0.1, 'auto')", "ac"),
        ("params.lr not in [0.1, 0.01]", "cde"),
        ("params.lr in (0.1, none)", "ade"),
        ("params.amp in (true)", "a"),
        ("started in ('2020-01-01')", ""),
        ("params.lr in ()", ""),
        ("params.layers", "a"),
        ("not params.lr", "de"),
        ("params.decay == none", "abcde"),
        ("params.lr != none", "abc"),
        ("tags.good", "a"),
        ("tags.team != 'audio'", "a"),
        ("name ~ 'base-*'", "ab"),
        ("name ~ '[bo]*' and project == 'speech'", "cd"),
        ("outcome == 'running'", "e"),
        ("outcome in ('failed', 'killed')", "d"),
        ("error ~ '*ValueError*'", "d"),
        ("error == none", "abce"),
        ("ended == none", "e"),
        ("duration < '1h' and duration >= 0", "abcde"),
        ("started > '-1d' and started_at < '2999-01-01'", "abcde"),
        ("id >= 'c'", "cde"),
        ("host != 'nowhere'", "abcde"),
        ("(params.lr == 0.1 or params.lr == 0.01) and not tags.good", "b"),
        ("params.lr == 0.1 or params.lr == 0.01 and not tags.good", "ab"),
        ("PARAMS.lr", None),
        ("NOT tags.good AND tags.team", "b"),
        ("name == 'it\\'s'", ""),
        ('name == "\'; DROP TABLE runs; --"', ""),
        ("  ", "abcde"),
    ],
)
def test_expressions(store, where, expected):
    if expected is None:
        with pytest.raises(UsageError):
            found(store, where)
    else:
        assert found(store, where) == expected


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("params.lr <", r"column 12: expected a field, a number or a quoted text, found the end"),
        ("params.lr 0.1", r"column 11: expected 'and', 'or' or the end, found '0.1'"),
        ("(name = 'a'", r"column 12: expected '\)', found the end"),
        ("name = base", r"put a text in quotes: 'base'"),
        ("metric.acc > 0.9 &", r"column 18: cannot parse '&'"),
        ("parms.lr > 1", r"no field 'parms.lr' \(did you mean 'params.NAME'\?\)"),
        ("metrics > 1", "no field 'metrics'"),
        ("params.lr in 0.1", "expected a list in parentheses, found '0.1'"),
        ("params.lr in (name)", "expected a number or a quoted text, found 'name'"),
        ("0.1", "expected a comparison, found the end"),
        ("params.lr < none", "expected == or != for a comparison with none"),
        ("started > 'soon'", "expected a date like 2026-11-23"),
        ("and", "no field 'and'"),
    ],
)
def test_mistakes_are_pointed_at(store, where, told):
    with pytest.raises(UsageError, match=told):
        store.runs(where=where)


def test_long_expressions_and_lists(store):
    assert ids(store.runs(name=[f"other-{number}" for number in range(900)] + ["other"])) == "c"
    for deep in ("(" * 10_000 + "name", "not " * 10_000 + "name", " or ".join(["name == 'x'"] * 5000)):
        with pytest.raises(UsageError):
            store.runs(where=deep)
    assert found(store, " or ".join(["name == 'other'"] * 120)) == "c"
    assert found(store, "(" * 150 + "name == 'other'" + ")" * 150) == "c"


def test_sorting(store):
    assert ids(store.runs(sort="name")) == "dabec"
    assert ids(store.runs(sort="-metrics.acc.max")) == "abedc"  # without one: last
    assert ids(store.runs(sort="metrics.acc.max")) == "debac"
    assert ids(store.runs(sort="params.lr")) == "baced"  # numbers, then texts, then none
    assert ids(store.runs(sort=["project", "-name"])) == "bacdeb"[:2] + "ced"
    assert ids(store.runs(sort="project,-started_at")) == "baedc"
    for wrong in ("nme", "metrics", "lr > 1"):
        with pytest.raises(UsageError):
            store.runs(sort=wrong)
    with pytest.raises(UsageError):
        store.runs(limit=-1)


def test_quoted_name_with_a_comma_is_one_field(records):
    for run, value in (("a", 2), ("b", 1), ("c", 1)):
        records.run(run, params={"size, mm": value})
    store = records.store()
    assert ids(store.runs(sort='params["size, mm"],-name')) == "cba"


def test_moments():
    now = time.time()
    assert parse_time(12) == 12.0
    assert parse_time(datetime(2026, 1, 1, tzinfo=timezone.utc)) == 1767225600.0
    assert parse_time("2026-01-01T00:00:00Z") == parse_time("2026-01-01 01:00+01:00") == 1767225600.0
    assert parse_time("2026-01-01") == datetime(2026, 1, 1).timestamp()
    assert parse_time("-2h") == pytest.approx(now - 7200, abs=5)
    assert parse_time("-1.5d") == pytest.approx(now - 129600, abs=5)


def test_the_tree():
    assert parse("a.b" if False else "name = 'x'") == Comparison(Field("name"), "==", "x")
    assert parse("not tags.x and params.y or metrics.z.min < -1e-3") == Or(
        (
            And((Not(Has(Field("tags", "x"))), Has(Field("params", "y")))),
            Comparison(Field("metrics", "z", "min"), "<", -1e-3),
        )
    )
    assert parse_field("metrics.max") == Field("metrics", "max", "last")
    assert parse_field("metrics.gpu-0/power.limit.max") == Field("metrics", "gpu-0/power.limit", "max")


@given(
    st.text(max_size=30)
    | st.lists(
        st.sampled_from(
            [
                "params.lr",
                "metrics.a.min",
                "and",
                "or",
                "not",
                "in",
                "(",
                ")",
                "[",
                "]",
                ",",
                "<",
                "==",
                "~",
                "1",
                "'x'",
                "none",
            ]
        ),
        max_size=8,
    ).map(" ".join)
)
def test_no_text_gives_anything_but_an_expression_or_a_clear_error(text):
    try:
        parse(text)
    except UsageError as error:
        told = str(error)
    else:
        told = "where "
    assert told.startswith("where ")


def test_a_wrong_field_to_sort_by_is_told_as_such(store):
    with pytest.raises(UsageError, match=r"^sort 'los', column 1: no field 'los'[^:]*known[^;]*$"):
        store.runs(sort="los")


def test_any_name_can_be_selected_sorted_and_read(records):
    places = {name: place for place, name in enumerate(NAMES)}
    for run, sign in (("a", 1), ("b", -1)):
        records.run(
            run,
            {name: [sign * place, 100.0 + sign * place, 0.0] for name, place in places.items()},
            params={name: sign * place for name, place in places.items()},
            tags={name: f"{sign * place:+}" for name, place in places.items()},
        )
    store = records.store()
    columns = {
        **{field("params", name): [place, -place] for name, place in places.items()},
        **{field("tags", name): [f"{place:+}", f"{-place:+}"] for name, place in places.items()},
        **{field("metrics", name, "max"): [100.0 + place, 100.0 - place] for name, place in places.items()},
    }
    assert read_columns(store.runs(sort="id"), list(columns)) == columns
    for name in NAMES[1:]:
        for one in (field("params", name), field("metrics", name, "max")):
            assert ids(store.runs(sort=["project", f"-{one},name"])) == "ab", one
            assert ids(store.runs(sort=f"name, {one}")) in ("ab", "ba")
            assert found(store, f"{one} > {columns[one][1]} and {one}") == "a", one
        tag = field("tags", name)
        assert found(store, f"{tag} = '{columns[tag][1]}'") == "b", tag


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("'base'", "ab"),
        ("'BASE-2'", "b"),
        ('"vision"', "a"),
        ("'team=au'", "b"),
        ("'good'", "a"),
        ("not 'base'", "cde"),
        ("'base' and params.lr < 0.05", "b"),
        ("'other' or 'bad'", "cd"),
        ("'%'", ""),
        ("''", "abcde"),
        ("name = 'base'", ""),
    ],
)
def test_text_alone_is_searched_in_names_ids_tags_and_notes(store, where, expected):
    assert found(store, where) == expected


def test_search_knows_the_case_of_all_letters_and_reads_notes(records):
    records.run("x1", name="Übung")
    records.run("x2", name="run")
    store = records.store()
    store.edit("x2", notes="the GRÖSSE of it\n50% done")
    assert found(store, "'übung'") == "x1"
    assert found(store, "'größe'") == "x2"
    assert found(store, "'50%'") == "x2"
    assert found(store, "'X'") == "x1x2"


@pytest.mark.parametrize(
    ("text", "where", "texts"),
    [
        ("lr01", "'lr01'", ["lr01"]),
        ("resnet-50  v1.2 ", "'resnet-50' and 'v1.2'", ["resnet-50", "v1.2"]),
        ("not lr01 OR 50%", "not 'lr01' or '50%'", ["lr01", "50%"]),
        ("cats and dogs", "'cats' and 'dogs'", ["cats", "dogs"]),
        ("and", "'and'", ["and"]),
        ("a\\b", "'a\\\\b'", ["a\\b"]),
        ("20261129-1939-zx", "'20261129-1939-zx'", ["20261129-1939-zx"]),
        ("true", "'true'", ["true"]),
        ("'my run'", "'my run'", ["my run"]),
        ("params.lr < 0.1 and 'x'", "params.lr < 0.1 and 'x'", ["x"]),
        ("outcome", "outcome", []),
        ("params.lr", "params.lr", []),
        ("  ", "", []),
    ],
)
def test_what_somebody_types_is_an_expression_or_words(text, where, texts):
    assert read_query(text) == (where, tuple(texts))


@pytest.mark.parametrize("text", ["params.lr <", "lr=0.1", "(a b", "'lr01", "name = base"])
def test_wrong_expression_is_no_search(text):
    with pytest.raises(UsageError, match="in quotes"):
        read_query(text)


@given(st.text(alphabet=st.characters(exclude_characters="<>=~()[]\"'`")))
def test_words_without_signs_are_never_an_error(text):
    where, texts = read_query(text)
    assert bool(where) == bool(text.strip())
    assert {*" ".join(texts).split()} <= {*text.split()}
    assert parse(where) if where else not texts


def test_name_in_quotes_is_exactly_that_name(records):
    records.run("a", {"x/y": [1.0], "x.y": [2.0]}, params={"x/y": 1, "x.y": 2})
    records.run("b", {"x/y": [5.0]}, params={"x/y": 5})
    store = records.store()
    for kind in ("params", "metrics"):
        columns = [f'{kind}["x.y"]', f"{kind}.x.y", f"{kind}.x/y"]
        assert list(read_columns(store.runs(sort="id"), columns).values()) == [[2, None], [2, 5], [1, 5]]
        assert found(store, f'{kind}["x.y"] > 0') == "a"
        assert found(store, f"{kind}.x.y >= 2") == "ab"  # dots may stand for slashes


@given(st.text(min_size=1))
def test_any_text_in_quotes_is_a_name(name):
    assert parse_field(field("metrics", name, "min")) == Field("metrics", name, "min", exact=True)
    assert parse(field("params", name)) == Has(Field("params", name, exact=True))
    single = name.replace("'", "''")
    assert parse_field(f"tags['{single}']") == Field("tags", name, exact=True)
