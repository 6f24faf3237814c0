"""Load of many callers on machines that can have too much to do, and what is asked of the cluster meanwhile.

Callers come at their own pace, however slow the answers are (an open loop), want an answer within a second, and ask
again when they are refused or hear nothing, if their budget allows. Before, during and after a spike:

- nobody is elected: an overloaded leader is not dead (*no needless election*);
- answers in time do not fall below a stated part of what the processors can do (*goodput*);
- some seconds after the spike nearly everybody is served, and soon (*recovery*): nothing feeds on its own failures, as
  metastable failures do (Bronson and others, HotOS 2021);
- heartbeats wait for no client (*heartbeats first*);
- nothing is run for a caller whose time is over (*work for nobody*): neither begun, nor gone on with.
"""

from typing import Any

from msgspec import Struct

from quorate.core.repeats import Budget
from quorate.core.requests import Answer, Ask, NotLeader, Refused, Run, Unsure
from quorate.core.settings import Settings
from quorate.core.statements import Statement, Token
from quorate.lab.sim.actors.actor import Actor, SimCluster
from quorate.lab.sim.engine.callers import NOBODY_WAITS
from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.engine.network import node_at
from quorate.lab.sim.engine.processor import ENDLESS, BusyHost
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.workloads.ledger import Sums
from quorate.lab.sim.workloads.operations import COUNT
from quorate.wire import codec

NUMBER = -1_004
BEGINS_US = 3 * SECOND
BEFORE_US = 3 * SECOND
"""How long the load is an ordinary one at first."""
WANTED_US = SECOND
"""How long a caller waits."""
PATIENCE_US = 300 * MILLISECOND
BACK_OFF_US = 10 * MILLISECOND
PROCESSES = 8
LAST_US = 3 * SECOND
"""The end of a run, in which all must be well again."""

NO_ELECTION = "no needless election"
GOODPUT = "goodput"
RECOVERY = "recovery"
HEARTBEATS_FIRST = "heartbeats first"

TRIP_MOST_US = 25 * MILLISECOND
"""A batch may keep a node for twice that (`Settings.batch_us`), and a heartbeat comes in its middle on average."""
GOODPUT_LEAST = 0.4
"""Of what the processors can do, while more than that is wanted."""
SERVED_LEAST = 0.95
"""Of those who come at the end."""
SOON_US = 500 * MILLISECOND
"""Within which 99 of 100 of them are."""


class Caller(Struct):
    """One call."""

    number: int
    born_us: int
    tries: int = 0
    ask: int = 0
    """The newest attempt."""
    done_us: int = 0


