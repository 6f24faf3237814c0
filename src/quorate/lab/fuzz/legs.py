"""The two forms of the product that a seed runs on: an embedded folder, and three replicas joined by entries."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import quorate
from quorate import errors
from quorate.core.entries import DATA, Entry, Position
from quorate.core.requests import CommitHeld, Done, Run, Write
from quorate.core.statements import Failed, Result, Statement, Token
from quorate.lab.fuzz.script import Batch, Move
from quorate.storage.data.inspecting import Inspection
from quorate.storage.data.replica import Replica
from quorate.storage.interface import StatementFailed
from quorate.storage.plain.run import GONE, Asked, Heard
from quorate.wire.answers import read_outcome

DATABASE = "main"


class Embedded:
    """A folder that is opened as a program opens it."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._lives = 1
        self._open()

    @property
    def folder(self) -> Path:
        """Where it is in this life."""
        return self._place / f"embedded-{self._lives}"

    def _open(self) -> None:
        self.connection: Any = quorate.connect(self.folder, timeout=60)

    def move(self, kind: str) -> None:
        """The process dies (what it wrote is in the page cache), or ends."""
        before = self.folder
        if kind == "embedded kill":
            self._lives += 1
            shutil.copytree(before, self.folder, ignore=shutil.ignore_patterns("lock", "*-shm"))
        self.connection.close()
        self._open()

    def ask(self, asked: Asked) -> Heard:
        """Run one request, the shortest way there is for it."""
        if asked.held:
            return self._transaction(asked)
        try:
            return tuple(_result(cursor) for cursor in self._cursors(asked))
        except errors.Error as error:
            return (_failed(error),)

    def _cursors(self, asked: Asked) -> list[Any]:
        first = asked.statements[0]
        if asked.load:
            done, _ = self.connection.run(asked.statements, load=True)
            return list(done.results)
        if len(asked.statements) > 1:
            if any(statement.many for statement in asked.statements):
                return list(self.connection.run(asked.statements)[0].results)
            return list(self.connection.batch([(each.sql, each.sets[0]) for each in asked.statements]))
        if first.many:
            return [self.connection.executemany(first.sql, first.sets)]
        return [self.connection.execute(first.sql, first.sets[0])]

    def _transaction(self, asked: Asked) -> Heard:
        heard: list[Result | Failed] = []
        try:
            with self.connection.transaction() as open_:
                for statement in asked.statements:
                    try:
                        many = statement.many
                        sets: Any = statement.sets if many else statement.sets[0]
                        run = open_.executemany if many else open_.execute
                        heard.append(_result(run(statement.sql, sets)))
                    except errors.Error as error:
                        heard.append(_failed(error))
        except errors.Error as error:
            heard.append(_failed(error))
        return _until_gone(tuple(heard))

    def inspect(self) -> Inspection:
        """What its data file holds."""
        (file,) = [path for path in self.folder.glob("group-*.db") if not path.name.startswith("group-0-")]
        return Inspection(file)

    def close(self) -> None:
        """Close the folder."""
        self.connection.close()


def _result(cursor: Any) -> Result:
    if isinstance(cursor, Result):
        return cursor
    columns = tuple((each[0], each[1]) for each in cursor.description or ())
    rows = [tuple(row) for row in cursor.fetchall()] if columns else []
    return Result(columns, rows, cursor.rowcount, cursor.lastrowid)


def _failed(error: errors.Error) -> Failed:
    name = getattr(error, "sqlite_errorname", "") or ""
    return Failed(type(error).__name__, str(error.args[0]), "", name, getattr(error, "statement", 0))


