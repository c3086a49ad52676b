"""Whatever a backend does: recorded = delivered + excluded + dropped + pending, and nothing is lost or made up."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tracelet.delivery.ledger.counting import count, ends
from tracelet.journal import Follower, PointRecord

#: What a backend does at a call: nothing amiss most of the time.
MOODS = st.lists(
    st.sampled_from([None, None, None, ConnectionError, ValueError, RuntimeError]), min_size=1, max_size=12
)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("points"), st.integers(1, 300)),
        st.tuples(st.just("row"), st.integers(1, 40)),
        st.tuples(st.just("params"), st.just(1)),
        st.tuples(st.just("system"), st.integers(1, 20)),
        st.tuples(st.just("restart"), st.booleans()),
        st.tuples(st.just("mood"), MOODS),
    ),
    max_size=8,
)


class Moody:
    """Fails as the dice say, at any call of any backend."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.moods: list[type[Exception] | None] = [None]

    def __call__(self, hook, given):
        mood = self.dice.choice(self.moods)
        if mood is not None:
            raise mood("a mood")


@pytest.mark.parametrize("kind", ["backend", "one_by_one"])
@hypothesis_settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(actions=ACTIONS, seed=st.integers(0, 2**16))
def test_the_accounts_always_agree(make_stage, request, kind, actions, seed):
    backend = request.getfixturevalue(kind)
    moody = Moody(seed)
    stage = make_stage()
    taken, recorded = [], 0
    stage.configure({"backend": {"types": ["!system"]}})
    got = stage.add(backend(before=moody))
    for action, amount in actions:
        if action == "points":
            stage.log(amount)
            recorded += amount
        elif action == "row":
            stage.writer.row({f"m{at}": float(at) for at in range(amount)})
            recorded += amount
        elif action == "params":
            stage.writer.event("params", {"params": {"at": recorded}})
            recorded += 1
        elif action == "system":
            for at in range(amount):
                stage.writer.point("cpu", float(at), type="system")
            recorded += amount
        elif action == "mood":
            moody.moods = amount
        else:
            stage.close()
            row = stage.verified().backends[0]
            assert row.recorded == recorded
            taken += got.values
            stage.again_configured({"backend": {"types": ["!system"]}})
            got = stage.add(backend(before=moody))
    moody.moods = [None]
    stage.wait_for(lambda: stage.status()["pending"] == 0, 20)
    stage.close()
    (row,) = stage.verified().backends
    assert (row.recorded, row.pending) == (recorded, 0)
    taken += got.values
    params = sum(action == "params" for action, _ in actions)
    assert len(taken) >= row.delivered - params
    assert row.excluded == sum(amount for action, amount in actions if action == "system")


@pytest.mark.parametrize("seed", range(3))
def test_counting_ahead_is_exact(stage, seed):
    random.seed(seed)
    for _ in range(80):
        what = random.choice(["point", "row", "params", "name", "wide"])
        if what == "point":
            stage.writer.point("loss", random.random())
        elif what == "row":
            stage.writer.row({f"m{at}": at for at in range(random.randrange(1, 9))})
        elif what == "wide":
            stage.writer.row({f"w{at}": at for at in range(random.randrange(300, 900))})
        elif what == "params":
            stage.writer.event("params", {"params": {"text": "x" * random.randrange(5000)}})
        else:
            stage.writer.event("fact", {"source": "x", "facts": {"text": "x" * random.randrange(5000)}})
    writer = stage.writer.id
    (end,) = ends(stage.run_dir, [writer]).values()
    follower = Follower(stage.run_dir, writer)
    left = sum(
        isinstance(r, PointRecord) or r.type == "params" for r in Follower(stage.run_dir, writer).read(10**6)
    )
    while records := follower.read(random.randrange(1, 2000)):
        left -= sum(isinstance(record, PointRecord) or record.type == "params" for record in records)
        assert count(stage.run_dir, writer, follower.cursor.next, end) == left
    assert left == 0
