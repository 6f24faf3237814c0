"""How a coordinator carries out writes of single rows.

1. It gathers the row's state from so many replicas that one of them holds each write that was acknowledged, its own
   among them. The writes of one row stand in line here: all that wait are computed together, one on top of the other,
   and the next may be once that is durable here. So a state that this origin mints has seen all that it minted before
   of the row, which is what a context promises (`core.versions.row`).
2. It mints a version for each, higher than all that was gathered, and computes the row's new state.
3. It tells each caller version and state, then has all members store the state, and answers each caller when as many
   hold it durably as he asked for. When his time is over before, it is not known whether the write will be seen.

A caller who asks again brings the state. Nothing is minted then: the state is stored as it is, wherever he asks.

An origin is minted at each start of the node: what was minted before a crash may have reached others and not this disk.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from quorate.core.bounds import NodeId
from quorate.core.calls import Tell
from quorate.core.kernel import Now
from quorate.core.leaderless.gathering import Gathering, States
from quorate.core.leaderless.keeping import read
from quorate.core.leaderless.spreading import Spreading, Waiting
from quorate.core.replica import Host
from quorate.core.requests import Answer, Done, Refused, Unsure
from quorate.core.row_effects import RowKey, RowRun, RunOnRow
from quorate.core.row_requests import ADD, CHANGES, DELETE, INSERT, UPSERT, Minted, RunRow, WriteRow
from quorate.core.statements import Failed, Result
from quorate.core.versions.clock import HybridClock
from quorate.core.versions.dots import Dot, Origin, mint
from quorate.core.versions.encoding import decode_row, encode_row
from quorate.core.versions.resolvers import Spec
from quorate.core.versions.row import (
    Row,
    delete,
    empty,
    insert,
    is_live,
    merge,
    shown_in,
    update,
)
from quorate.core.versions.told import told

NO_CEILING = (1 << 62) - 1
"""No stamp of an origin is given out by another life of the node."""
LINE_MAX = 10_000
"""Writes of one row that wait."""
_AHEAD = (
    "not done: the row was written by a node whose clock is ahead of the one here",
    "set the clocks of the nodes (NTP), or wait until this one has come that far",
)
_encode = msgspec.msgpack.Encoder().encode
Numbers = Callable[[], int]


class Write(Struct):
    """A caller's write that has not got its version yet."""

    id: int
    body: WriteRow | RunRow
    w: int
    r: int
    """How many replicas must answer before it is computed."""
    until_us: int
    outcome: bytes = b""
    """Of a statement: what its caller is told when it is stored."""


class Computing(Struct):
    """Statements of one row, one on top of the other."""

    key: RowKey
    line: "Line"
    state: bytes
    left: deque[Write]
    minted: list[tuple[Write, Dot]]
    dot: Dot = (0, 0)
    """Of the one that runs, which is the first of those left."""


class Line(Struct):
    """The writes of one row."""

    waiting: list[Write]
    busy: bool = False
    """Some are being computed, or are not durable here yet."""


def done(rows: list[Any], changed: int) -> Answer:
    """What a caller is told whose request was carried through."""
    return Answer(Raw(_encode(Done((Result((), rows, changed),)))))


def merged(states: States) -> Row:
    """All these states as one."""
    row = empty()
    for state in dict.fromkeys(states.values()):
        if state:
            row = merge(row, decode_row(state))
    return row


