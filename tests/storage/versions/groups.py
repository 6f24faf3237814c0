"""Groups of one database with several leaders, as their data files see them: a leader that executes, a follower that
applies what was logged, and merges of what siblings logged."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.msgpack import Decoder

from quorate.core.entries import DATA, FOREIGN, Entry, Position
from quorate.core.requests import Done, Run, Write, WriteOutcome
from quorate.core.scripts import Evaluated, Script, Step
from quorate.core.statements import Failed, Statement, Token
from quorate.core.streams import Cursor, Merge
from quorate.core.versions.custom import Custom
from quorate.storage.data.replica import Replica
from quorate.storage.rows.payload import decode_outcome
from quorate.storage.versions.among import Among

_decoder: Decoder[Any] = Decoder(WriteOutcome | Evaluated)
NOW_US = 1_800_000_000_000_000


class Group:
    """One group. `now_us` is its leader's clock."""

    def __init__(
        self, number: int, folder: Path | None = None, *, followers: int = 1, custom: tuple[Custom, ...] = ()
    ) -> None:
        self.number = number
        self.custom = custom
        self.epoch = 1
        self.now_us = NOW_US
        self.log: list[Entry] = []
        self.committed = 0
        self.folder = folder
        self.leader = self._open("leader")
        self.followers = [self._open(f"follower-{each}") for each in range(followers)]

    def _open(self, name: str) -> Replica:
        path = ":memory:" if self.folder is None else str(self.folder / f"{self.number}-{name}.db")
        return Replica(path, versioned=Among(self.number, self.custom))

    @property
    def last(self) -> Position:
        return Position(self.log[-1].epoch, self.log[-1].index) if self.log else Position(0, 0)

    @property
    def cursors(self) -> tuple[Cursor, ...]:
        """How far the leader has merged the others' logs."""
        assert self.leader.streams is not None
        return self.leader.streams.cursors

    def execute(self, *requests: Write | Merge, commit: bool = True) -> list[Any]:
        """One batch: the outcomes."""
        self.now_us += 1000
        payload, outcomes = self.leader.execute(requests, self.now_us, epoch=self.epoch)
        if payload is not None:
            kind = FOREIGN if isinstance(requests[0], Merge) else DATA
            self.log.append(Entry(len(self.log) + 1, self.epoch, kind, payload))
        if commit:
            self.commit()
        return [_decoder.decode(each) for each in outcomes]

    def commit(self) -> None:
        indexes = [entry.index for entry in self.log[self.committed :]]
        if indexes:
            self.leader.commit(self.last, indexes)
            self.committed = len(self.log)
            for each in self.followers:
                self.catch_up(each)

    def catch_up(self, replica: Replica) -> None:
        replica.apply(self.log[replica.applied.index :])

    def run(self, sql: str, *parameters: Any, token: str = "") -> Any:
        """One statement as one batch; what it gave."""
        name = Token(token, self.last.index) if token else None
        (outcome,) = self.execute(Run("wiki", (Statement(sql, (parameters,)),), token=name))
        assert isinstance(outcome, Done), outcome
        return outcome.results[0]

    def refuses(self, sql: str) -> Failed:
        (outcome,) = self.execute(Run("wiki", (Statement(sql),)))
        assert isinstance(outcome, Failed), outcome
        return outcome

    def rows(self, sql: str, replica: Replica | None = None) -> list[tuple[Any, ...]]:
        outcome = decode_outcome((replica or self.leader).query([Statement(sql)])[0])
        assert isinstance(outcome, Done), outcome
        return [tuple(row) for row in outcome.results[0].rows]

    def pull(self, other: "Group") -> Any:
        """Merge what the other has written itself since."""
        cursor = {each.group: each for each in self.cursors}.get(other.number)
        seen = cursor.merged.index if cursor is not None else 0
        payloads = [each.payload for each in other.log[seen : other.committed] if each.kind == DATA]
        through = Position(other.log[other.committed - 1].epoch, other.committed) if other.committed else Position(0, 0)
        (outcome,) = self.execute(Merge(other.number, through, other.number, through, tuple(payloads)))
        return outcome

    def fail_over(self) -> None:
        """The first follower leads."""
        self.leader.close()
        self.leader = self.followers.pop(0)
        self.epoch += 1
        self.committed = len(self.log)

    def digests(self) -> set[str]:
        return {each.digest() for each in (self.leader, *self.followers)}

    def close(self) -> None:
        for each in (self.leader, *self.followers):
            each.close()


def exchange(groups: Sequence[Group]) -> None:
    """Each hears of all that the others have written."""
    for one in groups:
        for other in groups:
            if one is not other:
                one.pull(other)


def tables(group: Group) -> list[str]:
    found = group.rows("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'quorate%' ORDER BY 1")
    return [name for (name,) in found if not name.startswith("sqlite_")]


def script(*statements: str, commit: bool = False, token: str = "") -> Script:
    steps = tuple([Step(Statement(each)) for each in statements])
    return Script("wiki", steps, commit=commit, token=Token(token, 0) if token else None)
