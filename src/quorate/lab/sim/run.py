"""One run: build a cluster from a seed, let it suffer, heal it, and ask whether everything is as promised.

Two phases, after TigerBeetle's simulator. *Safety*: faults strike, and nothing wrong may ever happen.
*Liveness*: faults end, everything but at most one node is alive, and within a bound of virtual time every
group must have a leader, every replica must hold the same, and every caller must have its answer.
"""

import gc
from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from quorate.core.formats import HERE
from quorate.core.kernel import CATALOG_GROUP, GroupId, Identity, Member
from quorate.core.requests import Done, Failed, Statement, WriteOutcome
from quorate.lab.sim.adversary import Adversary
from quorate.lab.sim.chooser import Chooser
from quorate.lab.sim.client import Client
from quorate.lab.sim.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.drawn import Drawings
from quorate.lab.sim.dropper import Dropper
from quorate.lab.sim.etcd import Etcd
from quorate.lab.sim.faults.injector import Faults
from quorate.lab.sim.host import CoreMaker, Host
from quorate.lab.sim.keeps import SimulatedStore
from quorate.lab.sim.lasting import SETTLED_US, Lasting
from quorate.lab.sim.ledger import Ledger
from quorate.lab.sim.mover import Mover
from quorate.lab.sim.network import Network, member_of
from quorate.lab.sim.operations import DUMP, Database, Operations, tables
from quorate.lab.sim.operator import Operator
from quorate.lab.sim.processor import BusyHost
from quorate.lab.sim.purpose import VACUOUS, proves_nothing
from quorate.lab.sim.replications.single_leader.invariants import REPLICAS_EQUAL, Invariants
from quorate.lab.sim.report import LINES, Report, line
from quorate.lab.sim.surge import Surge
from quorate.lab.sim.tails import ENOUGH_HOLDERS, LOST_TAIL
from quorate.lab.sim.upgrades import Upgrader
from quorate.lab.sim.world import Violation, World

LIVENESS = "liveness"
SLICE_US = 100 * MILLISECOND

StoreMaker = Callable[[Identity], SimulatedStore]