class Surge(Actor):
    """Everybody who calls."""

    def __init__(self, cluster: SimCluster) -> None:
        super().__init__(cluster)
        operations = cluster.operations
        self._database, self._ledger, self._operations = cluster.databases[0], operations.ledger, operations
        self._rng = cluster.world.rng("surge")
        self._budgets = [Budget() for _ in range(PROCESSES)]
        self._callers: list[Caller] = []
        self._waiting: dict[int, Caller] = {}
        self._asks = 0
        self._leader = 1
        self._elections = 0
        self._over = False
        self.spike_at_us = BEGINS_US + BEFORE_US
        if self._dials.spike:
            self._network.join(NUMBER, self._receive)

    @property
    def capacity(self) -> float:
        """Writes a second that a leader's processor can do, about."""
        return 1e6 / (self._dials.run_us + 2 * self._dials.cpu_us)

    # ---- what happens ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Schedule it, if this run has any."""
        if self._dials.spike:
            self._world.at(BEGINS_US, self._begin)

    def _begin(self) -> None:
        if not self._database.ready:
            self._world.after(100 * MILLISECOND, self._begin)
            return
        self._elections = self._world.marks.get("elections", 0)
        leading = [
            host.number
            for host in self._hosts.values()
            if host.core is not None
            for group in host.core.groups.values()
            if group.database == self._database.name and group.leads
        ]
        self._leader = leading[0] if leading else 1
        for host in self._hosts.values():
            assert isinstance(host, BusyHost)
            host.when_run = self._look_at
            host.when_read = self._look_at_read
        if self._dials.slow_node:
            slow = self._rng.choice([host for host in self._hosts.values() if not _leads(host)])
            self._world.mark("slow node")
            slow.slower = self._dials.slow_node  # type: ignore[attr-defined]
        if self._dials.stop_leader_us:
            self._world.at(self.spike_at_us, self._stop)
        for part in (2, 3, 4):
            self._world.at(self.spike_at_us + self._dials.spike_us * part // 4, self._look_at_trips)
        self._arrive()
        self._ask_for_ever()

    def _ask_for_ever(self) -> None:
        """Somebody asks some node for a read without an end."""
        if self._over or not self._dials.endless_us:
            return
        self._asks += 1
        node = sorted(self._hosts)[self._asks % len(self._hosts)]
        strongest = bool(self._dials.fixed)
        body = Run(self._database.name, (Statement(ENDLESS, ((self._world.now_us,),)),), strongest=strongest)
        self._network.send(NUMBER, node, codec.encode(Ask(self._asks, body, WANTED_US)))
        self._world.after(self._dials.endless_us, self._ask_for_ever)

    def _stop(self) -> None:
        host = self._hosts[self._leader]
        host.pause()
        self._world.after(self._dials.stop_leader_us, host.resume)

    def end(self) -> None:
        """The liveness phase."""
        self._over = True
        for host in self._hosts.values():
            if isinstance(host, BusyHost):
                host.slower = 1

    def _arrive(self) -> None:
        if self._over:
            return
        now_us, dials = self._world.now_us, self._dials
        spikes = self.spike_at_us <= now_us < self.spike_at_us + dials.spike_us
        rate = self.capacity * (dials.spike if spikes else dials.base_load)
        caller = Caller(len(self._callers), now_us)
        self._callers.append(caller)
        self._send(caller)
        self._world.after(1 + int(self._rng.expovariate(rate) * SECOND), self._arrive)

    def _send(self, caller: Caller) -> None:
        left_us = caller.born_us + WANTED_US - self._world.now_us
        if left_us <= 0 or self._over:
            return
        self._asks += 1
        caller.ask = self._asks
        self._waiting[self._asks] = caller
        token = Token(f"load-{caller.number}", 0)
        body = Run(self._database.name, (Statement(COUNT, (("load",),)),), token=token)
        self._operations.sent(token.name, body.statements)
        self._network.send(NUMBER, self._leader, codec.encode(Ask(self._asks, body, left_us)))
        self._world.after(PATIENCE_US, self._unheard, caller, self._asks)

    def _unheard(self, caller: Caller, ask: int) -> None:
        if caller.ask == ask and not caller.done_us and self._waiting.get(ask) is caller:
            self._again(caller, 0)

    def _again(self, caller: Caller, least_us: int) -> None:
        """Ask again, later, if that may be."""
        caller.tries += 1
        budget = self._budgets[caller.number % PROCESSES]
        if caller.tries > self._dials.repeats or not budget.spend(self._world.now_us):
            self._world.mark("load: gave up")
            return
        self._world.mark("load: repeated")
        wait_us = least_us + self._rng.randrange(BACK_OFF_US * 2 ** min(caller.tries, 4))
        self._world.after(wait_us, self._resend, caller, caller.ask)

    def _resend(self, caller: Caller, ask: int) -> None:
        if caller.ask == ask and not caller.done_us:
            self._send(caller)

    def _receive(self, _source: int, payload: bytes) -> None:
        told = codec.decode_told(payload)
        caller = self._waiting.pop(told.id, None)
        if caller is None or caller.done_us:
            return
        body: Any = told.body
        if isinstance(body, Answer):
            caller.done_us = self._world.now_us
            self._budgets[caller.number % PROCESSES].earn()
            self._world.mark("load: ok")
        elif told.id != caller.ask:
            return
        elif isinstance(body, NotLeader) and body.leader:
            self._leader = node_at(body.leader)
            self._send(caller)
        elif isinstance(body, Refused):
            self._world.mark(f"load: {body.error}")
            self._again(caller, body.again_us)
        elif isinstance(body, NotLeader | Unsure):
            self._leader = self._rng.choice(sorted(self._hosts))
            self._again(caller, 0)

    # ---- what is asked ---------------------------------------------------------------------------------

    def _look_at(self, requests: tuple[Any, ...]) -> None:
        """A batch begins to run."""
        for request in requests:
            token = getattr(request, "token", None)
            if token is not None and token.id.startswith("load-"):
                caller = self._callers[int(token.id.removeprefix("load-"))]
                late_us = self._world.now_us - caller.born_us - WANTED_US
                if late_us > 50 * MILLISECOND:
                    text = f"call {caller.number} is run {late_us // 1000} ms after its caller has gone"
                    raise Violation(NOBODY_WAITS, text)

    def _look_at_read(self, statement: Statement, ends_us: int) -> None:
        """A read without an end begins to run; it will be ended then."""
        self._world.mark("load: endless read")
        parameters: Any = statement.sets[0]
        late_us = ends_us - parameters[0] - WANTED_US
        if late_us > 50 * MILLISECOND:
            text = f"a read without an end goes on for {late_us // 1000} ms after its caller has gone"
            raise Violation(NOBODY_WAITS, text)

    def _look_at_trips(self) -> None:
        """Heartbeats come back soon, however much is asked for."""
        if self._dials.slow_node or self._dials.stop_leader_us:
            return
        core = self._hosts[self._leader].core
        trips = [peer.timing.trip.mean_us for peer in core.liveness.peers.values()] if core is not None else []
        self._world.mark("load: slowest heartbeat, ms", max(trips, default=0) // 1000)
        if trips and max(trips) > TRIP_MOST_US:
            text = f"a heartbeat's answer takes {max(trips) // 1000} ms on average while clients ask for much"
            raise Violation(HEARTBEATS_FIRST, text)

    def judge(self) -> None:
        """At the end of the safety phase. Raises Violation."""
        if not self._dials.spike:
            return
        done = sum(1 for caller in self._callers if caller.done_us)
        self._ledger.counters[self._database.name, "load"] = Sums(done, len(self._callers) - done)
        elections = self._world.marks.get("elections", 0) - self._elections
        if elections:
            raise Violation(NO_ELECTION, f"{elections} elections under load, and no node was dead")
        self._judge_goodput()
        self._judge_recovery()

    def _in_time(self, first_us: int, last_us: int) -> tuple[int, int, list[int]]:
        """How many came between, how many of them were served in time, and how long each of those waited."""
        came = [caller for caller in self._callers if first_us <= caller.born_us < last_us]
        waits = [caller.done_us - caller.born_us for caller in came if caller.done_us]
        served = [wait_us for wait_us in waits if wait_us <= WANTED_US]
        return len(came), len(served), sorted(served)

    def _judge_goodput(self) -> None:
        first_us, last_us = self.spike_at_us, self.spike_at_us + self._dials.spike_us
        came, served, _ = self._in_time(first_us, last_us)
        wanted = min(came, self.capacity * self._dials.spike_us / SECOND) * GOODPUT_LEAST
        self._world.mark("load: served in the spike", served)
        if served < wanted:
            raise Violation(GOODPUT, f"{served} of {came} calls were served in time during the spike, not {wanted:.0f}")

    def _judge_recovery(self) -> None:
        last_us = self._dials.safety_us - WANTED_US
        came, served, waits = self._in_time(last_us - LAST_US, last_us)
        late_us = waits[len(waits) * 99 // 100] if waits else WANTED_US
        if served < came * SERVED_LEAST or late_us > SOON_US:
            since = (last_us - LAST_US - self.spike_at_us - self._dials.spike_us) / SECOND
            text = f"{since:.0f} s after the spike {served} of {came} are served, 99 of 100 within {late_us // 1000} ms"
            raise Violation(RECOVERY, text)


def _leads(host: Host) -> bool:
    return host.core is not None and any(group.leads for group in host.core.groups.values())


def _load(**own: Any) -> Dials:
    dials: dict[str, Any] = {
        "clients": 1, "think_us": 200 * MILLISECOND, "patience_us": SECOND, "attempts": 20, "repeat": 0.0,
        "wander": 0.0, "leave_dead": 0.0, "hints": 1.0, "failing": 0, "weak_reads": 0, "delay_us": 500, "tail_us": 200,
        "cpu_us": 150, "run_us": 4_000, "base_load": 0.6, "spike": 6.0, "spike_us": 4 * SECOND, "repeats": 30,
        "safety_us": BEGINS_US + BEFORE_US + 4 * SECOND + 8 * SECOND,
    }  # fmt: skip
    return Dials(**{**dials, **own})


def spike(rng: Any) -> Dials:
    """For some seconds many times more is wanted than the processors can do."""
    return _load(nodes=rng.choice((3, 3, 5)), spike=rng.choice((4.0, 8.0)))


def slow(rng: Any) -> Dials:
    """One follower is 10 to 1000 times slower than the others, and not dead, under an ordinary load."""
    return _load(nodes=rng.choice((3, 5)), base_load=0.5, spike=0.6, slow_node=rng.choice((10, 100, 1000)))


def storm(rng: Any) -> Dials:
    """The leader is stopped for a moment under a load that leaves little room, and everybody asks again."""
    return _load(
        base_load=0.75, spike=rng.choice((1.3, 1.7)), spike_us=4 * SECOND, stop_leader_us=1_300 * MILLISECOND,
        repeats=100, cpu_us=500, run_us=2_000, settings=Settings(suspect_us=2 * SECOND),
    )  # fmt: skip


def endless(rng: Any) -> Dials:
    """Under an ordinary load somebody asks again and again for a read that does not end, of this node and that."""
    return _load(
        nodes=rng.choice((3, 5)), base_load=0.5, spike=0.6, spike_us=2 * SECOND, endless_us=200 * MILLISECOND,
        safety_us=BEGINS_US + BEFORE_US + 2 * SECOND + 5 * SECOND,
    )  # fmt: skip
