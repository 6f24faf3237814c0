"""Read views: one state of a database that stays readable for longer than one answer.

A transaction that only reads, and a result that is fetched in pieces, need one state from beginning to end. A node pins
it: a read transaction stays open on a connection of its own.

1. `OpenView` is a read at its level. Where a linearizable read would run, the node pins what is committed and runs the
   first statement on it. Writes go on, and do not change it.
2. `ReadView` fetches the next piece, or runs another statement, on this node alone. The node does nothing before it is
   asked, so a slow caller costs no memory here. Of each view it keeps the newest answer, for one whose answer was lost.
3. What is pinned cannot be overwritten, so that the write-ahead log grows. Therefore views are bounded, in number
   (`views_max`), in age (`view_us`), in how long nobody asks (`view_idle_us`), and by the size of the database's
   write-ahead log (`view_wal_bytes`). Whoever asks for one that is no more is told `SnapshotExpired`, and begins anew.
"""

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from quorate.core import routes
from quorate.core.admission import ends_us, gone, overloaded
from quorate.core.bounds import GroupId
from quorate.core.calls import Request
from quorate.core.kernel import CATALOG_DATABASE, Condemn, Note, Now
from quorate.core.querying import DAMAGED, QueryFailed, refusal
from quorate.core.requests import Answer, Done, NotLeader, Refused, ReplyBody
from quorate.core.statements import Statement
from quorate.core.view_requests import CloseView, OpenView, ReadView, Viewed
from quorate.core.viewing import FetchView, LetViewGo, PinView, ViewRead
from quorate.sql.classify import reads_only

if TYPE_CHECKING:
    from quorate.core.node import Node

OLD, IDLE, LARGE, DROPPED = (
    "it was too old",
    "nobody had read it",
    "the write-ahead log was too large",
    "it was dropped",
)
_encode = msgspec.msgpack.Encoder().encode
_CLOSED = Answer(Raw(_encode(Done(()))))
EXPIRED = Refused(
    "SnapshotExpired", "this node does not keep that snapshot any more: it was too old, nobody had read it for too "
    "long, it kept the write-ahead log from being reused, or the node was restarted", "begin anew", retryable=True
)  # fmt: skip
_NOT_IN_ORDER = Refused("InterfaceError", "the pieces of a snapshot are fetched one after the other")
_NOT_A_READ = Refused("ProgrammingError", "a snapshot can only be read")
_CATALOG = Refused("NotSupportedError", "no snapshot of the catalog is kept", "read it with single statements")


class View(Struct):
    """A view that is kept, or being opened."""

    group: GroupId
    database: str
    opened_us: int
    used_us: int
    """When it was last asked, or has last answered."""
    waiting: list[int]
    """Requests that wait for what is being read."""
    until_us: int = 0
    """While it is being opened: when its caller ceases to wait; 0: not known."""
    number: int = -1
    """Of the last request that was answered; -1: it is being opened."""
    answer: ReplyBody | None = None
    """To that one."""


