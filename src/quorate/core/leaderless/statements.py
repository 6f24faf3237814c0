"""SQL: what each statement is about is asked of the data file, and then it is a write or a read of one row, or a read
of tables, or a change of the schema that the catalog is to be asked for.

A caller who has seen a change of the schema waits until it is here.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Raw, Struct

from quorate.core.kernel import Now
from quorate.core.leaderless.keeping import read
from quorate.core.leaderless.scans import Scan, Scans
from quorate.core.leaderless.writes import Write
from quorate.core.querying import Query
from quorate.core.quorums import Quorums
from quorate.core.replica import Host
from quorate.core.requests import Answer, Refused
from quorate.core.row_effects import (
    CHANGES_SCHEMA,
    IS_REFUSED,
    READS_ROW,
    WRITES,
    PlanStatement,
    ReadOnRows,
    RowsQueried,
    RowState,
    StatementPlanned,
)
from quorate.core.row_requests import RunRow, SchemaFits

if TYPE_CHECKING:
    from quorate.core.leaderless.reads import Reads
    from quorate.core.leaderless.writes import Writes


class Asked(Struct):
    """A caller's statement."""

    id: int
    body: RunRow
    quorums: Quorums
    until_us: int
    blocking: bool


class Statements:
    """All statements of which this replica is the coordinator, until they are writes or reads."""

    def __init__(
        self, host: Host, group: int, numbers: Callable[[], int], writes: "Writes", reads: "Reads", scans: Scans
    ) -> None:
        self._host, self._group, self._numbers = host, group, numbers
        self._writes, self._reads, self._scans = writes, reads, scans
        self.serial = -1
        """The last change of the schema that was carried out here; -1: not known yet."""
        self._waiting: list[Asked] = []
        """For a change of the schema that has not come yet."""
        self._planned: dict[int, Asked] = {}
        self._read: dict[int, Asked] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting or self._planned or self._read)

    def submit(self, asked: Asked) -> None:
        """Carry it out, or say why not."""
        if asked.body.schema > max(0, self.serial):
            self._waiting.append(asked)
            return
        number = self._numbers()
        self._planned[number] = asked
        read(self._host, PlanStatement(self._group, self._host.me, number, asked.body.statement, asked.body.minted))

    def on_schema(self, serial: int) -> None:
        """So far the schema was changed here."""
        self.serial = serial
        waiting, self._waiting = self._waiting, []
        for asked in waiting:
            self.submit(asked)

    def on_planned(self, event: StatementPlanned) -> None:
        """So much is known of a statement."""
        asked = self._planned.pop(event.number, None)
        if asked is None:
            return
        if event.kind == IS_REFUSED:
            self._host.reply(asked.id, Answer(Raw(event.outcome)))
        elif event.kind == CHANGES_SCHEMA:
            self._host.reply(asked.id, SchemaFits(event.serial))
        elif event.kind == WRITES:
            self._write(asked, event)
        elif event.kind == READS_ROW:

            def on_row(state: bytes) -> None:
                self._run(asked, ((*event.key, state),) if state else ())

            r = asked.quorums.r
            self._reads.gather(asked.id, event.key, r, asked.until_us, on_row, blocking=asked.blocking)
        elif event.tables:

            def refuse(why: Refused) -> None:
                self._host.reply(asked.id, why)

            def on_rows(rows: tuple[RowState, ...]) -> None:
                self._run(asked, rows)

            self._scans.ask(Scan(event.tables, asked.quorums.r, asked.until_us, on_rows, refuse, {}))
        else:
            self._run(asked, ())

    def _write(self, asked: Asked, event: StatementPlanned) -> None:
        if self._host.disk_full:
            text = "the node's disk has no room"
            self._host.reply(asked.id, Refused("DiskFull", text, "free some space", retryable=True))
            return
        write = Write(asked.id, asked.body, asked.quorums.w, asked.quorums.r, asked.until_us, event.outcome)
        if event.state:
            self._writes.again(write, event.key, event.state)
        else:
            self._writes.line_up(write, event.key)

    def _run(self, asked: Asked, rows: tuple[RowState, ...]) -> None:
        """Read where these rows have these states. Where all are here already, it is a read like any other, beside the
        loop; else it keeps the node from all else, and is ended soon."""
        statement = asked.body.statement
        if not rows:
            self._host.emit(Query(self._group, asked.id, (statement,), asked.until_us))
            return
        number = self._numbers()
        self._read[number] = asked
        long_us = self._host.settings.long_us
        read(self._host, ReadOnRows(self._group, self._host.me, number, rows, statement, long_us))

    def on_queried(self, event: RowsQueried) -> None:
        """It was read."""
        asked = self._read.pop(event.number, None)
        if asked is not None:
            self._host.reply(asked.id, Answer(Raw(event.outcome)))

    def on_time(self, now: Now) -> None:
        """End what nobody waits for any more."""
        late = [asked for asked in self._waiting if asked.until_us <= now.mono_us]
        self._waiting = [asked for asked in self._waiting if asked.until_us > now.mono_us]
        for asked in late:
            text = f"not done: change {asked.body.schema} of the schema has not come here yet"
            self._host.reply(asked.id, Refused("Unavailable", text, retryable=True))

    def end(self, why: str) -> None:
        """This replica can coordinate nothing any more, or its data file has said nothing."""
        every = [*self._waiting, *self._planned.values(), *self._read.values()]
        self._waiting, self._planned, self._read = [], {}, {}
        for asked in every:
            self._host.reply(asked.id, Refused("Unavailable", f"not done: {why}", retryable=True))
