"""The storage of one simulated machine: it works in order, and some writes and entries take long (`dials.long_write`).

What takes long goes on beside all else, as in the real driver (`runtime.writers`): what needs the same writer waits,
and a `Rollback` ends a write at once. A write must not go on when its caller's time is over (*deadline*).
"""

import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from quorate.core.bounds import GroupId
from quorate.core.executing import AT_ITS_END, INTERRUPTED, TOO_LONG, Execute, Stopped
from quorate.core.kernel import CATALOG_GROUP, Apply, Effect, Event, Rollback
from quorate.core.querying import Query, answer
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND
from quorate.lab.sim.stores.store import UnknownToModel
from quorate.storage.interface import Broken, DiskIsFull, Divergent, query_failed
from quorate.storage.long_work import WRITERS, group_of

if TYPE_CHECKING:
    from quorate.lab.sim.engine.host import Host

DEADLINE = "deadline"
LATE_US = 100 * MILLISECOND
ENDLESS_US = 60 * SECOND
LOOK_US = 10 * MILLISECOND
"""How often somebody looks whether a machine that is paused goes on."""


class Away(Struct):
    """What a writer does beside the rest, and what waits for it."""

    number: int
    effect: Effect
    waiting: deque[Effect]


class Storage:
    """Performs the storage effects of a host, and tells it of their events."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        self._rng = host.world.rng(f"long/{host.number}")
        self._free_us = 0
        self._away: dict[GroupId, Away] = {}
        self._number = 0

    def crash(self) -> None:
        """The process dies."""
        self._free_us = 0
        self._away.clear()

    def perform(self, effect: Effect) -> None:
        """Do one effect, or see to it."""
        log = self._host.disk.log
        if log.away:
            self._host.world.mark("waits for the log")
            log.later(partial(self._go_on, self._host.life, partial(self._perform, effect)))
        else:
            self._perform(effect)

    def _go_on(self, life: int, call: Callable[[], None]) -> None:
        """The log is back."""
        if life == self._host.life:
            call()
        if life == self._host.life:
            self._host.go_on()

    def runs_alone(self, group: GroupId) -> bool:
        """Whether a write of this group runs beside all else."""
        away = self._away.get(group)
        return away is not None and type(away.effect) is Execute

    def _perform(self, effect: Effect) -> None:
        if self._host.dials.long_write and self._goes_aside(effect):
            return
        self._do(effect)

    def _do(self, effect: Effect) -> None:
        """Storage works in order; its answers come when it has got so far."""
        host = self._host
        try:
            events = host.store.perform(effect)
        except Broken as broken:
            host.fail_stop(broken)
            return
        except UnknownToModel:
            raise
        except Exception as error:
            where = "".join(traceback.format_exception(error)[-4:])
            text = f"node {host.number}'s store raised {error!r} for {type(effect).__name__}\n{where}"
            raise Violation("store", text) from error
        if not host.dials.storage_us:
            host.ready(events)
            return
        work = host.rng.randint(0, 2 * host.dials.storage_us)
        self._free_us = max(self._free_us, host.world.now_us) + work
        for event in events:
            host.world.at(self._free_us, host.storage_answers, host.life, event)

    def query(self, effect: Query) -> None:
        """Read what is committed, and answer, also while the log is away."""
        host = self._host
        try:
            outcome, position = host.store.query(effect.group, effect.statements)
        except Broken as broken:
            host.fail_stop(broken)
            return
        except (Divergent, DiskIsFull) as error:  # it is damaged; or it was closed, and cannot be opened now
            if isinstance(error, Divergent):
                host.world.mark("read at a damaged replica")
            host.ready((query_failed(effect, error),))
            return
        host.reply(effect.id, answer(effect, outcome, position))

    # ---- what takes long -----------------------------------------------------------------------------------

    def _goes_aside(self, effect: Effect) -> bool:
        group = group_of(effect)
        away = self._away.get(group)
        if away is not None and type(effect) in WRITERS:
            away.waiting.append(effect)
            if type(effect) is Rollback and type(away.effect) is Execute:
                self._host.world.mark("long write interrupted")
                self._back(self._host.life, group, away.number, INTERRUPTED)
            return True
        if type(effect) is Execute and effect.alone:
            self._begin_write(effect)
        elif type(effect) is Execute and effect.long_us and self._rng.random() < self._host.dials.long_write:
            self._stop(effect)
        elif type(effect) is Apply and self._rng.random() < self._host.dials.long_write / 4:
            self._begin(effect, self._rng.randint(0, SECOND), "")
        else:
            return False
        return True

    def _stop(self, effect: Execute) -> None:
        """One of the batch turns out to take long."""
        host = self._host
        host.world.mark("write takes long")
        host.store.put_aside(effect.group)
        stopped = Stopped(effect.group, effect.batch, self._rng.randrange(len(effect.requests)), TOO_LONG)
        host.world.after(effect.long_us, host.storage_answers, host.life, stopped)

    def _begin_write(self, effect: Execute) -> None:
        host, world = self._host, self._host.world
        takes_us = self._rng.choice((effect.long_us // 2, MILLISECOND, SECOND, 4 * SECOND, ENDLESS_US))
        ends_us = host.clock.when(effect.ends_us) - world.now_us if effect.ends_us else takes_us
        world.mark("long write")
        token = getattr(effect.requests[0], "token", None)
        wanted_us = host.callers.wanted_us.get(token.id, 0) if token is not None else 0
        if effect.group == CATALOG_GROUP:  # it writes for itself, for however long
            wanted_us = 0
        if not wanted_us:  # it has no end but its own
            takes_us = min(takes_us, SECOND)
        late_us = world.now_us + min(takes_us, ends_us) - wanted_us
        if wanted_us and late_us > LATE_US:
            text = f"node {host.number} goes on with a write for {late_us // 1000} ms when its caller's time is over"
            raise Violation(DEADLINE, text)
        self._begin(effect, max(0, min(takes_us, ends_us)), AT_ITS_END if ends_us < takes_us else "")

    def _begin(self, effect: Effect, takes_us: int, why: str) -> None:
        self._number += 1
        group = group_of(effect)
        self._away[group] = Away(self._number, effect, deque())
        self._host.world.after(takes_us, self._back, self._host.life, group, self._number, why)

    def _back(self, life: int, group: GroupId, number: int, why: str) -> None:
        """It is done, or was stopped: go on with what waits."""
        host, away = self._host, self._away.get(group)
        if life != host.life or away is None or away.number != number:
            return
        if host.paused:
            host.world.after(LOOK_US, self._back, life, group, number, why)
            return
        if host.disk.log.away:
            host.disk.log.later(partial(self._go_on, life, partial(self._is_back, group, away, why)))
        else:
            self._is_back(group, away, why)

    def _is_back(self, group: GroupId, away: Away, why: str) -> None:
        host, life = self._host, self._host.life
        if self._away.get(group) is not away:
            return  # that was found out before
        del self._away[group]
        if not why:
            self._do(away.effect)
        elif isinstance(away.effect, Execute):
            host.world.mark(f"long write ended: {why}")
            stopped: Event = Stopped(group, away.effect.batch, 0, why)
            host.world.at(host.world.now_us, host.storage_answers, life, stopped)
        for effect in away.waiting:
            if life == host.life:
                self._perform(effect)
        if life == host.life:
            host.go_on()
