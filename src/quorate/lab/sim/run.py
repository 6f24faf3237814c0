"""One run: build a cluster from a seed, let it suffer, heal it, and ask whether everything is as promised.

Two phases, after TigerBeetle's simulator. *Safety*: faults strike, and nothing wrong may ever happen.
*Liveness*: faults end, everything but at most one node is alive, and within a bound of virtual time every
group must have a leader, every replica must hold the same, and every caller must have its answer.
"""

import gc
from collections.abc import Callable
from contextlib import nullcontext
from typing import ClassVar

import msgspec
from msgspec import Struct

from quorate.core.formats import HERE
from quorate.core.recovered import Identity, Member
from quorate.core.requests import WriteOutcome
from quorate.lab.sim.actors.actor import Actor, SimCluster
from quorate.lab.sim.actors.administrator import Administrator
from quorate.lab.sim.actors.chooser import Chooser
from quorate.lab.sim.actors.dropper import Dropper
from quorate.lab.sim.actors.lasting import Lasting
from quorate.lab.sim.actors.mover import Mover
from quorate.lab.sim.actors.operator import Operator
from quorate.lab.sim.actors.surge import Surge
from quorate.lab.sim.actors.upgrades import Upgrader
from quorate.lab.sim.campaigns.report import LINES, Report, line
from quorate.lab.sim.engine.host import Host
from quorate.lab.sim.engine.network import Network, member_of
from quorate.lab.sim.engine.observers import CoreMaker
from quorate.lab.sim.engine.processor import BusyHost
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.etcd import Etcd
from quorate.lab.sim.faults.injector import Faults
from quorate.lab.sim.replications.leaderless.registered import registered
from quorate.lab.sim.replications.probe import Groups
from quorate.lab.sim.replications.registry import PROBES, databases, watchers
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.scenarios.purpose import VACUOUS, proves_nothing
from quorate.lab.sim.stores.keeps import SimulatedStore
from quorate.lab.sim.workloads.client import Client
from quorate.lab.sim.workloads.ledger import Ledger
from quorate.lab.sim.workloads.operations import Database, Operations
from quorate.lab.sim.workloads.registry import wanted

LIVENESS = "liveness"
SLICE_US = 100 * MILLISECOND

StoreMaker = Callable[[Identity], SimulatedStore]

_outcome = msgspec.msgpack.Decoder(WriteOutcome)

ACTORS: tuple[type[Actor], ...] = (Lasting, Upgrader, Chooser, Mover, Operator, Surge, Dropper, Administrator)


class Plan(Struct, frozen=True):
    """What to run besides the dials."""

    scenario: str
    make_core: CoreMaker
    make_store: StoreMaker
    core: str = "real"
    """The core's name."""
    storage: str = ""
    """What the data is kept in (`scenarios.STORES`); empty: as the seed says."""
    skip: tuple[str, ...] = ()
    """Judges that keep silent."""
    tail: int = LINES
    """How many of the last steps a failure shows."""
    skip_faults: tuple[int, ...] = ()
    skip_operations: dict[int, tuple[int, ...]] = {}
    """Faults, and operations of each client, that are left out: how a failing case is made small."""


