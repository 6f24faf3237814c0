"""Driver one without a loop: the caller's thread steps an embedded node's core. No thread of its own, no socket.

Everything a core asks for is done at once, in order; what it persists in one turn goes to disk with one fsync.
A node that is alone never waits for anybody, so when nothing is left to do and the answer is not there, time
itself is what it waits for: its clock is put forward to its next deadline. An election with oneself takes no time.

When the disk is full, the core is thrown away and made anew from what is on disk, as after a crash: a write whose
entry was not written did not happen, and its caller is told exactly that.
"""

import logging
import os
import random
import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from quorate import errors
from quorate.core import kernel
from quorate.core.bounds import GroupId
from quorate.core.calls import EndLogins, Replies, Reply, Request
from quorate.core.certificates import Protect
from quorate.core.entries import LogWrite
from quorate.core.executing import Execute
from quorate.core.kernel import CATALOG_DATABASE, CATALOG_GROUP, Effect, Event, Now
from quorate.core.node import Node
from quorate.core.querying import Query, answer
from quorate.core.recovered import Recovered
from quorate.core.requests import Answer, CommitHeld, NotLeader, Refused, ReplyBody, RequestBody, Run, Unsure
from quorate.core.settings import Settings
from quorate.core.statements import Result, Statement
from quorate.runtime.embedded.interrupting import Interrupts
from quorate.runtime.notes import log_note
from quorate.storage.execution.callbacks import Callbacks
from quorate.storage.interface import Broken, DiskIsFull, Divergent, NoCopy, StatementFailed, query_failed
from quorate.storage.store import BaseStore
from quorate.wire.answers import failure, refusal

log = logging.getLogger("quorate.runtime")

_WAKES_MAX = 10_000
"""Deadlines that one request may need; a core that needs more is going round in circles."""
_TRIES_MAX = 100
_WAKE = kernel.Wake()

ALONE = Settings(long_us=0, at_once=True, trusted=True)
"""Nobody else waits for this node: a statement may take as long as its caller lets it. Who has the folder has all."""

DAMAGED = "connect again: what the log can bring back comes back, and what it cannot is said"
DISK_IS_FULL = "the disk has no room; nothing was written"


def monotonic_us() -> int:
    """The clock by which statements end."""
    return time.monotonic_ns() // 1000


