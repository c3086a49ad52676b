"""Events whose checksums are right and whose contents are odd."""

import json

import numpy as np
import pytest
from tests.journal.conftest import Journal

from tracelet.journal import Damage, EventRecord, Writer, read_columns, read_events
from tracelet.journal.events import InvalidEventError, decode_event, encode_event

INVALID = {
    "nested deeply": b'{"type":"params","params":{"a":' + b"[" * 100000 + b"]" * 100000 + b"}}",
    "nested too deeply to print": b'{"type":"note","a":' + b"[" * 300 + b"]" * 300 + b"}",
    "more containers than memory should hold": b'{"type":"note","a":[' + b"{}," * 1_100_000 + b"{}]}",
    "a list": b"[1,2]",
    "not JSON": b"nonsense",
    "without type": b'{"a":1}',
    "an unhashable type": b'{"type":["a"]}',
    "not UTF-8": b'{"type":"params","params":{"\xff\xfe":1}}',
    "a number of 5000 digits": b'{"type":"params","params":{"a":' + b"9" * 5000 + b"}}",
    "params that are a list": b'{"type":"params","params":[1]}',
    "params missing": b'{"type":"params"}',
    "a name without keys": b'{"type":"name","name":"x"}',
    "a name of null": b'{"type":"name","id":1,"name":null,"metric":"scalar","source":null}',
    "a name that is empty": b'{"type":"name","id":1,"name":"","metric":"scalar","source":null}',
    "a metric's type is an object": b'{"type":"name","id":1,"name":"x","metric":{"a":1},"source":null}',
    "an id that is a truth value": b'{"type":"name","id":true,"name":"x","metric":"scalar","source":null}',
    "columns that are no ids": b'{"type":"columns","id":1,"names":["x"]}',
    "a dictionary of numbers": b'{"type":"dictionary","names":[1],"columns":null}',
    "a skip without places": b'{"type":"skip"}',
    "a skip from below": b'{"type":"skip","from":-1,"to":5}',
    "an artifact's path is a number": b'{"type":"artifact","path":5,"files":"x"}',
    "an artifact outside": b'{"type":"artifact","path":"../secret"}',
    "an artifact with an absolute path": b'{"type":"artifact","path":"/etc/passwd"}',
    "an artifact behind backslashes": b'{"type":"artifact","path":"..\\\\secret"}',
    "a goal of another kind": b'{"type":"metric","name":"acc","goal":["max"]}',
    "removed tags that are no texts": b'{"type":"untag","tags":[1]}',
    "drops that are texts": b'{"type":"drops","drops":{"disk full":"many"}}',
}
REPAIRED = {
    "an outcome that is an object": {"type": "outcome", "outcome": {"a": 1}, "error": [1]},
    "an outcome that is a number": {"type": "outcome", "outcome": 7, "error": 9},
    "an account that is a list": {"type": "plugins", "plugins": [1], "overhead": "x"},
    "an account of texts": {"type": "plugins", "plugins": {"a": {"calls": "x"}}, "overhead": {"share": "x"}},
    "a writer that says nonsense": {"type": "writer", "id": ["x"], "started_at": [1]},
    "a start beyond all time": {"type": "writer", "started_at": 1e300, "pid": -1},
    "a run with an odd name": {"type": "run", "name": {"a": 1}, "project": 5},
    "a run in an odd place": {"type": "run", "group": 1, "parent": []},
    "a run with odd notes": {"type": "run", "notes": {"a": 1}, "archived": "yes"},
    "an edit of an odd time": {"type": "writer", "edit": 1, "after": "now"},
    "a size that is no number": {
        "type": "artifact",
        "path": "a",
        "files": [{"path": "a", "size": "big"}],
        "step": "x",
    },
    "a size of 400 digits": {
        "type": "artifact",
        "path": "a",
        "files": [{"path": "a", "size": 10**400}],
        "name": 1,
    },
    "a target outside": {"type": "artifact", "path": "a", "artifact_path": "../../etc/cron.d", "media": 1},
}


@pytest.mark.parametrize("data", INVALID.values(), ids=INVALID)
def test_an_invalid_event_is_damage_and_harms_no_other(tmp_path, data):
    with pytest.raises(InvalidEventError):
        decode_event(data)
    journal = Journal(tmp_path / "run")
    with journal.writer() as writer:
        writer.point("loss", 1.0, 1)
        writer._stream.write_event(data, 5.0)
        writer.point("loss", 2.0, 2)
    damage = Damage()
    assert list(read_columns(journal.run_dir, damage=damage)["loss"].values) == [1.0, 2.0]
    assert damage.counts == {"invalid": 1}
    assert [event.type for event in read_events(journal.run_dir)] == ["writer", "outcome"]
    follower = journal.follow(writer.id)
    assert [record.value for record in follower.read() if not isinstance(record, EventRecord)] == [1.0, 2.0]
    assert follower.damage.counts == {"invalid": 1}


@pytest.mark.parametrize("event", REPAIRED.values(), ids=REPAIRED)
def test_optional_keys_of_a_wrong_type_are_left_out(tmp_path, event):
    found = decode_event(json.dumps(event).encode())
    assert found.faults == 2
    assert len(found.payload) == len(event) - 3
    assert found.type == event["type"]
    journal = Journal(tmp_path / "run")
    with journal.writer() as writer:
        writer._stream.write_event(json.dumps(event).encode(), 5.0)
    damage = Damage()
    read_events(journal.run_dir, damage=damage)
    assert damage.counts == {"invalid": 2}


@pytest.mark.parametrize(
    "event",
    [
        {"type": "a type of later", "x": [1, {"y": None}]},
        {"type": "params", "params": {"a": 10**400, "b": float("nan")}, "later": 5},
        {"type": "artifact", "path": "artifacts/a..b/c", "artifact_path": None, "later": "../x"},
        {"type": "run", "name": "x", "colors": ["of", "later"]},
    ],
)
def test_unknown_types_and_keys_pass(event):
    found = decode_event(json.dumps(event).encode())
    assert repr({"type": found.type, **found.payload}) == repr(event)
    assert not found.faults


def test_what_a_program_records_is_what_a_reader_accepts(tmp_path):
    """Numbers of other libraries stay numbers; what is nested without end is cut, not lost."""
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    with Writer(tmp_path / "run", {"run": {"id": "r"}}) as writer:
        writer.event("artifact", {"path": "media/x", "step": np.int64(5), "media": "text"})
        writer.event("params", {"params": {"lr": np.float32(0.5), "size": np.array([1, 2]), "deep": deep}})
    damage = Damage()
    events = {event.type: event.payload for event in read_events(tmp_path / "run", damage=damage)}
    assert not damage
    assert events["artifact"]["step"] == 5
    assert events["params"]["params"]["lr"] == 0.5
    assert events["params"]["params"]["size"] == "[1 2]"
    assert "..." in str(events["params"]["params"]["deep"])


def test_encoding_keeps_the_order_and_the_type_given():
    assert decode_event(encode_event("note", {"b": 1, "a": 2, "type": "other"})) == (
        "note",
        {"b": 1, "a": 2},
        0,
    )
