"""Driver one: performs a core's effects on real time, real disks and real connections.

It has no thread of its own and no event loop: `runtime.loop` gives it one, tests give it a list. What it
promises to the core is written in `core.kernel`; how a turn goes is written at `_turn`.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from quorate.core import kernel
from quorate.core.bounds import NodeId
from quorate.core.calls import EndLogins, Replies, Reply, Request, Requests, Tell
from quorate.core.certificates import Protect
from quorate.core.entries import LogWrite
from quorate.core.kernel import Core, Effect, Event, Now
from quorate.core.limits import REQUEST_BYTES_MAX
from quorate.core.messages import Message
from quorate.core.permits import AskPermit, DropPermit
from quorate.core.querying import BROKE, Query, QueryFailed, answer
from quorate.core.requests import ReplyBody, RequestBody, too_large
from quorate.core.viewing import FetchView, LetViewGo, PinView
from quorate.runtime.aside import CARE, LOG
from quorate.runtime.digests import Digests
from quorate.runtime.notes import log_note
from quorate.runtime.running import RunningWrites
from quorate.runtime.scheduler import Scheduler, Timer
from quorate.runtime.slow_reads import Found, SlowReads
from quorate.runtime.views import Views
from quorate.runtime.writers import Writers
from quorate.storage.interface import Broken, DiskIsFull, Divergent, Lending, OverBudget, query_failed
from quorate.storage.log.long_logs import LongLog
from quorate.storage.long_work import LogTakesLong
from quorate.storage.store import BaseStore
from quorate.transport.interface import Caller, NoPermits, Permits, Transport

log = logging.getLogger("quorate.runtime")

QUERY_BUDGET_US = 1000
"""How long a read may hold up the loop before it is run again beside it."""
DISK_RETRY_S = 0.5
STALL_US = 250_000
"""A loop that had no turn for so long was kept from it: heartbeats alone see to more of them."""
REQUESTS_A_TURN = 512
"""Requests of clients that are begun in one turn of the loop: heartbeats and votes wait behind no more."""


class Clock(Protocol):
    def __call__(self) -> Now: ...


def monotonic_us() -> int:
    return time.monotonic_ns() // 1000


def real_clock() -> Now:
    return Now(time.monotonic_ns() // 1000, time.time_ns() // 1000)


class Driver:
    """Feeds one core and performs what it asks for. Keeps `transport.interface.Handler`."""

    def __init__(self, core: Core, store: Lending, scheduler: Scheduler, failed: Callable[[str], None]) -> None:
        self.core = core
        self.store = store
        self.transport: Transport
        """Set once, before `start`; a transport needs its handler first."""
        self.permits: Permits = NoPermits(self.feed)
        """Set before `start` on a node that has an etcd."""
        self.clock: Clock = real_clock
        self.slow_reads = SlowReads(store, scheduler, self._queried_aside, lambda: self.clock().mono_us)
        self.views = Views(store, scheduler, lambda: self.clock().mono_us, self._viewed, self._fail)
        self.drained: Callable[[], None] = lambda: None
        """Called when the core answers `Drain`."""
        self._scheduler = scheduler
        self._failed = failed
        self._events: deque[Event] = deque()
        self._stepping = self._stopped = False
        self._now: Now | None = None
        """The time of what is fed in this turn of the loop; None: to be looked at."""
        self._callers: dict[int, tuple[Caller, int, RequestBody, int, int]] = {}
        """Request id -> what `asked` was told."""
        self._next_request = 1
        self._turned_us = 1 << 62
        """When the last turn ended."""
        self._came: list[tuple[Caller, int, RequestBody, int, int]] = []
        """What was asked in this turn of the loop."""
        self._came_us = 0
        """When the first of it was read."""
        self._behind: list[Request] = []
        """Those that have come. They are handed over together, some in each turn: what peers say comes first."""
        self._writes: list[LogWrite] = []
        self._sequence = 0
        """The last `Persist` whose writes are in `_writes`."""
        self._disk_full = self._turn_due = self._persist_due = False
        self._timer: Timer | None = None
        self._timer_us: int | None = None
        self._perform: dict[type, Callable[[Any], None]] = {
            kernel.Send: self._on_send,
            kernel.Persist: self._on_persist,
            Reply: self._on_reply,
            Replies: self._on_replies,
            Tell: self._on_tell,
            Query: self._on_query,
            kernel.Connect: self._on_connect,
            kernel.Disconnect: self._on_disconnect,
            EndLogins: self._on_end_logins,
            Protect: self._on_protect,
            kernel.Note: log_note,
            AskPermit: self._on_ask_permit,
            DropPermit: self._on_drop_permit,
            kernel.Drained: self._on_drained,
            kernel.Halt: self._on_halt,
        }
        for stored in BaseStore.PERFORM:
            self._perform[stored] = self._on_stored
        self._perform |= {kernel.Checkpoint: self._on_checkpoint, kernel.Digest: self._on_digest}
        self._perform |= {PinView: self._on_pin_view, FetchView: self.views.fetch, LetViewGo: self.views.let_go}
        self._writers = Writers(store, scheduler, self._done_aside)
        self._long_writes = RunningWrites(self.feed)
        self._log = LongLog(lambda work, done: scheduler.run_aside(work, done, LOG))
        self._digests = Digests(store, scheduler, self._done_aside)

    def start(self) -> None:
        """Wake the core for the first time, as soon as the loop runs."""
        self._want_turn()

    def stop(self) -> None:
        """Feed and perform nothing more."""
        self._stopped = True
        self.slow_reads.stop()
        self.views.stop()
        self._writers.stop()
        self._digests.stopped = True
        if self._timer is not None:
            self._timer.cancel()

    # What happens outside, told by the transport -------------------------------------------------------

    def delivered(self, sender: NodeId, message: Message) -> None:
        self.feed(kernel.Deliver(sender, message))

    def asked(self, caller: Caller, ask: int, body: RequestBody, size: int, waits_us: int = 0) -> None:
        came = self._came
        if not came:
            self._came_us = self._read_at((self._now or self._look()).mono_us)
        came.append((caller, ask, body, size, waits_us))
        if not self._turn_due:
            self._want_turn()

    def _take(self) -> None:
        """Number what was asked in this turn."""
        came, self._came, since_us = self._came, [], self._came_us
        number, callers, request, behind = self._next_request, self._callers, Request, self._behind
        for each in came:
            callers[number] = each
            caller, _, body, size, waits_us = each
            if size > REQUEST_BYTES_MAX and (refused := too_large(body, size)):
                self._answer(number, refused)
            else:
                until_us = since_us + waits_us if waits_us else 0
                behind.append(request(number, body, since_us, until_us, size, False, caller.login))  # noqa: FBT003
            number += 1
        self._next_request = number

    def left(self, caller: Caller, ask: int | None = None) -> None:
        self.slow_reads.left(caller, ask)
        self._long_writes.left(caller, ask)

    def _read_at(self, now_us: int) -> int:
        """When what is read now arrived: after a stall it may have lain in its socket since the turn before."""
        return now_us if now_us - self._turned_us < STALL_US else self._turned_us

    def reachable(self, peer: NodeId) -> None:
        self.feed(kernel.Reachable(peer))

    def unreachable(self, peer: NodeId) -> None:
        self.feed(kernel.Unreachable(peer))

    def located(self, peer: NodeId, address: str, *, certified: bool = False) -> None:
        self.feed(kernel.Located(peer, address, certified))

    def drain(self) -> None:
        self.feed(kernel.Drain())

    # The core ------------------------------------------------------------------------------------------

    def feed(self, event: Event) -> None:
        """Step the core with an event and with every event that performing its effects produces.

        Called from inside a step (an effect was performed at once), it only queues: `step` is never
        re-entered, and effects are performed in the order in which they were asked for.
        """
        events = self._events
        if self._stepping or self._stopped:
            events.append(event)
            return
        self._stepping = True
        step, perform = self.core.step, self._perform
        try:
            while True:
                for effect in step(self._now or self._look(), event):
                    perform[type(effect)](effect)
                if not events or self._stopped:
                    break
                event = events.popleft()
        except Broken as error:
            self._fail(f"the disk failed: {error}")
        except Exception:  # a core that raised is not to be trusted, nor is a driver that missed an effect
            log.critical("the node's core or driver failed", exc_info=True)
            self._fail("an invariant does not hold; the log above says which")
        finally:
            self._stepping = False
        if not self._turn_due:
            self._want_turn()

    def _look(self) -> Now:
        """Look at the clock. What is fed one after the other in a turn of the loop happens at one time; whatever
        takes long (storage, the disk) forgets it."""
        self._now = now = self.clock()
        return now

    def _want_turn(self) -> None:
        if not self._turn_due and not self._stopped:
            self._turn_due = True
            self._scheduler.call_soon(self._turn)

    def _turn(self) -> None:
        """The end of a turn of the loop: everything that was ready has been fed.

        First the core's deadline, so that it can start a batch of all that came; then what it sends goes
        out; then, in a callback of its own, its writes go to disk. Between the two the loop gives the bytes
        to the operating system, so that followers work while this disk does.
        """
        self._turn_due = False
        if self._stopped:
            return
        if self._came:
            self._take()
        behind = self._behind
        if behind:
            arrived = tuple(behind[:REQUESTS_A_TURN])
            del behind[:REQUESTS_A_TURN]
            self.feed(Requests(arrived))
            if self._stopped:
                return
        deadline = self.core.deadline_us
        if deadline is not None and deadline <= (self._now or self._look()).mono_us:
            self.feed(kernel.Wake())
            if self._stopped:
                return
        self.transport.flush()
        if self._writes and not self._persist_due and not self._disk_full:
            self._persist_due = True
            self._scheduler.call_soon(self._write_log)
        if behind:
            self._want_turn()
        self._arm()
        self._turned_us = (self._now or self._look()).mono_us
        self._now = None

    def _arm(self) -> None:
        """See to it that a turn comes at the core's deadline."""
        deadline = self.core.deadline_us
        if deadline == self._timer_us or self._stopped or self._turn_due:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_us = deadline
        if deadline is not None:
            self._timer = self._scheduler.call_later(max(0, deadline - self.clock().mono_us) / 1e6, self._timer_fired)

    def _timer_fired(self) -> None:
        """Timers may be early by their resolution: `_turn` looks at the clock and arms again."""
        self._timer = None
        self._timer_us = None
        self._want_turn()

    # The log -------------------------------------------------------------------------------------------

    def _on_persist(self, effect: kernel.Persist) -> None:
        self._writes.extend(effect.writes)
        self._sequence = effect.sequence

    def _write_log(self) -> None:
        """Write all that has gathered with one fsync, and say so."""
        self._persist_due = False
        if self._stopped:
            return
        writes, self._writes = self._writes, []
        self._keep(partial(self.store.persist, writes), writes, self._sequence)

    def _keep(self, persist: Callable[[], None], writes: list[LogWrite], sequence: int) -> None:
        """`persist` these, and tell the core; what takes long, beside the loop."""
        self._persist_due = False
        if self._stopped:
            return
        try:
            persist()
        except LogTakesLong as long:
            then, self._persist_due = long.then, True
            self._log.lend(long.run, lambda found: self._keep(partial(then, found), writes, sequence))
            return
        except DiskIsFull:
            self._writes[:0] = writes
            self._scheduler.call_later(DISK_RETRY_S, self._write_log)
            if not self._disk_full:
                self._disk_full = True
                log.error("the disk is full: no writes are acknowledged until there is room")
                self.feed(kernel.DiskFull())
            return
        except Exception as error:  # whatever it is, nobody knows what is on disk now
            log.critical("the log cannot be written", exc_info=True)
            self._fail(f"the log cannot be written: {error}")
            return
        self._now = None
        due, self._turn_due = self._turn_due, True
        self.feed(kernel.Persisted(sequence))
        if self._disk_full:
            self._disk_full = False
            log.info("the disk has room again")
            self.feed(kernel.DiskRoom())
        self._turn_due = due
        self._end_writing()

    def _end_writing(self) -> None:
        """What waited for the disk goes out at once. A turn follows only if there is something to do in it, and after
        what has arrived meanwhile."""
        if self._stopped:
            return
        self.transport.flush()
        deadline = self.core.deadline_us
        if self._writes or (deadline is not None and deadline <= (self._now or self._look()).mono_us):
            self._want_turn()
        else:
            self._arm()
            self._now = None

    # Effects -------------------------------------------------------------------------------------------

    def _on_stored(self, effect: Effect) -> None:
        if self._log.away:
            self._log.later(partial(self._go_on, partial(self._writers.perform, effect)))
            return
        self._events.extend(self._writers.perform(effect))
        self._now = None

    def _done_aside(self, go_on: Callable[[], list[kernel.Event]]) -> None:
        """A writer that was away is back."""
        if self._log.away:
            self._log.later(partial(self._go_on, go_on))
        else:
            self._go_on(go_on)

    def _go_on(self, go_on: Callable[[], list[kernel.Event]]) -> None:
        if self._stopped:
            return
        try:
            for event in go_on():
                self.feed(event)
        except Broken as error:
            self._fail(f"the disk failed: {error}")
        except Exception:
            log.critical("the store failed", exc_info=True)
            self._fail("what was done beside the loop failed; the log above says how")

    def _on_ask_permit(self, effect: AskPermit) -> None:
        self.permits.ask(effect)

    def _on_drop_permit(self, effect: DropPermit) -> None:
        self.permits.drop(effect)

    def _on_checkpoint(self, effect: kernel.Checkpoint) -> None:
        """Most of it aside, where it holds up nobody; the loop then does what came in meanwhile."""

        def finish(_found: BaseException | None) -> None:
            self._done_aside(lambda: self._writers.perform(effect))

        self._scheduler.run_aside(lambda: self.store.checkpoint_aside(effect.group), finish, CARE, effect.group)

    def _on_digest(self, effect: kernel.Digest) -> None:
        self._done_aside(lambda: self._digests.begin(effect))

    def _on_send(self, effect: kernel.Send) -> None:
        self.transport.send(effect.to, effect.message)

    def _on_connect(self, effect: kernel.Connect) -> None:
        self.transport.connect(effect.peer, effect.address)

    def _on_disconnect(self, effect: kernel.Disconnect) -> None:
        self.transport.disconnect(effect.peer)

    def _on_end_logins(self, effect: EndLogins) -> None:
        self.transport.end_logins(effect.names, nameless=effect.nameless)

    def _on_protect(self, effect: Protect) -> None:
        self.transport.protect(effect)

    def _on_reply(self, effect: Reply) -> None:
        self._answer(effect.id, effect.body)

    def _on_replies(self, effect: Replies) -> None:
        callers, long_writes = self._callers, self._long_writes
        some_run = bool(long_writes)
        for request, body in effect.answers:
            caller, ask, _, size, _ = callers.pop(request)
            if some_run:
                long_writes.answered(request)
            caller.tell(ask, body, size)

    def _on_tell(self, effect: Tell) -> None:
        caller, ask, *_ = self._callers[effect.id]
        caller.mention(ask, effect.body)
        self._long_writes.begun(effect.id, effect.group, caller, ask)

    def _answer(self, request: int, body: ReplyBody) -> None:
        caller, ask, _, size, _ = self._callers.pop(request)
        self._long_writes.answered(request)
        caller.tell(ask, body, size)

    def _on_query(self, effect: Query) -> None:
        """A read that is slow is run again where it holds up nobody."""
        if self._log.away and not self.store.is_open(effect.group):
            self._log.later(partial(self._query, effect))
        else:
            self._query(effect)

    def _query(self, effect: Query) -> None:
        store, group, statements = self.store, effect.group, effect.statements
        try:
            outcome, position = store.query(group, statements, QUERY_BUDGET_US)
        except OverBudget:
            self._now = None
            caller, ask, *_ = self._callers[effect.id]
            self.slow_reads.begin(effect, caller, ask, self.clock().mono_us)
        except (Divergent, DiskIsFull) as error:
            self.feed(query_failed(effect, error))
        else:
            self._answer(effect.id, answer(effect, outcome, position))

    def _queried_aside(self, effect: Query, found: Found) -> None:
        if self._stopped:
            return
        if isinstance(found, Broken):
            self._fail(f"the disk failed: {found}")
            return
        if isinstance(found, tuple):
            self._answer(effect.id, answer(effect, *found))
        elif isinstance(found, QueryFailed):
            self.feed(found)
        else:
            failed = query_failed(effect, found)
            if failed.why == BROKE:
                log.error("a read failed beside the loop", exc_info=found)
            self.feed(failed)
        self._want_turn()

    def _on_pin_view(self, effect: PinView) -> None:
        if self._log.away and not self.store.is_open(effect.group):
            self._log.later(partial(self.views.pin, effect))
        else:
            self.views.pin(effect)
        self._now = None

    def _viewed(self, event: Event) -> None:
        self.feed(event)
        self._want_turn()

    def _on_drained(self, _effect: kernel.Drained) -> None:
        self.drained()

    def _on_halt(self, effect: kernel.Halt) -> None:
        self._fail(effect.reason)

    def _fail(self, reason: str) -> None:
        """Fail-stop: from here on nothing is sent, written or answered."""
        if not self._stopped:
            self.stop()
            log.critical("the node stops: %s", reason)
            self._failed(reason)
