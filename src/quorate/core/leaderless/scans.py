"""How a coordinator reads whole tables: so many replicas send all of their rows, which are merged.

What is sent is capped. Those who lack something are sent it afterwards; nobody waits for that.
"""

from collections.abc import Callable

from msgspec import Struct

from quorate.core.bounds import NodeId
from quorate.core.kernel import Now, Send
from quorate.core.leaderless.keeping import Keeper, read
from quorate.core.leaderless.messages import Store, TablesAsk, TablesReply
from quorate.core.replica import Host
from quorate.core.requests import Refused
from quorate.core.row_effects import ReadTables, RowKey, RowState, TablesRead
from quorate.core.versions.encoding import decode_row, encode_row
from quorate.core.versions.row import merge

ROWS_MAX = 20_000
BYTES_MAX = 4 << 20
"""What one replica sends of the tables that a statement reads."""
TOO_MANY = Refused(
    "TooLarge",
    f"not read: the tables that it reads have more than {ROWS_MAX} rows, or {BYTES_MAX >> 20} MiB",
    "read rows by their full primary keys, or what one replica holds, at the level eventual",
)


class Scan(Struct):
    """One question under way."""

    tables: tuple[str, ...]
    needed: int
    until_us: int
    then: Callable[[tuple[RowState, ...]], None]
    refuse: Callable[[Refused], None]
    answers: dict[NodeId, dict[RowKey, bytes]]


class Scans:
    """All of a coordinator's questions for whole tables, by their numbers."""

    def __init__(
        self, host: Host, group: int, keeper: Keeper, others: tuple[NodeId, ...], numbers: Callable[[], int]
    ) -> None:
        self._host, self._group, self._keeper, self._others, self._numbers = host, group, keeper, others, numbers
        self._open: dict[int, Scan] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def ask(self, scan: Scan) -> None:
        """Call `then` with the merged rows that are others than those here."""
        number = self._numbers()
        self._open[number] = scan
        self.read(self._host.me, number, scan.tables)
        for node in self._others if scan.needed > 1 else ():
            self._host.emit(Send(node, TablesAsk(self._group, number, scan.tables)))

    def read(self, asker: NodeId, number: int, tables: tuple[str, ...]) -> None:
        """Read them here, for whom asks."""
        if self._keeper.readable:
            read(self._host, ReadTables(self._group, asker, number, tables, ROWS_MAX, BYTES_MAX))

    def on_read(self, event: TablesRead) -> None:
        """What is here."""
        if event.to != self._host.me:
            self._host.emit(Send(event.to, TablesReply(self._group, event.number, event.rows, event.too_many)))
        else:
            self.on_reply(event.to, TablesReply(self._group, event.number, event.rows, event.too_many))

    def on_reply(self, sender: NodeId, message: TablesReply) -> None:
        """What a member holds."""
        scan = self._open.get(message.number)
        if scan is None or (sender not in self._others and sender != self._host.me):
            return
        if message.too_many:
            del self._open[message.number]
            scan.refuse(TOO_MANY)
            return
        scan.answers[sender] = {(table, key): state for table, key, state in message.rows}
        if len(scan.answers) >= scan.needed and self._host.me in scan.answers:
            del self._open[message.number]
            scan.then(self._merged(scan.answers))

    def _merged(self, answers: dict[NodeId, dict[RowKey, bytes]]) -> tuple[RowState, ...]:
        """The rows that are others than those here. Who lacks something is sent it."""
        states: dict[RowKey, bytes] = {}
        for rows in answers.values():
            for key, state in rows.items():
                found = states.get(key, state)
                both = state if found == state else encode_row(merge(decode_row(found), decode_row(state)))
                states[key] = both
        mine: tuple[RowState, ...] = ()
        for node, rows in answers.items():
            lacking = tuple([(*key, state) for key, state in states.items() if rows.get(key) != state])
            if node == self._host.me:
                mine = lacking
            elif lacking:
                self._host.emit(Send(node, Store(self._group, self._numbers(), lacking)))
        if mine:
            self._keeper.keep(mine, lambda: None)
        return mine

    def on_time(self, now: Now) -> None:
        """End what nobody waits for any more."""
        for number, scan in list(self._open.items()):
            if scan.until_us <= now.mono_us:
                del self._open[number]
                text = f"not read: {len(scan.answers)} of {scan.needed} replicas have answered"
                scan.refuse(Refused("Unavailable", text, retryable=True))

    def end(self, why: str) -> None:
        """This replica can coordinate nothing any more."""
        scans, self._open = list(self._open.values()), {}
        for scan in scans:
            scan.refuse(Refused("Unavailable", f"not read: {why}", retryable=True))
