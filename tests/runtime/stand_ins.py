"""A core, a store, a transport and a loop that do what a test tells them to."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from quorate.core.auth.users import Login
from quorate.core.bounds import GroupId, NodeId
from quorate.core.calls import Replies, Reply, Requests
from quorate.core.entries import LogWrite, Position, WriteHardState
from quorate.core.kernel import Effect, Event, Now
from quorate.core.querying import QueryFailed, refusal
from quorate.core.recovered import Identity, Member, Recovered
from quorate.core.requests import Answer, Done
from quorate.core.statements import Statement
from quorate.runtime.aside import READS
from quorate.storage.execution.ending import Ending
from quorate.storage.interface import OverBudget

ANSWER = msgspec.Raw(msgspec.msgpack.encode(Done(())))
IDENTITY = Identity("c1", 1, "n1", 1, (Member(1, "n1", "127.0.0.1:0"),))
WRITE = WriteHardState(1, 2, 0)


class ScriptedCore:
    """Answers each event with what `script` returns for it; remembers what it was told."""

    def __init__(self, script: Callable[[Event], list[Effect]] = lambda _event: []) -> None:
        self.script = script
        self.deadline_us: int | None = None
        self.seen: list[Event] = []
        self.depth = 0

    def step(self, now: Now, event: Event) -> list[Effect]:
        assert self.depth == 0, "step was re-entered"
        self.depth += 1
        try:
            self.seen.append(event)
            effects = self.script(event)
            if isinstance(event, QueryFailed) and not effects:
                return [Reply(event.id, refusal(event))]
            return effects
        finally:
            self.depth -= 1

    def assert_invariants(self) -> None:
        return None


class EchoCore(ScriptedCore):
    """Answers every request at once."""

    def __init__(self) -> None:
        super().__init__(self._echo)
        self.answer = Answer(ANSWER, 7)

    def _echo(self, event: Event) -> list[Effect]:
        if isinstance(event, Requests):
            return [Replies([(request.id, self.answer) for request in event.requests])]
        return []


class FakeStore:
    """Keeps `storage.interface.Store` as far as the driver uses it."""

    def __init__(self) -> None:
        self.identity = IDENTITY
        self.persisted: list[tuple[LogWrite, ...]] = []
        self.troubles: deque[BaseException] = deque()
        """Raised, one by one, by the next calls of `persist`."""
        self.events: dict[type, list[Event]] = {}
        self.performed: list[Effect] = []
        self.performed_aside: list[GroupId] = []
        self.slow = False
        self.long_us = 0
        self.endings: list[Ending | None] = []
        self.left: list[GroupId] = []
        self.outcome: Any = bytes(ANSWER)
        self.closed = False

    def recover(self) -> Recovered:
        return Recovered(self.identity, ())

    def persist(self, writes: Sequence[LogWrite]) -> None:
        if self.troubles:
            raise self.troubles.popleft()
        self.persisted.append(tuple(writes))

    def perform(self, effect: Effect) -> list[Event]:
        self.performed.append(effect)
        return self.events.get(type(effect), [])

    def resume(self, work: Any, found: Any) -> list[Event]:
        raise AssertionError(f"nothing was handed back: {work}, {found}")

    def is_open(self, group: GroupId) -> bool:
        raise AssertionError(f"no log is away, and nobody asks for group {group}")

    def interrupt(self, group: GroupId) -> None:
        raise AssertionError(f"nothing runs aside for group {group}")

    def query(self, group: GroupId, statements: Sequence[Statement], budget_us: int = 0) -> tuple[bytes, Position]:
        if self.slow and budget_us:
            raise OverBudget("slow")
        return self.query_aside(group, statements)

    def query_aside(
        self, group: GroupId, statements: Sequence[Statement], ending: Ending | None = None
    ) -> tuple[bytes, Position]:
        self.endings.append(ending)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome, Position(1, 9)

    def leave(self, group: GroupId) -> None:
        self.left.append(group)

    def view(self, group: GroupId) -> Any:
        raise AssertionError(f"nobody keeps a state of group {group}")

    def examine(self, group: GroupId) -> Any:
        raise AssertionError(f"nobody asked for a digest of group {group}")

    def checkpoint_aside(self, group: GroupId) -> None:
        self.performed_aside.append(group)

    def close(self) -> None:
        self.closed = True


class FakeTimer:
    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at = at
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakePiece:
    """Work that waits for a thread."""

    def __init__(
        self, loop: "FakeLoop", work: Callable[[], Any], done: Callable[[Any], None], lane: str, key: int
    ) -> None:
        self.work, self.done, self.lane, self.key = work, done, lane, key
        self._loop = loop

    def drop(self) -> bool:
        if self not in self._loop.aside:
            return False
        self._loop.aside.remove(self)
        return True


class FakeLoop:
    """Keeps `scheduler.Scheduler` on a clock that only a test moves."""

    def __init__(self) -> None:
        self.now_us = 1_000_000
        self.soon: deque[Callable[[], None]] = deque()
        self.timers: list[FakeTimer] = []
        self.aside: list[FakePiece] = []

    def clock(self) -> Now:
        return Now(self.now_us, self.now_us)

    def call_soon(self, callback: Callable[[], None]) -> object:
        self.soon.append(callback)
        return None

    def call_later(self, delay: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self.now_us + delay * 1e6, callback)
        self.timers.append(timer)
        return timer

    def run_aside(
        self, work: Callable[[], Any], done: Callable[[Any], None], lane: str = READS, key: int = 0
    ) -> FakePiece:
        self.aside.append(FakePiece(self, work, done, lane, key))
        return self.aside[-1]

    def turn(self) -> None:
        """What was scheduled before this call, once."""
        for _ in range(len(self.soon)):
            self.soon.popleft()()

    def settle(self) -> None:
        """Turn until nothing is scheduled."""
        for _ in range(100):
            if not self.soon:
                return
            self.turn()
        raise AssertionError("the driver never comes to rest")

    def advance(self, microseconds: int) -> None:
        """Move the clock, firing what becomes due."""
        self.now_us += microseconds
        due = [timer for timer in self.timers if timer.at <= self.now_us]
        self.timers = [timer for timer in self.timers if timer.at > self.now_us]
        for timer in due:
            if not timer.cancelled:
                timer.callback()
        self.settle()

    def finish_aside(self) -> None:
        """Do what waits for the threads beside the loop."""
        waiting, self.aside = self.aside, []
        for piece in waiting:
            try:
                found = piece.work()
            except Exception as error:  # noqa: BLE001 - as those threads do
                found = error
            piece.done(found)
        self.settle()


class RecordingTransport:
    """Keeps `transport.interface.Transport`; notes in `log` what happened in which order."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.queued: list[tuple[NodeId, Any]] = []

    def disconnect(self, peer: NodeId) -> None:
        self.log.append(("disconnect", peer))

    def connect(self, peer: NodeId, address: str) -> None:
        self.log.append(("connect", peer, address))

    def send(self, to: NodeId, message: Any) -> None:
        self.queued.append((to, message))

    def end_logins(self, names: Any, *, nameless: bool) -> None:
        self.log.append(("ended", tuple(names), nameless))

    def protect(self, how: Any) -> None:
        self.log.append(("protected", how))

    def flush(self) -> None:
        if self.queued:
            self.log.append(("sent", *self.queued))
            self.queued = []


class RecordingCaller:
    """Keeps `transport.interface.Caller`."""

    def __init__(self) -> None:
        self.told: list[tuple[int, Any, int]] = []
        self.gone = False
        self.mentioned: list[tuple[int, Any]] = []
        self.login: Login | None = None

    def mention(self, ask: int, body: Any) -> None:
        self.mentioned.append((ask, body))

    def tell(self, ask: int, body: Any, size: int) -> None:
        self.told.append((ask, body, size))

    def waits_for(self, _ask: int) -> bool:
        return not self.gone