_outcome = msgspec.msgpack.Decoder(WriteOutcome)


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
        self.invariants = Invariants(self.world, plan.skip)
        self.adversary = Adversary(self.world, dials, self.network, self.invariants)
        self.ledger = Ledger(self.world)
        self.etcd = Etcd(self.world, dials)
        self.hosts = self._hosts()
        self.faults = Faults(self.world, dials, self.network, self.hosts, frozenset(plan.skip_faults))
        self.invariants.when_reborn = self.faults.reborn
        self.lasting = Lasting(self.world, dials, self.network, self.hosts)
        names = ["main", *(f"extra{number}" for number in range(1, dials.databases))]
        self.databases = [Database(name, dials) for name in (["data"] if dials.fixed else names)]
        self.ledger.loose.update(one.name for one in self.databases if one.loose)
        self.drawings = Drawings(self.world) if dials.drawn else None
        self.invariants.keeps_payloads = dials.drawn > 0
        workload = self.world.rng("workload")
        self.operations = Operations(dials, self.ledger, workload, lambda: self.world.now_us, self.drawings)
        skipped = {number: frozenset(some) for number, some in plan.skip_operations.items()}
        self.clients = [
            Client(self.world, dials, self.network, number, self.databases, self.operations, skipped.get(number, ()))
            for number in range(1, dials.clients + 1)
        ]
        self.operator = Operator(self.world, dials, self.network, self.hosts, self.databases)
        leaders = self.invariants.leaders
        self.chooser = Chooser(self.world, dials, self.network, self.hosts, self.databases, leaders, self.ledger)
        self.surge = Surge(self.world, dials, self.network, self.hosts, self.databases[0], self.operations)
        self.upgrader = Upgrader(self.world, dials, self.network, self.hosts)
        self.mover = Mover(self.world, dials, self.network, self.hosts, self.databases, self._new_host)
        self.dropper = Dropper(self.world, dials, self.network, self.hosts)
        self.dead = 0
        self._final_reads: list[tuple[Database, str]] | None = None

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
        observer = self.adversary if Adversary.is_wanted(self.dials) else self.invariants
        host = kind(self.world, self.dials, self.network, member.node, store, self.plan.make_core, observer)
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
        self.lasting.begin()
        self.operator.begin()
        self.chooser.begin()
        self.etcd.begin()
        self.surge.begin()
        self.upgrader.begin()
        self.mover.begin()
        self.dropper.begin()
        self.adversary.begin()
        self.world.run(self.dials.safety_us)
        self.ledger.answered()
        self.lasting.judge()
        self.chooser.judge()
        self.surge.judge()
        self._judge_stall()
        if len(self.hosts) >= 3 and rng.random() < self.dials.leave_dead:
            self.dead = self.faults.victim or rng.choice(sorted(self.hosts))
            self.world.mark("left dead")
        self.dead = self.faults.lost or self.dead
        if self.dead and not self.faults.lost and not all(one.bears() for one in self.databases):
            self.dead = 0  # such acks need every node

    def _judge_stall(self) -> None:
        """While a replica is dead for good, `sync` acknowledges nothing."""
        if self.dials.lasting != "dead leader":
            return
        dead = {host.number for host in self.hosts.values() if not host.alive}
        for number, replicas in self._groups().items():
            loose = [group for group in replicas.values() if str(group.rules.committed) != "sync" or group.rules.coming]
            voters = next(iter(replicas.values())).voters
            if number == CATALOG_GROUP or loose or not dead & set(voters):
                continue
            self.world.mark("writes stalled")
            told = self.ledger.done_at.get(replicas[min(replicas)].database, 0)
            if told > SETTLED_US:
                raise Violation(ENOUGH_HOLDERS, f"a write of group {number} was acknowledged at {told / SECOND:.3f} s")

    def _start(self, host: Host) -> None:
        if not host.alive and host.number != self.faults.lost:  # a fault may have been quicker
            host.start()

    def _liveness(self) -> None:
        self.world.record(0, "liveness phase", None)
        self.surge.end()
        self.chooser.closing = True
        self.etcd.heal()
        self.adversary.end()
        for client in self.clients:
            client.closing = True
        self.faults.end_all(self.dead)
        deadline_us = self.world.now_us + self.dials.liveness_us
        while self.world.now_us < deadline_us:
            self.world.run(self.world.now_us + SLICE_US)
            if self._looked_after() and self._clients_are_done() and self._unsettled() is None:
                return
        if self.plan.skip:
            self.ledger.judge()  # those who are silenced would have stopped it earlier: what did callers see?
        raise Violation(LIVENESS, self._who_waits())

    def _looked_after(self) -> bool:
        done = self.upgrader.done(self.dead) and self.chooser.done() and self.mover.done()
        return done and self.operator.done(self.dead) and self.dropper.done()

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

    def _groups(self) -> dict[GroupId, dict[int, Any]]:
        """Every group, and its replicas on live nodes that belong to it."""
        groups: dict[GroupId, dict[int, Any]] = {}
        for host in self.hosts.values():
            if host.core is not None:
                for number, group in host.core.groups.items():
                    if group.voters and not group.left_out:
                        groups.setdefault(number, {})[host.number] = group
        return groups

    def _unsettled(self) -> str | None:
        """Why the cluster has not come right yet; None when it has."""
        for node, host in self.hosts.items():
            if not (host.alive or host.gone or node in (self.dead, self.faults.lost)):
                return f"node {node} is down"
        for number, replicas in sorted(self._groups().items()):
            some = list(replicas.values())
            leaders = [group for group in some if group.leads]
            if len(leaders) != 1:
                return f"group {number} has {len(leaders)} leaders"
            leader = leaders[0]
            if set(replicas) != {node for node in leader.configuration.members if self.hosts[node].alive}:
                return f"group {number} has replicas on {sorted(replicas)}, and is {leader.configuration}"
            for node, group in replicas.items():
                if group.repair.damaged:
                    return f"group {number} on node {node} is damaged: {group.repair.damaged}"
                if group.apply.applied != leader.log.last or not group.apply.opened:
                    where = f"{group.apply.applied} of {leader.log.last}"
                    return f"group {number} on node {node} has applied {where}"
                if group.election.leader != leader.me:
                    follows = f"group {number} on node {node} follows {group.election.leader or 'nobody'}"
                    return f"{follows}, and {leader.me} leads"
        for host in self.hosts.values():
            if host.alive and host.unanswered():
                return f"node {host.number} owes {host.unanswered()} answers"
        return None

    def _who_waits(self) -> str:
        lines = [
            self.mover.unfinished()
            or self._unsettled()
            or self.dropper.unfinished()
            or "every group is at rest, but clients wait"
        ]
        for client in self.clients:
            call = client.call
            if call is not None:
                lines.append(f"client {client.number} waits for {call.operation.kind} on {call.operation.database}")
        for number, replicas in sorted(self._groups().items()):
            for node, group in replicas.items():
                election, commit = group.election, group.commit
                state = (
                    f"{election.role} epoch {election.epoch} follows {election.leader} last {group.log.last} persisted"
                    f" {commit.persisted} committed {commit.committed} applied {group.apply.applied}"
                )
                lines.append(f"group {number} on node {node}: {state}")
        return "\n".join(lines)

    # ---- the account -----------------------------------------------------------------------------------

    def _account(self) -> None:
        """Replicas equal, tables as the clients were told, every register linearizable."""
        for number, replicas in sorted(self._groups().items()):
            for node, group in replicas.items():
                self.invariants.compare(self.hosts[node], number, group.apply.applied.index, group.apply.applied.epoch)
        for database in self.databases:
            if database.ready:
                self._check_database(database)
                self._check_tail(database)
                self._check_drawn(database)
        self.ledger.judge()

    def _check_tail(self, database: Database) -> None:
        """Every acknowledged write is there, or was lost as `async` may lose it."""
        for number, replicas in sorted(self._groups().items()):
            leading = [group for group in replicas.values() if group.leads]
            if number != CATALOG_GROUP and leading and leading[0].database == database.name:
                last = leading[0].log.last
                for node in replicas:
                    self.invariants.tails.check_kept(node, number, self.hosts[node].store.kept(number))
                acknowledged = self.ledger.acknowledged.get(database.name, ())
                self.invariants.tails.settle(number, (last.index, last.epoch), acknowledged)
                self._check_forgotten(number)

    def _check_forgotten(self, number: GroupId) -> None:
        """What was committed, and later leaders lacked, is kept somewhere, or lies in a log still."""
        tails = self.invariants.tails
        if tails.forgetful and LOST_TAIL not in self.invariants.skip:
            kept = [host.store.kept(number) for host in self.hosts.values() if host.alive]
            tails.check_forgotten(number, [*kept, *self.invariants.places(number)])

    def _check_drawn(self, database: Database) -> None:
        """Plain SQLite explains it, where the statements were drawn."""
        if self.drawings is None or database.loose:
            return
        for number, replicas in sorted(self._groups().items()):
            leading = [group for group in replicas.values() if group.leads]
            if number != CATALOG_GROUP and leading and leading[0].database == database.name:
                sound = [self.hosts[node] for node in sorted(replicas) if number not in self._doubtful(node)]
                self.drawings.judge(self.invariants, number, leading[0].log.last.index, sound)

    def _doubtful(self, node: int) -> set[GroupId]:
        """Groups whose data file on this node was harmed, and may be so still."""
        store = self.hosts[node].store
        return store.spoiled | store.lied_to

    def _check_database(self, database: Database) -> None:
        statements = tuple(Statement(sql) for _, sql in DUMP)
        for number, replicas in sorted(self._groups().items()):
            if number == CATALOG_GROUP:
                continue
            without: set[bool] = set()
            for node, group in replicas.items():
                if group.database != database.name or number in self._doubtful(node):
                    continue
                outcome = _outcome.decode(self.hosts[node].store.query(number, statements)[0])
                lost = isinstance(outcome, Failed) and outcome.message.startswith("no such table")
                without.add(lost)
                if not isinstance(outcome, Done) and not (database.loose and lost and without == {True}):
                    raise Violation(REPLICAS_EQUAL, f"{database.name} cannot be read on node {node}: {outcome}")
                if isinstance(outcome, Done):
                    self.ledger.check_tables(database.name, tables(outcome), loose=database.loose)
            if len(without) > 1:  # what made the tables may be lost, on all replicas or on none
                raise Violation(REPLICAS_EQUAL, f"some replicas of {database.name} have no tables, and others do")