class ReadViews:
    """All of one node."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self.kept: dict[int, View] = {}
        """By their numbers, which nobody can guess."""

    def on_request(self, now: Now, request: Request) -> None:
        number, body = request.id, request.body
        if isinstance(body, OpenView):
            self._ask(now, number, body)
        elif isinstance(body, ReadView):
            self._read(now, request, body)
        else:
            assert isinstance(body, CloseView), "a request about something else"
            view = self.kept.get(body.view)
            if view is not None and self._refusal(now, request, view) is None:
                self._close(body.view)
            self._node.reply(number, _CLOSED)

    def _ask(self, now: Now, number: int, body: OpenView) -> None:
        found = routes.find(self._node, body.database)
        if isinstance(found, NotLeader | Refused):
            self._node.reply(number, found)
        elif body.database == CATALOG_DATABASE:
            self._node.reply(number, _CATALOG)
        elif not reads_only((body.statement,)):
            self._node.reply(number, _NOT_A_READ)
        elif body.after is not None and (refused := routes.misplaced(self._node, found, body.after)) is not None:
            self._node.reply(number, refused)
        else:
            found.submit_view(now, number, body)

    def open(self, group: GroupId, id: int, body: OpenView, until_us: int) -> None:
        """A caller's read has its turn: pin what is committed."""
        node, now_us = self._node, self._node.now_us
        most = node.settings.views_max
        if len(self.kept) >= most:
            node.reply(id, overloaded(f"this node keeps {most} snapshots already, the most that it may", 1_000_000))
            return
        number = node.rng.getrandbits(62) + 1
        self.kept[number] = View(group, body.database, now_us, now_us, [id], until_us)
        node.emit(PinView(group, number, body.statement, body.bytes, ends_us(until_us, now_us)))

    def _refusal(self, now: Now, request: Request, view: View) -> Refused | None:
        """Whoever may read the database may read what is kept of it."""
        return self._node.access.refusal(request.login, OpenView(view.database, Statement("SELECT 1"), ""), now)

    def _read(self, now: Now, request: Request, body: ReadView) -> None:
        node, number, view = self._node, request.id, self.kept.get(body.view)
        if view is None:
            node.reply(number, EXPIRED)
        elif refused := self._refusal(now, request, view):
            node.reply(number, refused)
        elif body.statement is not None and not reads_only((body.statement,)):
            node.reply(number, _NOT_A_READ)
        elif body.number == view.number + 1 and view.number >= 0:
            view.used_us = now.mono_us
            view.waiting.append(number)
            if len(view.waiting) == 1:
                ends = ends_us(request.until_us, now.mono_us)
                node.emit(FetchView(view.group, body.view, body.statement, body.bytes, ends))
        elif body.number == view.number and body.number > 0 and view.answer is not None:
            view.used_us = now.mono_us
            node.reply(number, view.answer)
        else:
            node.reply(number, _NOT_IN_ORDER)

    def on_read(self, now: Now, event: ViewRead) -> None:
        """Storage has read."""
        view = self.kept.get(event.view)
        if view is None:
            return  # it was closed meanwhile
        opening, waiting, view.waiting = view.number < 0, view.waiting, []
        answer: ReplyBody
        if event.why:
            answer = refusal(QueryFailed(event.group, 0, event.why, event.reason))
            if event.why == DAMAGED and event.group in self._node.groups:
                self._node.emit(Condemn(event.group, event.reason))
        else:
            outcome = Raw(_encode(Viewed(event.view, Raw(event.outcome))))
            answer = Answer(outcome, event.position.index, event.position.epoch, event.group)
        view.number, view.answer, view.used_us = view.number + 1, answer, now.mono_us
        for number in waiting:
            self._node.reply(number, answer)
        if opening and event.why:
            del self.kept[event.view]
        elif event.why or (opening and gone(view.until_us, now.mono_us)):
            self._close(event.view)

    def applied(self, group: GroupId, wal_bytes: int) -> None:
        """A data file has changed: let go of what keeps its write-ahead log from being reused."""
        if wal_bytes > self._node.settings.view_wal_bytes:
            for number in [number for number, view in self.kept.items() if view.group == group and view.number >= 0]:
                self._expire(number, LARGE)

    def tick(self, now: Now) -> None:
        """Let go of what is too old, and of what nobody reads."""
        settings, groups = self._node.settings, self._node.groups
        for number, view in list(self.kept.items()):
            if view.group not in groups:
                self._expire(number, DROPPED)
            elif view.opened_us <= now.mono_us - settings.view_us:
                self._expire(number, OLD)
            elif not view.waiting and view.used_us <= now.mono_us - settings.view_idle_us:
                self._expire(number, IDLE)

    def _expire(self, number: int, why: str) -> None:
        self._node.emit(Note("view_expired", {"group": self.kept[number].group, "why": why}))
        self._close(number)

    def _close(self, number: int) -> None:
        view = self.kept.pop(number)
        for asked in view.waiting:
            self._node.reply(asked, EXPIRED)
        self._node.emit(LetViewGo(view.group, number))
