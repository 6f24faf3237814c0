"""A leader's replica and a follower's, joined by nothing but payloads."""

from pathlib import Path
from typing import Any

from quorate.core.entries import DATA, Entry, Position
from quorate.core.requests import Cancelled, Done, Run, Write, WriteOutcome
from quorate.core.statements import Failed, Result, Statement, Token
from quorate.storage.data.replica import Replica
from quorate.storage.rows.payload import decode_outcome

MEMORY = ":memory:"


def statement(sql: str, *parameters: Any) -> Statement:
    return Statement(sql, (parameters,))


def run(*statements: str | Statement, token: Token | None = None, load: bool = False) -> Run:
    return Run("main", tuple(statement(s) if isinstance(s, str) else s for s in statements), token=token, load=load)


class Pair:
    """What the leader executes is committed there and applied by the follower; both must then hold the same."""

    def __init__(self, folder: Path | None = None) -> None:
        self.leader = Replica(folder / "leader.db" if folder else MEMORY)
        self.follower = Replica(folder / "follower.db" if folder else MEMORY)
        self.epoch = 1
        self.tokens = 0
        self.entries: list[Entry] = []

    def __enter__(self) -> "Pair":
        return self

    def __exit__(self, *_: object) -> None:
        self.leader.close()
        self.follower.close()

    def token(self) -> Token:
        self.tokens += 1
        return Token(f"token-{self.tokens}", 0)

    def batch(self, *requests: Write, compare: bool = True) -> list[WriteOutcome]:
        """Execute, commit, apply, compare."""
        named = [
            Run(r.database, r.statements, token=self.token(), load=r.load) if isinstance(r, Run) and not r.token else r
            for r in requests
        ]
        payload, outcomes = self.leader.execute(named, 1_000_000)
        if payload is not None:
            self.commit(payload)
        if compare:
            self.same()
        return [decode_outcome(outcome) for outcome in outcomes]

    def commit(self, payload: bytes) -> None:
        index = self.leader.applied.index + 1
        self.leader.commit(Position(self.epoch, index))
        self.entries.append(Entry(index, self.epoch, DATA, payload))
        self.follower.apply(self.entries[-1:])

    def same(self) -> None:
        assert self.leader.applied == self.follower.applied
        assert self.leader.digest() == self.follower.digest()

    def do(self, *statements: str | Statement, load: bool = False) -> list[Result]:
        """One request that must succeed."""
        (outcome,) = self.batch(run(*statements, load=load))
        assert isinstance(outcome, Done), outcome
        return list(outcome.results)

    def fail(self, *statements: str | Statement, load: bool = False) -> Failed:
        """One request that must fail."""
        (outcome,) = self.batch(run(*statements, load=load))
        assert isinstance(outcome, Failed), outcome
        return outcome

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What both replicas answer."""
        answers = [read(replica, sql, *parameters) for replica in (self.leader, self.follower)]
        assert answers[0] == answers[1]
        return answers[0]

    def switch(self) -> None:
        """The follower becomes the leader of a new epoch."""
        self.leader, self.follower = self.follower, self.leader
        self.epoch += 1


def read(replica: Replica, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    encoded, _ = replica.query((statement(sql, *parameters),))
    outcome = decode_outcome(encoded)
    assert isinstance(outcome, Done), outcome
    return [tuple(row) for row in outcome.results[0].rows]


def refusal(replica: Replica, sql: str, *parameters: Any) -> Failed:
    encoded, _ = replica.query((statement(sql, *parameters),))
    outcome = decode_outcome(encoded)
    assert isinstance(outcome, Failed), outcome
    return outcome


__all__ = ["MEMORY", "Cancelled", "Pair", "read", "refusal", "run", "statement"]
