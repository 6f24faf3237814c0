"""Copies of databases that callers fetch: a node keeps one state of a database as a file, and its caller fetches that
in parts.

1. `OpenCopy` is a read at its level: where a linearizable read would run, the node pins what is committed and copies
   it to a file. The answer names the copy. Writes go on, and do not change it.
2. `ReadCopy` fetches a part of it, from this node alone. One at its end says that everything was read.
3. A copy that nobody reads for `copy_idle_us`, or whose caller does not wait for it any more, is let go of; so are all
   when the node stops. Its caller begins anew, here or elsewhere.

A node keeps `copies_max` of them at a time, because each takes as much room on its disk as the database.
"""

from typing import TYPE_CHECKING

import msgspec
from msgspec import Raw, Struct

from quorate.core import routes
from quorate.core.admission import gone, overloaded
from quorate.core.bounds import GroupId
from quorate.core.calls import Reply, Request, Tell
from quorate.core.copy_requests import CopyPart, CopyReport, OpenCopy, ReadCopy
from quorate.core.kernel import CloseSnapshot, Note, Now, OpenSnapshot, ReadSnapshot, SnapshotOpened, SnapshotRead
from quorate.core.read_levels import LINEARIZABLE
from quorate.core.requests import Answer, NotLeader, Refused, ReplyBody, Running

if TYPE_CHECKING:
    from quorate.core.node import Node

NOBODY = 0
RUNNING = Running()
GONE = Refused(
    "Unavailable", "this node does not keep that copy any more: nobody had read it for too long, or the node was "
    "restarted", "export it again", retryable=True
)  # fmt: skip
_encode = msgspec.msgpack.Encoder().encode


class Opening(Struct):
    """A copy that is being made."""

    group: GroupId
    database: str
    until_us: int
    """When its caller ceases to wait; 0: not known."""


class Copy(Struct):
    """A copy that is kept."""

    group: GroupId
    database: str
    size: int
    read_us: int
    """When it was last asked for."""


class Copies:
    """All of one node."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._opening: dict[int, Opening] = {}
        """By the number of the request."""
        self._kept: dict[int, Copy] = {}

    def on_request(self, now: Now, request: Request) -> None:
        number, body = request.id, request.body
        if isinstance(body, ReadCopy):
            self._read(now, request)
            return
        found = routes.find(self._node, body.database)
        if isinstance(found, NotLeader | Refused):
            self._node.reply(number, found)
        elif body.after is not None and (refused := routes.misplaced(self._node, found, body.after)) is not None:
            self._node.reply(number, refused)
        else:
            found.submit_copy(now, number, body)

    def open(self, group: GroupId, database: str, id: int, until_us: int) -> None:
        """A caller's read has its turn: copy what is committed."""
        node = self._node
        most = node.settings.copies_max
        if len(self._opening) + len(self._kept) >= most:
            refused = overloaded(f"this node keeps {most} copies for exports already, the most that it may", 1_000_000)
            node.reply(id, refused)
            return
        self._opening[id] = Opening(group, database, until_us)
        node.emit(Tell(id, RUNNING))  # or the caller would have other nodes make copies as well
        node.emit(OpenSnapshot(group, NOBODY, id))

    def on_opened(self, now: Now, event: SnapshotOpened) -> None:
        opening = self._opening.pop(event.id)
        if event.failed:
            self._reply(event.id, Refused("Unavailable", f"no copy could be made: {event.failed}", retryable=True))
            return
        if gone(opening.until_us, now.mono_us):
            self._node.emit(CloseSnapshot(event.group, event.snapshot))
        else:
            self._kept[event.snapshot] = Copy(event.group, opening.database, event.size, now.mono_us)
            self._node.emit(Note("copy_opened", {"group": event.group, "index": event.position.index}))
        report = Raw(_encode(CopyReport(event.snapshot, event.size)))
        self._node.reply(event.id, Answer(report, event.position.index, event.position.epoch, event.group))

    def _read(self, now: Now, request: Request) -> None:
        """A caller wants a part of a copy, or has read all of it; whoever may have one made may read it."""
        number, body = request.id, request.body
        copy = self._kept.get(body.copy)
        if copy is None:
            self._reply(number, GONE)
        elif refused := self._node.access.refusal(request.login, OpenCopy(copy.database, LINEARIZABLE), now):
            self._reply(number, refused)
        elif body.offset < copy.size:
            copy.read_us = now.mono_us
            size = self._node.settings.copy_part_bytes
            self._node.emit(ReadSnapshot(copy.group, NOBODY, body.copy, body.offset, size, number))
        else:
            self._close(body.copy)
            self._reply(number, CopyPart(b""))

    def on_read(self, event: SnapshotRead) -> None:
        self._reply(event.id, CopyPart(event.data) if event.data else GONE)

    def tick(self, now: Now) -> None:
        """Let go of what nobody reads."""
        if self._kept:
            horizon = now.mono_us - self._node.settings.copy_idle_us
            for number in [number for number, copy in self._kept.items() if copy.read_us <= horizon]:
                self._node.emit(Note("copy_abandoned", {"group": self._kept[number].group}))
                self._close(number)

    def _close(self, number: int) -> None:
        self._node.emit(CloseSnapshot(self._kept.pop(number).group, number))

    def _reply(self, id: int, said: CopyPart | Refused) -> None:
        body: ReplyBody = said if isinstance(said, Refused) else Answer(Raw(_encode(said)))
        self._node.emit(Reply(id, body))
