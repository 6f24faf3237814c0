"""Anti-entropy: two replicas find by their hash trees where they differ, and give each other what the other lacks.

One of them sends its root. Who has another hash answers with those of the children, and so on in turns down to the
leaves, whose rows are exchanged. Each message is about at most `BRANCHES` nodes: what more there is comes with the next
exchange, which follows until both agree. Nothing is sent but the root while both hold the same.

Nobody exchanges at intervals. A replica begins one with each member of which it cannot know that it holds the same: all
of them when it starts, when a member falls silent that may have left a write on some only, and when an exchange has
brought something new; one of them when it missed more than hints can say.
"""

from collections.abc import Callable, Container

from msgspec import Struct

from quorate.core.bounds import NodeId
from quorate.core.kernel import Now, Send
from quorate.core.leaderless.keeping import Keeper, read
from quorate.core.leaderless.messages import Agreed, Hashes, Rows
from quorate.core.replica import Host
from quorate.core.row_effects import (
    CompareTree,
    LeavesRead,
    ReadLeaves,
    ReadRoot,
    RootRead,
    RowState,
    TreeCompared,
)
from quorate.core.versions.encoding import decode_row, encode_row
from quorate.core.versions.merkle import DEPTH, children_of
from quorate.core.versions.row import merge

BRANCHES = 256
"""Nodes of a tree that one message is about, not counting their children."""
BYTES_MAX = 1 << 20
"""Of rows in one message, unless one leaf alone has more."""
ROOT = (0,)


class Round(Struct):
    """An exchange that was begun here."""

    number: int
    heard_us: int
    """When it went on last."""


class Exchange:
    """All exchanges of one replica."""

    def __init__(
        self, host: Host, group: int, keeper: Keeper, others: tuple[NodeId, ...], numbers: Callable[[], int]
    ) -> None:
        self._host, self._group, self._keeper, self._others, self._numbers = host, group, keeper, others, numbers
        self.doubted: dict[NodeId, None] = dict.fromkeys(others)
        """Members that may hold something else."""
        self._agreed_us = -1
        """When nobody was doubted any more."""
        self._rounds: dict[NodeId, Round] = {}
        self._coming: dict[tuple[NodeId, int], Rows] = {}
        """Rows of others that are being compared with those here."""

    def agreed_since(self) -> int:
        """How long ago all were last found to hold the same; -1: not in this life."""
        return self._host.now_us - self._agreed_us if self._agreed_us >= 0 else -1

    def doubt(self, node: NodeId) -> None:
        """It may hold something else."""
        if node in self._others:
            self.doubted[node] = None

    def doubt_all(self) -> None:
        """Anybody may."""
        for node in self._others:
            self.doubted[node] = None

    def on_time(self, now: Now, lost: Container[NodeId]) -> None:
        """Begin with everybody who is doubted and can be reached, unless an exchange with him goes on."""
        if not self._keeper.readable:
            return
        for node in self.doubted:
            if node in lost:
                continue
            known = self._rounds.get(node)
            if known is None or known.heard_us + 2 * self._host.settings.retry_us <= now.mono_us:
                self._begin(node)

    def _begin(self, node: NodeId) -> None:
        number = self._numbers()
        self._rounds[node] = Round(number, self._host.now_us)
        read(self._host, ReadRoot(self._group, node, number))

    def _goes_on(self, node: NodeId, number: int) -> None:
        known = self._rounds.get(node)
        if known is not None and known.number == number:
            known.heard_us = self._host.now_us

    # ---- storage has read --------------------------------------------------------------------------------

    def on_root(self, event: RootRead) -> None:
        """Tell the member."""
        self._host.emit(Send(event.to, Hashes(self._group, event.number, 0, ROOT, (event.hash,))))

    def on_compared(self, event: TreeCompared) -> None:
        """What is to be said of hashes that came."""
        if not self._keeper.readable:
            return
        group, number, to = self._group, event.number, event.to
        if not event.nodes:
            self._host.emit(Send(to, Agreed(group, number, event.level)))
            self._agreed(to, number, event.level)
        elif event.level < DEPTH:
            below = children_of(event.nodes)
            self._host.emit(Send(to, Hashes(group, number, event.level + 1, below, event.children)))
        else:
            self._host.emit(Send(to, Rows(group, number, event.nodes, event.rows, back=True)))

    def on_leaves(self, event: LeavesRead) -> None:
        """A member's rows of these leaves have come: keep what is new in them, then send what is new for it."""
        came = self._coming.pop((event.to, event.number), None)
        if came is None or not self._keeper.readable:
            return
        news, lacking = differences(event.rows, came.rows)
        if news:
            for node in self._others:
                if node != event.to:  # others may lack it too
                    self.doubt(node)
        group, to, number = self._group, event.to, event.number

        def kept() -> None:
            if came.back:
                self._host.emit(Send(to, Rows(group, number, came.leaves, lacking, back=False)))
            elif to in self._rounds and self._rounds[to].number == number:
                self._begin(to)  # until both agree

        self._keeper.keep(news, kept)

    # ---- members say -------------------------------------------------------------------------------------

    def on_hashes(self, sender: NodeId, message: Hashes) -> None:
        """Compare them with the tree here."""
        self._goes_on(sender, message.number)
        if sender in self._others and message.level <= DEPTH and self._keeper.readable:
            nodes, hashes = message.nodes, message.hashes
            if len(nodes) == len(hashes):
                number, level = message.number, message.level
                read(self._host, CompareTree(self._group, sender, number, level, nodes, hashes, BRANCHES, BYTES_MAX))

    def on_rows(self, sender: NodeId, message: Rows) -> None:
        """Compare them with those here."""
        self._goes_on(sender, message.number)
        if sender in self._others and self._keeper.readable:
            self._coming[sender, message.number] = message
            read(self._host, ReadLeaves(self._group, sender, message.number, message.leaves))

    def on_agreed(self, sender: NodeId, message: Agreed) -> None:
        """It holds the same."""
        self._agreed(sender, message.number, message.level)

    def _agreed(self, node: NodeId, number: int, level: int) -> None:
        known = self._rounds.get(node)
        if known is not None and known.number == number:
            if level:  # here by now: what else there is shows from the root
                self._begin(node)
            else:
                del self._rounds[node]
                self.doubted.pop(node, None)
                if not self.doubted:
                    self._agreed_us = self._host.now_us

    def on_lost(self, node: NodeId) -> None:
        """It fell silent."""
        self._rounds.pop(node, None)
        for each in [each for each in self._coming if each[0] == node]:
            del self._coming[each]
        self.doubt_all()


def differences(
    mine: tuple[RowState, ...], theirs: tuple[RowState, ...]
) -> tuple[tuple[RowState, ...], tuple[RowState, ...]]:
    """Of the rows of the same leaves: what is new here, as states of both, and what is new there."""
    known = {(table, key): state for table, key, state in mine}
    news: list[RowState] = []
    lacking = dict(known)
    for table, key, state in theirs:
        found = known.get((table, key), b"")
        if found == state:
            del lacking[table, key]
            continue
        both = encode_row(merge(decode_row(found), decode_row(state))) if found else state
        if both != found:
            news.append((table, key, both))
        if both == state:
            lacking.pop((table, key), None)
        else:
            lacking[table, key] = both
    return tuple(news), tuple([(*key, state) for key, state in lacking.items()])
