"""A coordinator asks all members for a row's state, and goes on with the first so many answers, its own among them.

What was not answered is asked again until the caller's time is over.
"""

from collections.abc import Callable

from msgspec import Struct

from quorate.core.bounds import NodeId
from quorate.core.kernel import Now, Send
from quorate.core.leaderless.keeping import Keeper, read
from quorate.core.leaderless.messages import RowAsk, RowReply
from quorate.core.replica import Host
from quorate.core.row_effects import ReadRows, RowKey, RowsRead
from quorate.core.versions.clock import AHEAD_MAX_MS

States = dict[NodeId, bytes]
"""What each of those who answered holds."""


class Gather(Struct):
    """One question under way."""

    key: RowKey
    needed: int
    until_us: int
    then: Callable[[States], None]
    fail: Callable[[str], None]
    clocked: bool
    """Only answers of replicas count whose clocks do not differ by more than clocks may."""
    states: States
    distant: dict[NodeId, None]
    """Those whose clocks do."""


class Gathering:
    """All of a coordinator's questions, by their numbers."""

    def __init__(self, host: Host, group: int, keeper: Keeper, others: tuple[NodeId, ...]) -> None:
        self._host, self._group, self._keeper, self._others = host, group, keeper, others
        self._open: dict[int, Gather] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def ask(
        self,
        number: int,
        key: RowKey,
        needed: int,
        until_us: int,
        then: Callable[[States], None],
        fail: Callable[[str], None],
        *,
        clocked: bool = False,
    ) -> None:
        """Call `then` with so many states once they are there, or `fail` with the reason why not."""
        gather = self._open[number] = Gather(key, needed, until_us, then, fail, clocked, {}, {})
        self._ask(number, gather)

    def _ask(self, number: int, gather: Gather) -> None:
        if self._host.me not in gather.states and self._keeper.readable:
            read(self._host, ReadRows(self._group, self._host.me, number, (gather.key,)))
        for node in self._others:
            if node not in gather.states:
                self._host.emit(Send(node, RowAsk(self._group, number, gather.key)))

    def on_read(self, event: RowsRead) -> None:
        """The own state."""
        gather = self._open.get(event.number)
        if gather is not None and self._keeper.readable:
            self._add(event.number, gather, self._host.me, event.states[0])

    def on_reply(self, now: Now, sender: NodeId, message: RowReply) -> None:
        """A member's state."""
        gather = self._open.get(message.number)
        if gather is None or sender not in self._others:
            return
        if gather.clocked and abs(message.wall_us - now.wall_us) > AHEAD_MAX_MS * 1000 + self._host.settings.retry_us:
            gather.distant[sender] = None
            return
        self._add(message.number, gather, sender, message.state)

    def _add(self, number: int, gather: Gather, node: NodeId, state: bytes) -> None:
        gather.states[node] = state
        if len(gather.states) >= gather.needed and self._host.me in gather.states:
            del self._open[number]
            gather.then(gather.states)

    def on_time(self, now: Now) -> None:
        """Ask again who has not answered; end what nobody waits for any more."""
        for number, gather in list(self._open.items()):
            if gather.until_us <= now.mono_us:
                del self._open[number]
                gather.fail(self._why(gather))
            else:
                self._ask(number, gather)

    def _why(self, gather: Gather) -> str:
        names = [self._host.name_of(node) for node in self._others if node not in gather.states]
        if gather.distant:
            return f"the clock here differs too much from that of {self._names(gather.distant)}"
        if self._host.me not in gather.states:
            names.append(self._host.name_of(self._host.me))
        return f"{len(gather.states)} of {gather.needed} replicas have answered; missing are {', '.join(names)}"

    def _names(self, nodes: dict[NodeId, None]) -> str:
        return ", ".join([self._host.name_of(node) for node in nodes])

    def end(self, why: str) -> None:
        """The database is gone, or this replica can coordinate nothing any more."""
        gathers, self._open = list(self._open.values()), {}
        for gather in gathers:
            gather.fail(why)
