"""Who waits for answers of one simulated machine, and who has left: the part of `runtime.driver` and `runtime.running`.

Two things are asked of a node that runs a write for long. It must not go on with it when its caller has left (*work for
nobody*). And whoever waits behind it must hear before his time is over that nothing of his has begun (*told in time*).
"""

from typing import TYPE_CHECKING, Any

from quorate.core.bounds import GroupId
from quorate.core.calls import EndLogins, Request, Tell
from quorate.core.executing import CallerLeft
from quorate.core.requests import Ask, Refused, Told
from quorate.lab.sim.engine.logins import Logins
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND
from quorate.wire import codec

if TYPE_CHECKING:
    from quorate.lab.sim.engine.host import Host

NOBODY_WAITS = "work for nobody"
TOLD_IN_TIME = "told in time"
ONE_REPLY = "one reply"
LATE_US = 100 * MILLISECOND


class Callers:
    """Of one host, in its present life."""

    def __init__(self, host: "Host") -> None:
        self._host = host
        self._numbers = 0
        self._open: dict[int, tuple[int, int]] = {}
        """Requests not answered yet: id -> (client, the client's own id)."""
        self._left: set[tuple[int, int]] = set()
        """Whose answers nobody waits for."""
        self.logins = Logins(host)
        self._nameless: set[int] = set()
        """Requests of callers who have not logged in."""
        self._closed: set[tuple[int, int]] = set()
        """Whose connections were closed before they were answered."""
        self._running: dict[int, GroupId] = {}
        """Requests of which the core has said that they run."""
        self.wanted_us: dict[str, int] = {}
        """Until when the caller of a token waits, by the world's clock."""

    def __len__(self) -> int:
        """How many requests still wait for their reply."""
        return len(self._open)

    def crash(self) -> None:
        """The process dies."""
        self._open.clear()
        self._left.clear()
        self._closed.clear()
        self._nameless.clear()
        self.logins.crash()
        self._running.clear()
        self.wanted_us.clear()

    def request(self, source: int, ask: Ask) -> Request | None:
        """Somebody asks. Who says how long he waits is heard. None: they are not who they say."""
        host = self._host
        login = self.logins.login(source)
        if isinstance(login, Refused):
            host.network.send(host.number, source, codec.encode(Told(ask.id, login)))
            return None
        self._numbers += 1
        if login is None and host.network.badges:
            self._nameless.add(self._numbers)
        self._open[self._numbers] = (source, ask.id)
        token = getattr(ask.body, "token", None)
        if not ask.waits_us:
            self.wanted_us.pop(token.id if token is not None else "", None)
            return Request(self._numbers, ask.body, login=login)
        if token is not None:
            self.wanted_us[token.id] = host.world.now_us + ask.waits_us
        now_us = host.clock.read(host.world.now_us).mono_us
        if host.dials.long_write:
            host.world.after(ask.waits_us, self._look_at_waiting, host.life, self._numbers)
        return Request(self._numbers, ask.body, now_us, now_us + ask.waits_us, login=login)

    def end_logins(self, effect: EndLogins) -> None:
        """Close the connections of these users, with all that is under way on them."""
        ended = self.logins.end(effect)
        for number, asked in list(self._open.items()):
            if asked[0] in ended or (effect.nameless and number in self._nameless):
                self._closed.add(asked)
                self.left(*asked)

    def left(self, source: int, ask: int) -> None:
        """Nobody waits for that any more."""
        self._left.add((source, ask))
        for number, group in list(self._running.items()):
            if self._open[number] == (source, ask):
                self._leaves(number, group)

    def _leaves(self, number: int, group: GroupId) -> None:
        host = self._host
        host.world.mark("caller of a long write left")
        host.feed(CallerLeft(group, number))
        host.world.after(LATE_US, self._look_at_left, host.life, number)

    def tell(self, effect: Tell) -> None:
        """The core says that this request runs."""
        asked = self._open.get(effect.id)
        if asked is None:
            text = f"node {self._host.number} speaks of request {effect.id}, which is answered"
            raise Violation(ONE_REPLY, text)
        self._host.network.send(self._host.number, asked[0], codec.encode(Told(asked[1], effect.body)))
        self._running[effect.id] = effect.group
        if asked in self._left:
            self._leaves(effect.id, effect.group)

    def reply(self, number: int, body: Any) -> None:
        """Answer a request."""
        asked = self._open.pop(number, None)
        if asked is None:
            text = f"node {self._host.number} answered request {number} twice, or was never asked"
            raise Violation(ONE_REPLY, text)
        self._running.pop(number, None)
        self._nameless.discard(number)
        if asked in self._closed:
            self._closed.discard(asked)
            return
        self._host.network.send(self._host.number, asked[0], codec.encode(Told(asked[1], body)))

    # ---- what is asked of the node ---------------------------------------------------------------------

    def _look_at_left(self, life: int, number: int) -> None:
        """A write whose caller left some time ago runs no more."""
        host = self._host
        if life != host.life or number not in self._open:
            return
        if host.paused or host.disk.log.away:
            host.world.after(LATE_US, self._look_at_left, life, number)
            return
        group = self._running.get(number, 0)
        if host.storage.runs_alone(group) and self._batch_of(group, number):
            raise Violation(NOBODY_WAITS, f"node {host.number} goes on with a write of group {group} for nobody")

    def _batch_of(self, group: GroupId, number: int) -> bool:
        """Whether that is what the group's core runs."""
        core = self._host.core
        batch = core.groups[group].writes.batch if core is not None and group in core.groups else None
        return batch is not None and batch.requests[0].id == number

    def _look_at_waiting(self, life: int, number: int) -> None:
        """Somebody's time is over: he does not wait any more behind a write that runs for long."""
        host = self._host
        if life != host.life or number not in self._open or host.core is None:
            return
        if host.paused or host.world.now_us - host.resumed_us < SECOND:
            return
        now_us = host.clock.read(host.world.now_us).mono_us
        settings = host.dials.settings
        for group in host.core.groups.values():
            batch = group.writes.batch
            if batch is None or not batch.alone or now_us - batch.since_us < 4 * settings.heartbeat_us:
                continue
            if any(waiting.id == number for waiting in group.writes.queue):
                text = f"node {host.number} tells nothing to who has waited behind a write of group {group.group}"
                raise Violation(TOLD_IN_TIME, text)
