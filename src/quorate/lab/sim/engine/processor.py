"""Machines whose processors can have too much to do: what a node does takes time, one thing after the other.

As in the real driver, what peers, disks and storage say is taken first; requests of clients wait behind it, some of
them have their turn, and then the core is woken, which is when it begins a batch.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from quorate.core.calls import Request, Requests
from quorate.core.executing import AT_ITS_END, Execute
from quorate.core.kernel import Apply, Event, Wake
from quorate.core.querying import Query, QueryFailed
from quorate.lab.sim.engine.arrivals import requests_of
from quorate.lab.sim.engine.host import Host
from quorate.wire import codec

REQUESTS_A_TURN = 16
ENDLESS = "WITH RECURSIVE c(n) AS (SELECT ? UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
"""A read that these machines run beside everything else, until it is ended."""
READ_LIMIT_US = 60_000_000


class BusyHost(Host):
    """A machine with a processor."""

    slower = 1
    """How many times slower than the others it is."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._first: deque[Event] = deque()
        self._asked: deque[Request] = deque()
        self._woken = False
        self._had_turn = False
        self._busy = False
        self._spent_us = 0
        self.when_run: Callable[[tuple[Any, ...]], None] = lambda _requests: None
        """Told of each batch that begins to run."""
        self.when_read: Callable[[Any, int], None] = lambda _statement, _ends_us: None
        """Told of each endless read that begins, and at what time of the world it will be ended."""

    def feed(self, event: Event) -> None:
        """Hand an event to the node, when its turn comes."""
        if self.core is None:
            return
        if self.paused:
            self._held.append(event)
        elif type(event) is Wake:
            self._woken = True
            self._begin()
        else:
            self.put(event)
            self._begin()

    def put(self, event: Event) -> None:
        """It waits behind nothing but its like, or behind all else."""
        if type(event) is Request:
            self._asked.append(event)
        else:
            self._first.append(event)

    def resume(self) -> None:
        """What came meanwhile takes time as well."""
        held, self._held = self._held, deque()
        super().resume()
        for event in held:
            self.feed(event)
        self._begin()

    def crash(self, *, orderly: bool = False) -> None:
        """The process dies, with all that waits."""
        super().crash(orderly=orderly)
        if self.core is None:
            self._first.clear()
            self._asked.clear()
            self._woken = self._busy = False

    def waiting(self) -> int:
        """Requests that nobody has looked at."""
        return len(self._asked)

    def _begin(self) -> None:
        if not self._busy:
            self._next(self.life)

    def _next(self, life: int) -> None:
        """The next thing to do; the processor is kept by it for as long as it takes."""
        if life != self.life or self.core is None:
            return
        event = None if self.paused else self._choose()
        self._busy = event is not None
        if event is None:
            return
        self._spent_us = 0 if type(event) is Wake else self.dials.cpu_us * self.slower * max(1, len(requests_of(event)))
        self._ready.append(event)
        self._drain()
        if life == self.life:
            self.world.after(self._spent_us, self._next, life)

    def _choose(self) -> Event | None:
        if self._first:
            return self._first.popleft()
        if self._asked and not (self._woken and self._had_turn):
            self._had_turn = True
            count = min(REQUESTS_A_TURN, len(self._asked))
            return Requests(tuple([self._asked.popleft() for _ in range(count)]))
        self._had_turn = False
        woken, self._woken = self._woken, False
        return Wake() if woken else None

    def _receive(self, source: int, payload: bytes) -> None:
        """Requests say when they came and until when they are wanted."""
        if source > 0 or self.core is None:
            super()._receive(source, payload)
            return
        request = self.callers.request(source, codec.decode_ask(payload))
        if request is not None:
            self.feed(request)

    def _take_time(self, effect: Execute | Query | Apply) -> None:
        """Keep the processor; storage's answers come when it is done."""
        if type(effect) is Query and effect.statements[0].sql == ENDLESS:
            self._read_beside(effect)
            return
        spent_us = self._spend(effect)
        before = len(self._ready)
        Host.PERFORM.get(type(effect), Host._store_effect)(self, effect)  # noqa: SLF001 - this is a host
        if spent_us:
            late = [self._ready.pop() for _ in range(len(self._ready) - before)]
            for event in reversed(late):
                self.world.after(self._spent_us, self.storage_answers, self.life, event)

    def _read_beside(self, effect: Query) -> None:
        """On a thread of its own, until its end."""
        now_us = self.clock.read(self.world.now_us).mono_us
        runs_us = min(READ_LIMIT_US, max(0, effect.ends_us - now_us)) if effect.ends_us else READ_LIMIT_US
        self.when_read(effect.statements[0], self.world.now_us + runs_us)
        self.world.after(runs_us, self.storage_answers, self.life, QueryFailed(effect.group, effect.id, AT_ITS_END))

    def _spend(self, effect: Execute | Query | Apply) -> int:
        """How long this effect keeps the processor."""
        run_us = self.dials.run_us * self.slower
        if type(effect) is Execute:
            self.when_run(effect.requests)
            spent_us = len(effect.requests) * run_us
        elif type(effect) is Query:
            spent_us = run_us
        else:
            spent_us = run_us // 4  # changes are put in, and no statement runs
        self._spent_us += spent_us
        return spent_us

    PERFORM: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        **Host.PERFORM,
        Execute: _take_time,
        Query: _take_time,
        Apply: _take_time,
    }