class Writes:
    """All writes of which this replica is the coordinator."""

    def __init__(
        self,
        host: Host,
        group: int,
        gathering: Gathering,
        spreading: Spreading,
        numbers: Numbers,
        specs: Mapping[str, Spec],
    ) -> None:
        self._host, self._group = host, group
        self._gathering, self._spreading, self._numbers, self._specs = gathering, spreading, numbers, specs
        self.origin: Origin = mint(host.rng)
        self.clock = HybridClock()
        self.clock.raise_ceiling(NO_CEILING)
        self._lines: dict[RowKey, Line] = {}
        self._computing: dict[int, Computing] = {}
        self._wall_ms = 0

    def __bool__(self) -> bool:
        return bool(self._computing)

    def submit(self, write: Write) -> None:
        """Carry it out, or say why not."""
        body = write.body
        assert isinstance(body, WriteRow)
        key = body.table, body.key
        refused = self._refusal(body)
        if refused is not None:
            self._host.reply(write.id, refused)
        elif body.minted:
            self._spread(key, body.minted, [write])
        else:
            self.line_up(write, key)

    def again(self, write: Write, key: RowKey, state: bytes) -> None:
        """A statement is asked for again, which left the row in this state."""
        if self.clock.is_too_far_ahead(max(decode_row(state).context.values()), self._wall_ms):
            self._host.reply(write.id, Refused("Unavailable", *_AHEAD, retryable=True))
        else:
            self._spread(key, state, [write])

    def line_up(self, write: Write, key: RowKey) -> None:
        """Carry it out behind those that came before, or say why not."""
        line = self._lines.setdefault(key, Line([]))
        if len(line.waiting) >= LINE_MAX:
            self._host.reply(write.id, Refused("Overloaded", "too many writes of this row wait", retryable=True))
            return
        line.waiting.append(write)
        if not line.busy:
            self._begin(key, line)

    def _refusal(self, body: WriteRow) -> Refused | None:
        spec = self._specs.get(body.table)
        if spec is None:
            return Refused("ProgrammingError", f"no such table: {body.table}")
        if body.change not in CHANGES or any(column >= len(spec.columns) for column, _ in body.values):
            return Refused("ProgrammingError", f"no such change of a row of {body.table}: {body.change}")
        if not body.minted:
            return None
        row = told(body.minted, spec)
        if row is None:
            return Refused(
                "ProgrammingError", "the state that was sent is none that a node has told", "send what it told"
            )
        if self.clock.is_too_far_ahead(max(row.context.values()), self._wall_ms):
            return Refused("Unavailable", *_AHEAD, retryable=True)
        return None

    def _begin(self, key: RowKey, line: Line) -> None:
        """Those who come from now on wait for the next time: what is gathered may be older than they are."""
        line.busy = True
        writes, line.waiting = line.waiting, []

        def gathered(states: States) -> None:
            self._compute(key, line, writes, states)

        def failed(why: str) -> None:
            for write in writes:
                self._host.reply(write.id, Refused("Unavailable", f"not done: {why}", retryable=True))
            self._next(key, line)

        until_us = max(write.until_us for write in writes)
        needed = max(write.r for write in writes)
        self._gathering.ask(self._numbers(), key, needed, until_us, gathered, failed, clocked=True)

    def _next(self, key: RowKey, line: Line) -> None:
        line.busy = False
        if line.waiting:
            self._begin(key, line)
        else:
            self._lines.pop(key, None)

    # ---- what has been gathered --------------------------------------------------------------------------

    def _compute(self, key: RowKey, line: Line, writes: list[Write], states: States) -> None:
        row = merged(states)
        highest = max(row.context.values(), default=0)
        if not self.clock.observe(highest, self._wall_ms):
            for write in writes:
                self._host.reply(write.id, Refused("Unavailable", *_AHEAD, retryable=True))
            self._next(key, line)
            return
        minted: list[tuple[Write, Dot]] = []
        if isinstance(writes[0].body, RunRow):
            state = encode_row(row) if row.context else b""
            self._run_next(Computing(key, line, state, deque(writes), minted))
            return
        for write in writes:
            assert isinstance(write.body, WriteRow)
            if write.until_us <= self._host.now_us:
                text = "not done: its time was over before it had its version"
                self._host.reply(write.id, Refused("Unavailable", text, retryable=True))
                continue
            dot = self.clock.tick(self._wall_ms), self.origin
            try:
                after = changed(row, self._specs[key[0]], dot, write.body)
            except ValueError as error:
                self._fail(write, Failed("IntegrityError", str(error)))
                continue
            if after is None:
                self._host.reply(write.id, done([], 0))
            else:
                row = after
                minted.append((write, dot))
        if not minted:
            self._next(key, line)
            return
        state = encode_row(row)
        for write, dot in minted:
            self._host.emit(Tell(write.id, Minted(state, *dot), self._group))
        self._spread(key, state, [write for write, _ in minted], lambda: self._next(key, line))

    # ---- statements --------------------------------------------------------------------------------------

    def _run_next(self, computing: Computing) -> None:
        """Have the data file run the next one on the row, or store what they have made of it."""
        while computing.left:
            write = computing.left[0]
            assert isinstance(write.body, RunRow)
            if write.until_us > self._host.now_us:
                computing.dot = dot = self.clock.tick(self._wall_ms), self.origin
                number = self._numbers()
                self._computing[number] = computing
                me, key, state, statement = self._host.me, computing.key, computing.state, write.body.statement
                long_us = self._host.settings.long_us
                read(self._host, RunOnRow(self._group, me, number, key, state, statement, *dot, long_us))
                return
            computing.left.popleft()
            text = "not done: its time was over before it had its version"
            self._host.reply(write.id, Refused("Unavailable", text, retryable=True))
        self._tell(computing)

    def on_run(self, event: RowRun) -> None:
        """A statement has run."""
        computing = self._computing.pop(event.number, None)
        if computing is None:
            return
        write = computing.left.popleft()
        if event.state:
            computing.state, write.outcome = event.state, event.outcome
            computing.minted.append((write, computing.dot))
        else:
            self._host.reply(write.id, Answer(Raw(event.outcome)))
        self._run_next(computing)

    def _tell(self, computing: Computing) -> None:
        key, state, line = computing.key, computing.state, computing.line
        for write, dot in computing.minted:
            word = _encode((*key, state, write.outcome))
            self._host.emit(Tell(write.id, Minted(word, *dot), self._group))
        if computing.minted:
            writes = [write for write, _ in computing.minted]
            self._spread(key, state, writes, lambda: self._next(key, line))
        else:
            self._next(key, line)

    def end(self, why: str) -> None:
        """The data file does not say what became of statements: none of them has its version."""
        computing, self._computing = list(self._computing.values()), {}
        for each in computing:
            for write in (*each.left, *[write for write, _ in each.minted]):
                self._host.reply(write.id, Refused("Unavailable", f"not done: {why}", retryable=True))
            self._next(each.key, each.line)

    # ------------------------------------------------------------------------------------------------------

    def _fail(self, write: Write, failed: Failed) -> None:
        self._host.reply(write.id, Answer(Raw(_encode(failed))))

    def _spread(self, key: RowKey, state: bytes, writes: list[Write], kept: Callable[[], None] = lambda: None) -> None:
        waits = [Waiting(write.w, write.until_us, self._answer(write), self._unsure(write)) for write in writes]
        holders: tuple[NodeId, ...] = ()
        self._spreading.send(self._numbers(), (*key, state), holders, waits, kept)

    def _answer(self, write: Write) -> Callable[[], None]:
        answer = Answer(Raw(write.outcome)) if write.outcome else done([], 1)
        return lambda: self._host.reply(write.id, answer)

    def _unsure(self, write: Write) -> Callable[[], None]:
        return lambda: self._host.reply(write.id, Unsure())

    def see(self, now: Now) -> None:
        """So late it is."""
        self._wall_ms = now.wall_us // 1000


def changed(row: Row, spec: Spec, dot: Dot, body: WriteRow) -> Row | None:
    """The row's state after this write; None: it changes nothing. Raises ValueError: the row is there already, or a
    value does not suit its column."""
    live = is_live(row)
    if body.change == INSERT or (body.change == UPSERT and not live):
        if live:
            raise ValueError(f"a row of {body.table} has this key already")
        values: list[Any] = [None] * len(spec.columns)
        for column, value in body.values:
            values[column] = value
        return insert(row, spec, dot, values)
    if not live:
        return None
    if body.change == DELETE:
        return delete(row, spec, dot)
    if body.change == ADD:
        return update(row, spec, dot, {column: _sum(row, spec, column, value) for column, value in body.values})
    return update(row, spec, dot, dict(body.values))


def _sum(row: Row, spec: Spec, column: int, value: Any) -> int:
    shown = shown_in(row, spec, column)
    if not isinstance(shown, int) or not isinstance(value, int):
        raise ValueError("only an integer can be added to, and only an integer be added")
    return shown + value