class Run:
    """One cluster, its clients and its faults."""

    watch: "ClassVar[Callable[[Run], object] | None]" = None
    """Called with every run that is about to begin (lab/diagram draws one)."""

    def __init__(self, seed: int, dials: Dials, plan: Plan) -> None:
        self.seed = seed
        self.dials = dials
        self.plan = plan
        self.world = World(f"{plan.scenario}/{seed}")
        self.network = Network(self.world, dials)
        self.invariants, self.adversary, self.observer = watchers(self.world, dials, self.network, plan.skip)
        self.ledger = Ledger(self.world)
        self.etcd = Etcd(self.world, dials)
        self.hosts = self._hosts()
        self.faults = Faults(self.world, dials, self.network, self.hosts, frozenset(plan.skip_faults))
        self.invariants.when_reborn = self.faults.reborn
        self.databases = databases(dials)
        self.ledger.loose.update(one.name for one in self.databases if one.loose)
        self.workloads = wanted(self.world, dials, plan.skip)
        self.invariants.keeps_payloads = any(workload.judges_order for workload in self.workloads)
        rng = self.world.rng("workload")
        self.operations = Operations(dials, self.ledger, rng, lambda: self.world.now_us, self.workloads)
        self.clients = self._clients()
        cluster = SimCluster(
            self.world, dials, self.network, self.hosts, self.databases, self.operations, self.invariants.leaders,
            self._new_host,
        )  # fmt: skip
        self.mover = Mover(cluster)
        self.actors = [self.mover if each is Mover else each(cluster) for each in ACTORS]
        self.dead = 0
        self._final_reads: list[tuple[Database, str]] | None = None

    def _clients(self) -> list[Client]:
        """Those who do whatever is drawn, then those of each workload."""
        makers: list[Callable[..., Client]] = [Client] * self.dials.clients
        for workload in self.workloads:
            makers += [workload.client()] * workload.clients(self.dials) if workload.clients(self.dials) else []
        skipped = {number: frozenset(some) for number, some in self.plan.skip_operations.items()}
        return [
            make(
                self.world, self.dials, self.network, number, self.databases, self.operations,
                skip=skipped.get(number, ()),
            )
            for number, make in enumerate(makers, 1)
        ]  # fmt: skip

    def _hosts(self) -> dict[int, Host]:
        members = tuple(member_of(number) for number in range(1, self.dials.nodes + 1))
        hosts: dict[int, Host] = {}
        for member in members:
            hosts[member.node] = self._host(member, members)
        return hosts

    def _host(self, member: Member, founders: tuple[Member, ...]) -> Host:
        identity = Identity("simulated", member.node, member.name, 0, founders, HERE.lowest)
        store = self.plan.make_store(identity)
        kind = BusyHost if self.dials.cpu_us else Host
        host = kind(self.world, self.dials, self.network, member.node, store, self.plan.make_core, self.observer)
        host.etcd = self.etcd
        host.restarts = "node" in self.plan.skip
        return host

    def _new_host(self) -> Host:
        """A machine with an empty disk, which has been told of those who are members now."""
        number = max(self.hosts) + 1
        members = tuple(member_of(each) for each in sorted(self.mover.members))
        self.hosts[number] = host = self._host(member_of(number), members)
        return host

    def execute(self) -> Report:
        """Both phases and the final account. Never raises Violation: the report says it."""
        report = Report(self.seed, self.plan.scenario, self.plan.core, self.plan.storage)
        if Run.watch is not None:
            Run.watch(self)
        was_collecting = gc.isenabled()
        gc.disable()  # a run makes no garbage cycles worth looking for
        try:
            self._safety()
            self._liveness()
            self._account()
        except Violation as violation:
            report.judge, report.message = violation.judge, violation.message
            report.tail = self._tail()
        finally:
            if was_collecting:
                gc.enable()
        report.steps, report.taken, report.virtual_us = self.world.steps, self.world.taken, self.world.now_us
        report.unavailable_us = self.ledger.longest_gap_us
        report.faults, report.operations = self.faults.struck, {one.number: one.begun for one in self.clients}
        report.trace, report.marks = self.world.trace_hash(), dict(sorted(self.world.marks.items()))
        self.close()
        if report.ok and (why := proves_nothing(report)) and VACUOUS not in self.plan.skip:
            report.judge, report.message = VACUOUS, f"the run proves nothing: {why}"
        return report

    def _tail(self) -> tuple[str, ...]:
        steps = list(self.world.recent)
        return tuple(line(*step) for step in steps[max(0, len(steps) - self.plan.tail) :])

    def close(self) -> None:
        """Let go of every store."""
        for host in self.hosts.values():
            host.store.close()

    # ---- the phases ------------------------------------------------------------------------------------

    def _safety(self) -> None:
        rng = self.world.rng("start")
        for host in self.hosts.values():
            self.world.at(rng.randint(0, 100 * MILLISECOND), self._start, host)
        for client in self.clients:
            self.world.at(rng.randint(0, SECOND), client.begin)
        self.world.at(rng.choice((0, 1, 2)) * SECOND, self.faults.begin)
        self.etcd.begin()
        for actor in self.actors:
            actor.begin()
        self.adversary.begin()
        self.world.run(self.dials.safety_us)
        self.ledger.answered()
        for actor in self.actors:
            actor.judge()
        for name, probe in PROBES.items():
            probe.judge(self, self.groups(name))
        if len(self.hosts) >= 3 and rng.random() < self.dials.leave_dead:
            self.dead = self.faults.victim or rng.choice(sorted(self.hosts))
            self.world.mark("left dead")
        self.dead = self.faults.lost or self.dead
        if self.dead and not self.faults.lost and not all(one.bears() for one in self.databases):
            self.dead = 0  # such acks need every node

    def _start(self, host: Host) -> None:
        if not host.alive and host.number != self.faults.lost:  # a fault may have been quicker
            host.start()

    def _liveness(self) -> None:
        self.world.record(0, "liveness phase", None)
        for actor in self.actors:
            actor.end()
        self.etcd.heal()
        self.adversary.end()
        for client in self.clients:
            client.closing = True
        self.faults.end_all(self.dead)
        deadline_us = self.world.now_us + self.dials.liveness_us
        while self.world.now_us < deadline_us:
            self.world.run(self.world.now_us + SLICE_US)
            if (
                all(actor.done(self.dead) for actor in self.actors)
                and self._clients_are_done()
                and self._unsettled() is None
            ):
                return
        if self.plan.skip:
            self.ledger.judge()  # those who are silenced would have stopped it earlier: what did callers see?
        raise Violation(LIVENESS, self._who_waits())

    def _clients_are_done(self) -> bool:
        """Settle what was given up, then read everything once more; True when all that is done."""
        busy = False
        for client in self.clients:
            busy = client.settle() or not client.idle or busy
        if busy:
            return False
        if self._final_reads is None:
            self._final_reads = [(one, key) for one in self.databases if one.ready for key in one.keys]
        for client in self.clients:
            if self._final_reads:
                database, key = self._final_reads.pop()
                client.run(self.operations.read(-client.number, database, key))
        return all(client.idle for client in self.clients)

    def groups(self, replication: str) -> Groups:
        """Every group that is replicated so, by number, and its replicas on live nodes that belong to it."""
        belongs = PROBES[replication].belongs
        groups: Groups = {}
        for host in self.hosts.values():
            if host.core is not None:
                for number, group in host.core.groups.items():
                    if group.replication == replication and belongs(group):
                        groups.setdefault(number, {})[host.number] = group
        return dict(sorted(groups.items()))

    def _unsettled(self) -> str | None:
        """Why the cluster has not come right yet; None when it has."""
        for node, host in self.hosts.items():
            if not (host.alive or host.gone or node in (self.dead, self.faults.lost)):
                return f"node {node} is down"
        for name, probe in PROBES.items():
            for number, replicas in self.groups(name).items():
                if why := probe.unsettled(self, number, replicas):
                    return why
        for host in self.hosts.values():
            if host.alive and host.unanswered():
                return f"node {host.number} owes {host.unanswered()} answers"
        return None

    def _who_waits(self) -> str:
        unfinished = [why for actor in self.actors if (why := actor.unfinished())]
        lines = unfinished[:1] or [self._unsettled() or "every group is at rest, but clients wait"]
        for client in self.clients:
            call = client.call
            if call is not None:
                lines.append(f"client {client.number} waits for {call.operation.kind} on {call.operation.database}")
        for name, probe in PROBES.items():
            for number, replicas in self.groups(name).items():
                lines += [f"group {number} on node {node}: {probe.state(group)}" for node, group in replicas.items()]
        return "\n".join(lines)

    # ---- the account -----------------------------------------------------------------------------------

    def _account(self) -> None:
        """Replicas equal, tables as the clients were told, every register linearizable."""
        for name, probe in PROBES.items():
            probe.account(self, self.groups(name))
        self.ledger.judge()


def run(seed: int, dials: Dials, plan: Plan) -> Report:
    """One run, with all that its databases need."""
    with registered() if dials.quorums else nullcontext():
        return Run(seed, dials, plan).execute()
