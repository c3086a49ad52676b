"""Ledgers and leases that are no such thing: each command says so, with valid JSON under --json, and no traceback."""

from __future__ import annotations

import json
import os

import pytest

from tracelet.cli import main
from tracelet.journal import Writer

CURSOR = {"next": 5, "holes": []}
PAGE = {"cursor": CURSOR, "delivered": 5, "excluded": {}, "dropped": {}}
LEDGER = {"version": 1, "backend": "jsonl", "serial": 3, "retries": 0, "accepted": 5, "error": None}
ODD = [
    *(
        "",
        "{",
        "null",
        "[]",
        '"x"',
        "5",
        "NaN",
        "{}",
        "[" * 100_000,
        "9" * 5000,
        "\xff\ud800",
        '{"version": 99}',
    ),
    *(
        {**LEDGER, key: value}
        for key in LEDGER
        for value in (None, -1, 1e300, [], {}, "\x1b[2J", True, 10**30)
    ),
    *(
        {**LEDGER, "writers": value}
        for value in (None, 5, [], [PAGE], {"x": None}, {"\x1b": PAGE}, {"x": {}})
    ),
    *(
        {**LEDGER, "writers": {"x": {**PAGE, key: value}}}
        for key in PAGE
        for value in (None, -1, [], {}, "\x1b", 1e300)
    ),
    *(
        {**LEDGER, "writers": {"x": {**PAGE, "dropped": value}}}
        for value in ({"\x1b[2J": 1}, {"a": -1}, {"a": "b"})
    ),
    *(
        {**LEDGER, "writers": {"x": {**PAGE, "cursor": value}}}
        for value in ({"next": "a"}, {"next": 1, "holes": [[5, 1]]})
    ),
    {**LEDGER, "writers": {}, "error": "\x1b[2J\nforged", "retries": 10**15},
    {**LEDGER, "writers": {"x": {**PAGE, "cursor": {"next": 10**18, "holes": []}, "delivered": 10**15}}},
]
COMMANDS = [["verify", "run"], ["show", "run"], ["runs"], ["doctor"], ["sync", "run", "-p", "jsonl"]]


@pytest.fixture
def data(tmp_path):
    with Writer(tmp_path / "runs" / "run", {"run": {"id": "run"}}) as writer:
        for step in range(50):
            writer.point("x", step, step)
    (tmp_path / "runs" / "run" / "delivery").mkdir()
    return tmp_path


def tell(data, capsys, words):
    status = main([*words, "--dir", str(data)])
    out, err = capsys.readouterr()
    assert "Traceback" not in err, (words, err)
    assert "\x1b" not in out + err, words
    if "--json" in words and out:
        json.loads(out, parse_constant=pytest.fail)
    return status, out, err


def test_every_odd_ledger_is_reported(data, capsys):
    folder = data / "runs" / "run" / "delivery"
    for number, content in enumerate(ODD):
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / "jsonl.json").write_bytes(text.encode("utf-8", "surrogatepass"))
        status, out, _ = tell(data, capsys, ["verify", "run", "--json"])
        found = json.loads(out)
        assert [row["backend"] for row in found["backends"]] == ["jsonl"], text
        assert status == (0 if found["agrees"] else 1)
        if number % 6 == 0:
            for words in COMMANDS:
                tell(data, capsys, [*words, "--json"])
                tell(data, capsys, words)
            for file in folder.iterdir():
                file.unlink()


def test_a_ledger_that_cannot_be_read_does_not_agree_and_says_why(data, capsys):
    (data / "runs" / "run" / "delivery" / "jsonl.json").write_text("{")
    status, out, _ = tell(data, capsys, ["verify", "run", "--json"])
    [row] = json.loads(out)["backends"]
    assert (status, row["agrees"]) == (1, False)
    assert "expected the ledger of 'jsonl'" in row["error"]
    _, out, _ = tell(data, capsys, ["verify", "run"])
    assert "expected the ledger of 'jsonl'" in out


@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "dangling", "sparse", "odd name"])
def test_something_else_in_the_place_of_a_ledger(data, capsys, kind):
    file = data / "runs" / "run" / "delivery" / "jsonl.json"
    if kind == "folder":
        file.mkdir()
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind in ("link", "dangling"):
        file.symlink_to("/etc/passwd" if kind == "link" else "nowhere")
    elif kind == "sparse":
        with open(file, "wb") as opened:
            opened.truncate(1 << 40)
    else:
        file.with_name("%1B%5B2J%0A%FF.json").write_text("{}")
    for words in COMMANDS:
        tell(data, capsys, [*words, "--json"])
        tell(data, capsys, words)