class Replicas:
    """Three replicas; what one executes the others apply, sooner or later."""

    def __init__(self, place: Path, *, memory: bool) -> None:
        self._place = place
        self._memory = memory
        self._made = 0
        self._tokens = 0
        self.epoch = 1
        self.leader = 0
        self.entries: list[Entry] = []
        self._paths = [self._path() for _ in range(3)]
        self.nodes = [Replica(path) for path in self._paths]
        self._synced: list[tuple[bytes, int]] = [(b"", 0)] * 3
        """The WAL's salts and size at the last checkpoint: what a machine cannot lose."""

    def _path(self) -> Any:
        self._made += 1
        return ":memory:" if self._memory else self._place / f"replica-{self._made}.db"

    # ---- batches

    def run(self, batch: Batch) -> list[Heard]:
        """Execute every group, end as the batch says, and let some follow."""
        leader = self.nodes[self.leader]
        if batch.groups and batch.groups[0] and batch.groups[0][0].held:
            heard = [self._held(leader, batch.groups[0][0])]
        else:
            heard = self._stacked(leader, batch)
        for number, node in enumerate(self.nodes):
            if batch.follow >> number & 1 and number != self.leader:
                self._catch_up(node)
        return heard

    def _stacked(self, leader: Replica, batch: Batch) -> list[Heard]:
        requests = [[self._request(asked) for asked in group] for group in batch.groups]
        if batch.end == "twice":
            for group in requests:
                leader.execute(group)
            leader.rollback()
        heard: list[Heard] = []
        payloads: list[bytes] = []
        for group in requests:
            payload, outcomes = leader.execute(group, 1_000_000)
            if payload is not None:
                payloads.append(payload)
            heard += [_heard(outcome) for outcome in outcomes]
        if batch.end == "read":
            leader.query((Statement("SELECT count(*) FROM sqlite_schema"),))
        if batch.end == "checkpoint":
            self._checkpoint(self.leader)
        self._keep(leader, payloads, batch.end)
        if batch.end == "checkpoint":
            self._note_synced(self.leader)  # it ends behind the batch, and syncs what it folds into the file
        return heard

    def _keep(self, leader: Replica, payloads: list[bytes], end: str) -> None:
        """The entries are in the log: the leader commits them, or applies them as others do."""
        first = len(self.entries) + 1
        self.entries += [Entry(first + at, self.epoch, DATA, payload) for at, payload in enumerate(payloads)]
        if not payloads:
            leader.rollback()
        elif end == "crash":
            self._reopen(self.leader, power=False)
        elif end == "elsewhere":
            self._switch(1)
        else:
            leader.commit(Position(self.epoch, len(self.entries)), tuple(range(first, len(self.entries) + 1)))

    def _request(self, asked: Asked) -> Write:
        self._tokens += 1
        return Run(DATABASE, asked.statements, token=Token(f"token-{self._tokens}", 0), load=asked.load)

    def _held(self, leader: Replica, asked: Asked) -> Heard:
        heard: list[Result | Failed] = []
        leader.hold()
        for statement in asked.statements:
            try:
                heard.append(leader.run_held(statement))
            except StatementFailed as error:
                heard.append(error.failed)
            if not leader.held:
                break
        self._tokens += 1
        payload, outcomes = leader.execute((CommitHeld(DATABASE, Token(f"token-{self._tokens}", 0)),), 1_000_000)
        (outcome,) = map(_heard, outcomes)
        self._keep(leader, [payload] if payload is not None else [], "commit")
        return _until_gone((*heard, *(each for each in outcome if isinstance(each, Failed))))

    # ---- moves

    def move(self, move: Move) -> None:
        """What happens to a replica, counted from the leader on."""
        number = (self.leader + move.node) % 3
        other = (self.leader + 1 + move.node % 2) % 3
        if move.kind == "switch":
            self._switch(1 + move.node % 2)
        elif move.kind == "snapshot":
            self._replace(other, self._copy)
        elif move.kind == "newcomer":
            self._replace(other, lambda path: self._from_the_beginning(path, move.number))
        elif move.kind == "checkpoint":
            self._checkpoint(number)
        elif not self._memory:
            self._reopen(number, power=move.kind == "power", place=move.number)

    def _switch(self, step: int) -> None:
        old = self.nodes[self.leader]
        self.leader = (self.leader + step) % 3
        self.epoch += 1
        self._catch_up(self.nodes[self.leader])
        old.rollback()

    def _catch_up(self, node: Replica) -> None:
        missing = self.entries[node.applied.index :]
        if missing:
            node.apply(missing)

    def _replace(self, number: int, make: Callable[[Any], Replica]) -> None:
        self.nodes[number].close()
        self._paths[number] = path = self._path()
        self._synced[number] = (b"", 0)
        self.nodes[number] = make(path)

    def _copy(self, path: Any) -> Replica:
        """A copy of what the leader has committed."""
        leader = self.nodes[self.leader]
        if self._memory:
            copy = Replica(path)
            copy.load(leader.dump())
            return copy
        leader.copy_to(path)
        return Replica(path)

    def _from_the_beginning(self, path: Any, number: int) -> Replica:
        """A replica that applies every entry, some at a time."""
        node = Replica(path)
        at_once = 1 + number % 5
        for first in range(0, len(self.entries), at_once):
            node.apply(self.entries[first : first + at_once])
        return node

    def _checkpoint(self, number: int) -> None:
        self.nodes[number].checkpoint()
        self._note_synced(number)

    def _note_synced(self, number: int) -> None:
        if not self._memory:
            wal = self._wal(number)
            self._synced[number] = (wal[16:24], len(wal))

    def _wal(self, number: int) -> bytes:
        path = Path(f"{self._paths[number]}-wal")
        return path.read_bytes() if path.exists() else b""

    def _reopen(self, number: int, *, power: bool, place: int = 0) -> None:
        """The process dies; with `power` the end of the WAL goes too, as far as it was not synced."""
        self.nodes[number].abandon()
        if self._memory:
            self.nodes[number] = self._from_the_beginning(self._path(), 3)
            return
        if power:
            wal = self._wal(number)
            salts, synced = self._synced[number]
            least = synced if wal[16:24] == salts else 0
            if len(wal) > least:
                Path(f"{self._paths[number]}-wal").write_bytes(wal[: least + place % (len(wal) - least + 1)])
        Path(f"{self._paths[number]}-shm").unlink(missing_ok=True)
        self.nodes[number] = Replica(self._paths[number])
        self._catch_up(self.nodes[number])

    def settle(self) -> None:
        """All have applied everything."""
        for node in self.nodes:
            self._catch_up(node)

    def inspect(self, number: int) -> Inspection:
        """What a replica has committed."""
        if not self._memory:
            return Inspection(self._paths[number])
        path = self._place / f"image-{number}.db"
        path.unlink(missing_ok=True)
        path.write_bytes(self.nodes[number].dump())
        return Inspection(path)

    def close(self) -> None:
        """Close all of them."""
        for node in self.nodes:
            node.close()


def _until_gone(heard: Heard) -> Heard:
    """What an interactive transaction says, up to the first time that it says that a statement has ended it."""
    gone = (at for at, each in enumerate(heard) if isinstance(each, Failed) and each.message == GONE.message)
    end = next(gone, None)
    return heard if end is None else (*heard[:end], GONE)


def _heard(outcome: bytes) -> Heard:
    answer = read_outcome(outcome)
    if isinstance(answer, Done):
        return answer.results
    assert isinstance(answer, Failed), answer
    return (answer,)


def same_heard(one: Sequence[Result | Failed], other: Sequence[Result | Failed]) -> bool:
    """Do two legs say the same? Values by type, errors by class, name, text and statement; hints may differ."""
    return list(map(_comparable, one)) == list(map(_comparable, other))


def _comparable(each: Result | Failed) -> tuple[Any, ...]:
    if isinstance(each, Failed):
        return each.error, each.message, each.sqlite_errorname, max(0, each.statement)
    return each.columns, repr([tuple(row) for row in each.rows]), each.rowcount, each.lastrowid
