"""Transactions that hold the writer: SQLite and the laboratory's model of it answer alike, request for request."""

import random
from collections.abc import Iterator
from typing import Any, cast

import pytest

from quorate.core.entries import Position
from quorate.core.requests import Run, Write
from quorate.core.scripts import Evaluated, Hold, HoldEnded, Pin, Script, Step
from quorate.core.statements import Failed, Statement, Token
from quorate.lab.sim.stores.model import ModelReplica
from quorate.lab.sim.workloads import operations
from quorate.storage.data.replica import Replica
from quorate.wire.answers import read_script

PIN = Pin(1_700_000_000_000_000, 42)
SETUP = (
    *map(Statement, operations.SETUP[:4]),
    Statement("INSERT INTO counters VALUES (?, 0)", (("a",), ("b",)), many=True),
    Statement(operations.SETUP[5]),
)
COUNTS = Statement("SELECT key, n FROM counters")
STATEMENTS = (
    Statement(operations.COUNT, (("a",),)),
    Statement(operations.COUNT, (("b",),)),
    COUNTS,
    Statement(operations.PAIR_WRITE, ((7, 0),)),
    Statement(operations.PAIR_READ, ((0,),)),
    Statement(operations.MARK, ((1,),)),  # fails the second time
)


def told(found: Any) -> Any:
    """What is to be the same: not the words of an error, nor its name in SQLite, which the model tells otherwise."""
    if isinstance(found, Failed):
        return found.error
    if not isinstance(found, Evaluated):
        return found
    gave = list(zip(found.outcomes, found.digests, strict=True))
    return [each.error if isinstance(each, Failed) else (each, digest) for each, digest in gave], found.ticket


class Both:
    """Two leaders, and a client who asks both the same."""

    def __init__(self) -> None:
        self.replicas = (Replica(":memory:"), cast(Replica, ModelReplica()))
        self.tokens = 0
        self.tickets = 0
        self.ticket = ""
        self.steps: list[tuple[Step, ...]] = [(), ()]
        """What each has run, with what it gave."""
        self.write(*SETUP)

    def batch(self, *requests: Write) -> list[Any]:
        """What each answers to its own. What is to be logged is committed."""
        answers = []
        seen = []
        for replica, request in zip(self.replicas, requests, strict=True):
            payload, (outcome,) = replica.execute([request], 1)
            if payload is not None:
                replica.commit(Position(1, replica.applied.index + 1))
            answers.append(read_script(outcome))
            seen.append((payload is not None, replica.ticket, told(answers[-1])))
        assert seen[0] == seen[1]
        return answers

    def token(self) -> Token:
        self.tokens += 1
        return Token(f"token {self.tokens}", 0)

    def write(self, *statements: Statement) -> None:
        """Somebody else writes."""
        request = Run("main", statements, token=self.token())
        self.batch(request, request)

    def rows(self, statement: Statement = COUNTS) -> Any:
        """What is committed."""
        found = [cast(Any, read_script(replica.query((statement,))[0])).results[0].rows for replica in self.replicas]
        assert found[0] == found[1]
        return found[0]

    def run(self, statement: Statement) -> Any:
        """One more statement of the transaction; as a client does, with the whole script where nothing is open."""
        self.tickets += 1
        new = Step(statement, pin=PIN)
        hold = Hold("holder", self.ticket, f"ticket {self.tickets}")
        sent = [(new,) if self.ticket else (*steps, new) for steps in self.steps]
        answers = self.batch(*[Script("main", steps, hold=hold) for steps in sent])
        self.ticket = ""
        for side, found in enumerate(answers):
            if not isinstance(found, Evaluated):
                return told(found)
            self.steps[side] = (*self.steps[side], Step(statement, found.digests[-1], PIN))
            self.ticket = found.ticket
        return answers[0].outcomes[-1]

    def commit(self) -> Any:
        hold = Hold("holder", self.ticket) if self.ticket else None
        token, sent = self.token(), self.steps
        self.ticket, self.steps = "", [(), ()]
        return self.batch(*[Script("main", each, commit=True, token=token, hold=hold) for each in sent])[0]

    def undo(self) -> None:
        """The leader needs its writer."""
        for replica in self.replicas:
            replica.rollback()
            assert not replica.ticket


@pytest.fixture
def both() -> Iterator[Both]:
    made = Both()
    yield made
    for replica in made.replicas:
        replica.close()


def test_what_is_open_is_its_own_until_it_is_committed(both: Both) -> None:
    assert both.run(STATEMENTS[0]).rowcount == 1
    assert both.rows() == [("a", 0), ("b", 0)]
    assert both.run(COUNTS).rows == [("a", 1), ("b", 0)]
    both.commit()
    assert both.rows() == [("a", 1), ("b", 0)]


def test_savepoints_live_from_one_request_to_the_next(both: Both) -> None:
    both.run(Statement('SAVEPOINT "1"'))
    both.run(STATEMENTS[0])
    both.run(Statement('ROLLBACK TO "1"'))
    both.run(STATEMENTS[1])
    assert both.run(COUNTS).rows == [("a", 0), ("b", 1)]
    both.commit()
    assert both.rows() == [("a", 0), ("b", 1)]


def test_what_was_undone_is_told_and_runs_again(both: Both) -> None:
    both.run(STATEMENTS[0])
    both.undo()
    assert both.run(COUNTS) == HoldEnded()
    assert both.run(COUNTS).rows == [("a", 1), ("b", 0)]
    both.write(STATEMENTS[0])
    assert both.run(COUNTS) == HoldEnded()
    assert both.run(COUNTS) == "SerializationFailure"


def test_a_commit_whose_hold_is_over_runs_all_statements(both: Both) -> None:
    both.run(STATEMENTS[0])
    both.undo()
    both.commit()
    assert both.rows() == [("a", 1), ("b", 0)]


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_requests(both: Both, seed: int) -> None:
    rng = random.Random(seed)
    ran = 0
    for _ in range(40):
        drawn = rng.random()
        if drawn < 0.6:
            ran += bool(both.run(rng.choice(STATEMENTS)) != HoldEnded())
        elif drawn < 0.75:
            both.commit()
        elif drawn < 0.85:
            both.rows()
        elif drawn < 0.92:
            both.write(rng.choice(STATEMENTS[:2]))
        elif drawn < 0.96:
            both.undo()
        else:
            both.ticket = f"ticket {rng.randint(0, both.tickets)}"  # of an earlier answer
        both.rows()
    assert ran > 10
