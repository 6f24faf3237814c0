"""A coordinator has all members store a row's new state, and hears who holds it durably.

Everybody is sent it at once. Who has not acknowledged is sent it again for a while; then a hint is kept, the key of the
row, and the row's state of that time is sent when the member is heard again. A hint is not an acknowledgement. When
there are too many hints, or this node starts anew, the hash trees find what is missing (`exchange`).
"""

from collections.abc import Callable

from msgspec import Struct

from quorate.core.bounds import NodeId
from quorate.core.kernel import Now, Send
from quorate.core.leaderless.keeping import Keeper, read
from quorate.core.leaderless.messages import Store, Stored
from quorate.core.replica import Host
from quorate.core.row_effects import ReadRows, RowKey, RowsRead, RowState

HINTS_MAX = 10_000
"""For one member."""
HINTS_SENT = 64
"""Rows in one message."""
SENDINGS = 4
"""How often a member is sent the same before it is only hinted."""


class Waiting(Struct):
    """Somebody waits until so many hold it."""

    needed: int
    until_us: int
    then: Callable[[], None]
    fail: Callable[[], None]


class Spread(Struct):
    """One state on its way."""

    row: RowState
    holders: dict[NodeId, None]
    waits: list[Waiting]
    targets: tuple[NodeId, ...]
    sendings: int = 1


class Spreading:
    """All of a coordinator's states on their way, and its hints."""

    def __init__(self, host: Host, group: int, keeper: Keeper, others: tuple[NodeId, ...]) -> None:
        self._host, self._group, self._keeper, self._others = host, group, keeper, others
        self._open: dict[int, Spread] = {}
        self.hints: dict[NodeId, dict[RowKey, None]] = {node: {} for node in others}
        self._handing: dict[int, tuple[NodeId, tuple[RowKey, ...]]] = {}
        """Hinted rows that were sent."""
        self.overflown: Callable[[NodeId], None] = lambda _node: None
        """More was missed than hints can say."""

    def __bool__(self) -> bool:
        return bool(self._open)

    @property
    def hinted(self) -> tuple[tuple[NodeId, int], ...]:
        """How many rows wait for whom."""
        return tuple([(node, len(keys)) for node, keys in self.hints.items() if keys])

    def send(
        self,
        number: int,
        row: RowState,
        holders: tuple[NodeId, ...],
        waits: list[Waiting],
        kept: Callable[[], None] = lambda: None,
    ) -> None:
        """Have everybody store it who is not among `holders`. `kept` is called once it is durable here."""
        targets = tuple([node for node in self._others if node not in holders])
        spread = self._open[number] = Spread(row, dict.fromkeys(holders), waits, targets)

        def durable() -> None:
            spread.holders[self._host.me] = None
            kept()
            self._look(number, spread)

        if self._host.me not in holders:
            self._keeper.keep((row,), durable)
        for node in targets:
            self._host.emit(Send(node, Store(self._group, number, (row,))))
        self._look(number, spread)

    def on_stored(self, sender: NodeId, message: Stored) -> None:
        """A member holds it."""
        handed = self._handing.pop(message.number, None)
        if handed is not None and handed[0] == sender:
            for key in handed[1]:
                self.hints[sender].pop(key, None)
            self._hand_over(sender, message.number)
            return
        spread = self._open.get(message.number)
        if spread is not None and sender in self._others:
            spread.holders[sender] = None
            self._look(message.number, spread)

    def _look(self, number: int, spread: Spread) -> None:
        """Tell those for whom enough hold it."""
        heard = [each for each in spread.waits if each.needed <= len(spread.holders)]
        if heard:
            spread.waits = [each for each in spread.waits if each not in heard]
            for each in heard:
                each.then()
        if not spread.waits and all(node in spread.holders for node in (self._host.me, *spread.targets)):
            self._open.pop(number, None)

    def on_time(self, now: Now) -> None:
        """Send again, or leave it to hints; end what nobody waits for any more."""
        for number, spread in list(self._open.items()):
            late = [each for each in spread.waits if each.until_us <= now.mono_us]
            if late:
                spread.waits = [each for each in spread.waits if each not in late]
                for each in late:
                    each.fail()
            missing = [node for node in spread.targets if node not in spread.holders]
            if spread.sendings >= SENDINGS and not spread.waits:
                if self._host.me not in spread.holders:
                    continue  # a hint is handed over as it lies in the data file, which lacks this still
                del self._open[number]
                for node in missing:
                    self._hint(node, spread.row)
                continue
            spread.sendings += 1
            for node in missing:
                self._host.emit(Send(node, Store(self._group, number, (spread.row,))))

    # ---- hints -------------------------------------------------------------------------------------------

    def _hint(self, node: NodeId, row: RowState) -> None:
        hints = self.hints[node]
        if len(hints) >= HINTS_MAX:
            hints.clear()
            self.overflown(node)
        else:
            hints[row[0], row[1]] = None

    def hand_over(self, node: NodeId, number: int) -> None:
        """The member is heard again: send it what it missed."""
        for known, (to, _) in list(self._handing.items()):
            if to == node:  # lost with the connection
                del self._handing[known]
        self._hand_over(node, number)

    def _hand_over(self, node: NodeId, number: int) -> None:
        keys = tuple(self.hints[node])[:HINTS_SENT]
        if keys and self._keeper.readable:
            self._handing[number] = node, keys
            read(self._host, ReadRows(self._group, self._host.me, number, keys))

    def on_read(self, event: RowsRead) -> bool:
        """What was hinted has these states; whether it was that."""
        handed = self._handing.get(event.number)
        if handed is None:
            return False
        rows = tuple([(*key, state) for key, state in zip(event.keys, event.states, strict=True) if state])
        self._host.emit(Send(handed[0], Store(self._group, event.number, rows)))
        return True

    def end(self) -> None:
        """The database is gone, or this replica can coordinate nothing any more."""
        spreads, self._open = list(self._open.values()), {}
        for spread in spreads:
            for each in spread.waits:
                each.fail()

    def assert_invariants(self) -> None:
        """Nobody waits who should have heard."""
        for spread in self._open.values():
            assert all(each.needed > len(spread.holders) for each in spread.waits), "enough hold it, and nobody is told"
