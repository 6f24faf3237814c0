"""Calls that commit once, however many attempts they make: SQLite and the laboratory's model of it."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from quorate.core.entries import DATA, Entry, Position
from quorate.core.requests import Cancelled, Done, Outcome, Run, Write
from quorate.core.scripts import Attempted, BeginAttempt, Evaluated, Pin, RunOfAttempts, Script, Step
from quorate.core.statements import Failed, Statement, Token
from quorate.lab.sim.stores.model import ModelReplica
from quorate.lab.sim.workloads import operations
from quorate.storage.data.replica import Replica
from quorate.wire.answers import read_script

TOKEN = Token("call", 0)
SETUP = (Statement(operations.SETUP[1]), Statement("INSERT INTO counters VALUES (?, 0)", (("c",),), many=True))
COUNT = Statement(operations.COUNT, (("c",),))
READ = Statement("SELECT key, n FROM counters")


class One:
    """A replica that commits what it executes."""

    def __init__(self, make: Callable[[], Replica]) -> None:
        self.make = make
        self.replica = make()
        self.entries: list[Entry] = []
        (made,) = self.batch(Run("main", SETUP, token=Token("made", 0)))
        assert isinstance(made, Done), made

    def batch(self, *requests: Write) -> list[Any]:
        payload, outcomes = self.replica.execute(requests, 1)
        if payload is not None:
            index = self.replica.applied.index + 1
            self.replica.commit(Position(1, index))
            self.entries.append(Entry(index, 1, DATA, payload))
        return [read_script(outcome) for outcome in outcomes]

    def begin(self) -> Any:
        return self.batch(BeginAttempt("main", TOKEN))[0]

    def attempt(self, number: int) -> Script:
        """Its COMMIT."""
        pin = Pin(1, 2)
        (found,) = self.batch(Script("main", (Step(COUNT, pin=pin),)))
        assert isinstance(found, Evaluated)
        steps = (Step(COUNT, found.digests[0], pin),)
        return Script("main", steps, commit=True, token=TOKEN, run=RunOfAttempts("call", number))

    def value(self) -> Any:
        return cast(Any, read_script(self.replica.query((READ,))[0])).results[0].rows[0][1]

    def fail_over(self) -> None:
        """Another replica leads, which has applied the same entries."""
        follower = self.make()
        follower.apply(self.entries)
        self.replica = follower


@pytest.fixture(params=["sqlite", "model"])
def one(request: pytest.FixtureRequest) -> Iterator[One]:
    one = One(lambda: Replica(":memory:") if request.param == "sqlite" else cast(Replica, ModelReplica()))
    yield one
    one.replica.close()


def winner(found: object) -> Any:
    assert isinstance(found, Done), found
    return found.results[0].rows[0][0]


def test_attempts_are_numbered_on_every_leader(one: One) -> None:
    assert [one.begin(), one.begin()] == [Attempted(1), Attempted(2)]
    one.fail_over()
    assert one.batch(BeginAttempt("main", TOKEN), BeginAttempt("main", TOKEN)) == [Attempted(3), Attempted(4)]
    assert one.begin() == Attempted(5)


def test_a_lower_attempt_comes_too_late(one: One) -> None:
    one.begin()
    late = one.attempt(1)
    one.begin()
    one.fail_over()
    (failed,) = one.batch(late)
    assert isinstance(failed, Failed)
    assert failed.error == "Cancelled"
    assert one.value() == 0
    assert winner(one.batch(one.attempt(2))[0]) == 2
    assert one.value() == 1


def test_every_later_attempt_hears_which_one_was_committed(one: One) -> None:
    one.begin()
    assert winner(one.batch(one.attempt(1))[0]) == 1
    assert winner(one.begin()) == 1
    one.fail_over()
    assert winner(one.begin()) == 1
    assert winner(one.batch(one.attempt(2))[0]) == 1
    (asked,) = one.batch(Outcome("main", TOKEN))
    assert winner(asked) == 1
    assert one.value() == 1


def test_begun_and_committed_in_one_batch(one: One) -> None:
    commit = one.attempt(1)
    found = one.batch(BeginAttempt("main", TOKEN), commit, BeginAttempt("main", TOKEN), commit)
    assert found[0] == Attempted(1)
    assert [winner(each) for each in found[1:]] == [1, 1, 1]
    one.fail_over()
    assert winner(one.begin()) == 1
    assert one.value() == 1


def test_whoever_asks_what_became_of_it_ends_it(one: One) -> None:
    one.begin()
    commit = one.attempt(1)
    assert one.batch(Outcome("main", TOKEN)) == [Cancelled()]
    assert one.batch(commit, BeginAttempt("main", TOKEN)) == [Cancelled(), Cancelled()]
    assert one.value() == 0


def test_a_failure_to_serialize_ends_no_run(one: One) -> None:
    one.begin()
    commit = one.attempt(1)
    wrong = Script("main", (Step(COUNT, b"other", Pin(1, 2)),), commit=True, token=TOKEN, run=commit.run)
    (failed,) = one.batch(wrong)
    assert isinstance(failed, Failed)
    assert failed.error == "SerializationFailure"
    assert winner(one.batch(one.attempt(1))[0]) == 1


def test_no_other_write_may_have_its_token(one: One) -> None:
    one.begin()
    (failed,) = one.batch(Run("main", (COUNT,), token=TOKEN))
    assert isinstance(failed, Failed)
    assert failed.error == "TokenReused"
    assert one.value() == 0