class InlineNode:
    """A node inside the caller's process. Threads share it: `writing` admits one at a time."""

    def __init__(self, store: BaseStore, recover: Callable[[], Recovered] | None = None) -> None:
        self.store = store
        self.writing = threading.Lock()
        """Held by the thread that steps the core or has a transaction open."""
        self.owner = 0
        """The thread that has a transaction open; 0: none."""
        self.interrupts = Interrupts(store)
        self.forked = False
        """This is a copy in a forked child."""
        self.unsettled: set[GroupId] = set()
        """Groups whose data file is behind what was answered: `settle` before it is read."""
        self.state = 0
        """Numbers the states of the data files: it moves after any of them has, and before a reader may do without
        `settle`."""
        self._groups: dict[str, GroupId] = {}
        """Of databases that it has led."""
        self.users = 1
        """Connections that share it."""
        self.forgetting: list[Callable[[], None]] = []
        """Called when the schema may have changed: what is known of statements holds no more."""
        self.readers: list[Callable[[], None]] = []
        """Called before a checkpoint, which has to wait for nobody who reads."""
        self.cluster = ""
        """The id of its cluster of one node."""
        self._recover = recover or store.recover
        self._core: Node | None = None
        """None: to be made anew from what is on disk."""
        self._broken = ""
        self._closed = False
        self._events: deque[Event] = deque()
        self._writes: list[LogWrite] = []
        self._sequence = 0
        self._clock_us = 0
        """The clock never goes back behind this; it was put forward to here."""
        self._shown = Now(0, 0)
        """What it showed when it was looked at last."""
        self._requests = 0
        self._replies: dict[int, ReplyBody] = {}
        self._apply_full = False
        self._perform: dict[type, Callable[[Any], None]] = {
            kernel.Persist: self._on_persist,
            Reply: self._on_reply,
            Replies: self._on_replies,
            Query: self._on_query,
            Execute: self._on_execute,
            kernel.Commit: self._on_commit,
            kernel.Checkpoint: self._on_checkpoint,
            kernel.Note: log_note,
            kernel.Halt: self._on_halt,
            kernel.Send: self._ignore,
            kernel.Connect: self._ignore,
            kernel.Disconnect: self._ignore,
            EndLogins: self._ignore,
            Protect: self._ignore,
        }
        self._stored = store.perform
        _nodes.add(self)

    # What a program asks for; the caller holds `writing` ---------------------------------------------

    def start(self, database: str) -> tuple[GroupId, int]:
        """Bring the node up until it leads this database; its group, and where its log stands. Once it is up, nothing
        is stepped, so that nobody is waited for. Raises client errors."""
        known = self._groups.get(database)
        if known is not None:
            self.usable()
            return known, self.store.log.groups[known].last.index
        group, index = self._start(database)
        self._groups[database] = group
        return group, index

    def _start(self, database: str) -> tuple[GroupId, int]:
        answer = self.request(Run(database, (Statement("SELECT 1"),)))
        assert self._core is not None, "a node that answers has a core"
        if database == CATALOG_DATABASE:
            return CATALOG_GROUP, answer.index
        here = [row.group for row in self._core.directory.groups_for(database) if row.group in self._core.groups]
        assert here, "a database that answers has a group"
        return here[0], answer.index

    def request(self, body: RequestBody | CommitHeld, seconds: float = 0.0) -> Answer:
        """Carry a request through; a statement that runs for longer than so many seconds (0: no matter how long) is
        ended. Raises StatementTimeout, DiskFull or Unavailable (not done), MaybeDone, or OperationalError when the node
        has broken down; whatever the core refuses is raised as the error that it names."""
        if self.forked or self._closed or self._broken:
            self.usable()
        self.interrupts.begins()
        try:
            reply = self._carry(body, int(seconds * 1e6) if seconds else 0)
        except DiskIsFull as error:
            self._forget()
            raise errors.DiskFull(DISK_IS_FULL, hint="make room on the disk") from error
        except KeyboardInterrupt:
            self._forget()  # in the middle of something: what is on disk decides
            raise
        except Exception as error:
            raise self.fail(error) from error
        if type(reply) is Answer:
            return reply
        raise self.interrupts.explain(self._refusal(body, reply))

    def usable(self) -> None:
        """Raises InterfaceError when the node is closed or forked, OperationalError when it has broken down."""
        if self.forked:
            raise errors.InterfaceError(
                "this connection was opened before a fork and belongs to the parent process",
                hint="connect in the child, after the fork; a folder has one process",
            )
        if self._closed:
            raise errors.InterfaceError("this connection is closed")
        if self._broken:
            raise errors.OperationalError(
                f"the embedded node has stopped: {self._broken}", hint="close this connection and connect again"
            )

    @property
    def broken(self) -> bool:
        """It has broken down, and is not closed."""
        return bool(self._broken) and not self._closed

    @property
    def closed(self) -> bool:
        """Nothing more is done here."""
        return self._closed

    def settle(self, database: str) -> None:
        """Bring the data files forward to what was answered. Raises what `request` raises."""
        if self.owner != threading.get_ident():
            with self.writing:
                self._settle(database)

    def _settle(self, database: str) -> None:
        if self.unsettled and self._core is not None:
            self.request(Run(database, (Statement("SELECT 1"),)))
            self.unsettled.clear()
        elif self.unsettled:
            self.usable()
            with self._storage():
                self._settle_from_log()

    def read_ahead(self, group: GroupId, statements: Sequence[Statement]) -> bytes:
        """Reads of what was answered, while there is no room to bring the data file there."""
        with self.writing, self._storage():
            self._forget()
            return self.store.query_ahead(group, statements)

    def _settle_from_log(self) -> None:
        """Without a core, which may not find the room it needs: what a node that is alone has logged is committed."""
        for group in tuple(self.unsettled):
            for event in self._stored(kernel.Apply(group, self.store.log.groups[group].last, ())):
                if type(event) is kernel.ApplyFailed:
                    raise DiskIsFull(event.reason) if event.full else Divergent(event.reason)
            self.state += 1
            self.unsettled.discard(group)

    # A transaction in the caller's thread, on the replica's writer; the caller holds `writing` -------

    def hold(self, database: str, group: GroupId) -> None:
        """Begin. Raises DiskFull or OperationalError."""
        self.usable()
        if self._core is None:
            self._start(database)
        self._settle(database)
        with self._storage():
            self.store.hold(group)

    def run_held(self, group: GroupId, statement: Statement, seconds: float = 0.0) -> Result:
        """Run one statement, which may take so many seconds (0: no matter how many). Raises what it failed with."""
        self.usable()
        self.interrupts.begins()
        with self._storage():
            return self.store.run_held(group, statement, monotonic_us() + int(seconds * 1e6) if seconds else 0)

    def define(self, change: Callable[[Callbacks], None]) -> None:
        """Change what the program has defined for its statements: every reader looks again."""
        with self._storage():
            self.store.define(change)
        self.state += 1

    def holds(self, group: GroupId) -> bool:
        """Whether it is still open: a statement may have ended it."""
        return not self._broken and not self._closed and self.store.holds(group)

    def release(self, group: GroupId) -> None:
        """Undo it."""
        if not self._broken and not self._closed:
            with self._storage():
                self.store.release(group)

    def copy_to(self, database: str, group: GroupId, file: str | os.PathLike[str]) -> None:
        """Write a consistent copy of a data file to a new file. The caller holds `writing`.
        Raises OperationalError where none can be made."""
        self.usable()
        self._settle(database)
        with self._storage():
            self.store.copy_to(group, os.fspath(file))

    @contextmanager
    def _storage(self) -> Iterator[None]:
        """Raise what storage raises as client errors."""
        try:
            yield
        except StatementFailed as error:
            raise self.interrupts.explain(failure(error.failed)) from None
        except DiskIsFull as error:
            self._forget()
            raise errors.DiskFull(DISK_IS_FULL, hint="make room on the disk") from error
        except NoCopy as error:
            raise errors.OperationalError(f"not done: {error}") from error
        except (Broken, Divergent) as error:
            raise self.fail(error) from error

    def close(self) -> None:
        """Close the files. Doing so again does nothing."""
        if not self._closed:
            try:
                for _ in range(_TRIES_MAX):
                    if self._core is None or not self.unsettled or self.forked:
                        break
                    self._put_forward()
            except Exception:  # the log has it all: the next start brings the data file forward
                log.warning("the data files are left behind their log", exc_info=True)
            self._closed = True
            self._core = None
            self.store.close()

    def fail(self, error: BaseException) -> errors.Error:
        """The node has broken down: nothing more is done here. Returns what to raise."""
        self._broken = str(error) or type(error).__name__
        self._core = None
        self._events.clear()
        text = f"the embedded node has stopped: {self._broken}"
        if isinstance(error, Divergent):
            return errors.DataDamaged(text, hint=DAMAGED)
        kind = errors.OperationalError if isinstance(error, Broken) else errors.InternalError
        return kind(text, hint="close this connection and connect again")

    # The core ------------------------------------------------------------------------------------------

    def _carry(self, body: RequestBody | CommitHeld, limit_us: int) -> ReplyBody:
        """Feed a request until the node leads its database and so can answer it. Raises DiskIsFull or Broken."""
        for _ in range(_TRIES_MAX):
            reply = self._answer(body, limit_us)
            if type(reply) is Answer:
                return reply
            elsewhere = isinstance(reply, NotLeader) or (isinstance(reply, Refused) and reply.error == "Unavailable")
            if not elsewhere:
                return reply
            if self._apply_full:
                raise DiskIsFull("the data file cannot be brought forward")
            self._put_forward()
        raise AssertionError("a node that is alone does not come to lead its database")

    def _answer(self, body: RequestBody | CommitHeld, limit_us: int) -> ReplyBody:
        """Feed a request and do all that it takes to answer it. Raises DiskIsFull or Broken."""
        core = self._core or self._revive()
        self._requests += 1
        number = self._requests
        now = self._now()
        until_us = now.mono_us + limit_us if limit_us else 0
        self._events.append(Request(number, body, until_us=until_us))
        self._turn(core, now)
        replies = self._replies
        for _ in range(_WAKES_MAX):
            if number in replies:
                return replies.pop(number)
            self._put_forward()
        raise AssertionError(f"no answer to {type(body).__name__} after {_WAKES_MAX} deadlines")

    def _revive(self) -> Node:
        """A new core from what is on disk."""
        core = Node(self._recover(), random.Random(secrets.randbits(64)), ALONE)
        self._apply_full = False
        self._core = core
        self.cluster = core.identity.cluster
        self._events.append(_WAKE)
        return core

    def _forget(self) -> None:
        """Drop the core and whatever was not written; the next request makes a new one."""
        core, self._core = self._core, None
        self._events.clear()
        self._writes.clear()
        self._replies.clear()
        for group in core.groups if core is not None else ():
            self.store.perform(kernel.Rollback(group))

    def _put_forward(self) -> None:
        """Nothing is left to do before the next deadline: make it now."""
        core = self._core
        assert core is not None
        deadline = core.deadline_us
        assert deadline is not None, "the core waits for nothing, and has not answered"
        self._events.append(_WAKE)
        now = self._shown
        if deadline > now.mono_us:
            self._clock_us = max(self._clock_us, deadline)
            now = self._now()
        self._turn(core, now)

    def _turn(self, core: Node, now: Now) -> None:
        """Step until nothing is left: events first, then what they wrote, with one fsync. Between two fsyncs time
        stands still."""
        events, perform = self._events, self._perform
        step = core.step
        while True:
            while events:
                for effect in step(now, events.popleft()):
                    kind = type(effect)
                    if kind in perform:
                        perform[kind](effect)
                    else:
                        self._keep(self._stored(effect))
            if not self._writes:
                return
            self.store.persist(self._writes)
            self._writes = []
            events.append(kernel.Persisted(self._sequence))
            now = self._now()

    def _keep(self, events: list[Event]) -> None:
        for event in events:
            if type(event) is kernel.Applied:
                self.state += 1
            elif type(event) is kernel.ApplyFailed:
                if not event.full:
                    raise Divergent(event.reason)
                self._apply_full = True
            self._events.append(event)

    def _now(self) -> Now:
        """Look at the clock."""
        self._shown = now = Now(max(self._clock_us, monotonic_us()), time.time_ns() // 1000)
        return now

    # Effects -------------------------------------------------------------------------------------------

    def _on_persist(self, effect: kernel.Persist) -> None:
        self._writes.extend(effect.writes)
        self._sequence = effect.sequence

    def _on_reply(self, effect: Reply) -> None:
        self._replies[effect.id] = effect.body

    def _on_replies(self, effect: Replies) -> None:
        self._replies.update(effect.answers)

    def _on_execute(self, effect: Execute) -> None:
        self.unsettled.add(effect.group)
        if effect.ends_us and self._shown.mono_us <= self._clock_us:  # storage's clock was not put forward
            ahead_us = max(0, self._clock_us - monotonic_us())
            effect = msgspec.structs.replace(effect, ends_us=effect.ends_us - ahead_us)
        self._keep(self._stored(effect))

    def _on_commit(self, effect: kernel.Commit) -> None:
        self._keep(self._stored(effect))
        if not self._apply_full:
            self.unsettled.discard(effect.group)

    def _on_checkpoint(self, effect: kernel.Checkpoint) -> None:
        for let_go in self.readers:
            let_go()
        self._keep(self._stored(effect))

    def _on_query(self, effect: Query) -> None:
        try:
            found = self.store.query(effect.group, effect.statements)
        except Divergent as error:
            self._events.append(query_failed(effect, error))
        else:
            self._replies[effect.id] = answer(effect, *found)

    def _on_halt(self, effect: kernel.Halt) -> None:
        raise Broken(effect.reason)

    def _ignore(self, effect: Effect) -> None:
        """There is nobody to talk to."""

    def _refusal(self, body: RequestBody | CommitHeld, reply: ReplyBody) -> errors.Error:
        """What to raise for an answer that is none."""
        if isinstance(reply, Unsure):
            self._forget()
            token = getattr(body, "token", None)
            return errors.MaybeDone(
                "the disk filled up after the write was logged; it takes effect when there is room",
                token=token.name if token is not None else "",
                seen=token.seen if token is not None else 0,
                hint="connection.outcome(error.token) settles it",
            )
        if isinstance(reply, Refused):
            return refusal(reply)
        return errors.InternalError(f"the node answered with {type(reply).__name__}")


class ClosedNode(InlineNode):
    """What a connection that is closed has in place of its node, which others may still use."""

    def __init__(self) -> None:
        self.writing = threading.Lock()
        self.owner = self.state = self.users = 0
        self.forked = False
        self.unsettled = set()
        self._closed = True
        self._broken = ""

    def close(self) -> None:
        """It is."""


_nodes: "weakref.WeakSet[InlineNode]" = weakref.WeakSet()


def _in_child() -> None:
    for node in list(_nodes):
        node.forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
