"""What the simulator asks about groups with a single leader."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from quorate.core.bounds import GroupId
from quorate.core.kernel import CATALOG_GROUP
from quorate.core.membership import Wanted, reached
from quorate.core.requests import Done, WriteOutcome
from quorate.core.statements import Failed, Statement
from quorate.lab.sim.actors.lasting import SETTLED_US
from quorate.lab.sim.campaigns.report import Report
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.replications.probe import Groups, Probe, Replicas
from quorate.lab.sim.replications.single_leader.invariants import REPLICAS_EQUAL
from quorate.lab.sim.replications.single_leader.tails import ENOUGH_HOLDERS, LOST_TAIL, LOST_UNDER_ASYNC
from quorate.lab.sim.scenarios.dials import SECOND, Dials
from quorate.lab.sim.workloads.ledger import ACKNOWLEDGED_LOST
from quorate.lab.sim.workloads.operations import DUMP, Database, tables

if TYPE_CHECKING:
    from quorate.lab.sim.run import Run

_outcome = msgspec.msgpack.Decoder(WriteOutcome)


def _databases(dials: Dials) -> list[Database]:
    if dials.quorums:
        return []
    names = ["main", *(f"extra{number}" for number in range(1, dials.databases))]
    return [Database(name, dials) for name in (["data"] if dials.fixed else names)]


def _belongs(group: Any) -> bool:
    return bool(group.voters) and not group.left_out


def _unsettled(run: "Run", number: GroupId, replicas: Replicas) -> str | None:
    leaders = [group for group in replicas.values() if group.leads]
    if len(leaders) != 1:
        return f"group {number} has {len(leaders)} leaders"
    leader = leaders[0]
    if set(replicas) != {node for node in leader.configuration.members if run.hosts[node].alive}:
        return f"group {number} has replicas on {sorted(replicas)}, and is {leader.configuration}"
    for node, group in replicas.items():
        if group.repair.damaged:
            return f"group {number} on node {node} is damaged: {group.repair.damaged}"
        if group.apply.applied != leader.log.last or not group.apply.opened:
            return f"group {number} on node {node} has applied {group.apply.applied} of {leader.log.last}"
        if group.election.leader != leader.me:
            follows = f"group {number} on node {node} follows {group.election.leader or 'nobody'}"
            return f"{follows}, and {leader.me} leads"
    return None


def _unfinished(number: GroupId, replicas: list[Any], wanted: Wanted | None) -> str | None:
    leader = max((group for group in replicas if group.leads), key=lambda group: group.election.epoch, default=None)
    if leader is None:
        return f"nobody leads group {number}"
    if wanted is not None and not reached(leader.configuration, wanted):
        return f"group {number} has {leader.configuration}, and {wanted} is wanted"
    if leader.membership.coming or leader.me not in leader.voters:
        return f"node {leader.me} leads group {number} with {leader.configuration}"
    return None


def _state(group: Any) -> str:
    election, commit = group.election, group.commit
    return (
        f"{election.role} epoch {election.epoch} follows {election.leader} last {group.log.last} persisted"
        f" {commit.persisted} committed {commit.committed} applied {group.apply.applied}"
    )


def _judge(run: "Run", groups: Groups) -> None:
    """While a replica is dead for good, `sync` acknowledges nothing."""
    if run.dials.lasting != "dead leader":
        return
    dead = {host.number for host in run.hosts.values() if not host.alive}
    for number, replicas in groups.items():
        loose = [group for group in replicas.values() if str(group.rules.committed) != "sync" or group.rules.coming]
        voters = next(iter(replicas.values())).voters
        if number == CATALOG_GROUP or loose or not dead & set(voters):
            continue
        run.world.mark("writes stalled")
        told = run.ledger.done_at.get(replicas[min(replicas)].database, 0)
        if told > SETTLED_US:
            raise Violation(ENOUGH_HOLDERS, f"a write of group {number} was acknowledged at {told / SECOND:.3f} s")


def _account(run: "Run", groups: Groups) -> None:
    """Replicas equal, tables as the clients were told."""
    for number, replicas in groups.items():
        for node, group in replicas.items():
            run.invariants.compare(run.hosts[node], number, group.apply.applied.index, group.apply.applied.epoch)
    for database in run.databases:
        if database.ready:
            _check_database(run, groups, database)
            _check_tail(run, groups, database)
            _check_order(run, groups, database)
    first = run.databases[0]
    for workload in run.workloads:
        if workload.looks and first.ready and not first.loose:
            workload.judge(_contents(run, groups, first, workload.looks))


def _contents(run: "Run", groups: Groups, database: Database, looks: tuple[Statement, ...]) -> Iterator[Done]:
    """What there is on each sound replica of a database."""
    for number, replicas in groups.items():
        for node, group in replicas.items():
            if group.database == database.name and number not in _doubtful(run, node):
                yield msgspec.msgpack.decode(run.hosts[node].store.query(number, looks)[0], type=Done)


def _check_tail(run: "Run", groups: Groups, database: Database) -> None:
    """Every acknowledged write is there, or was lost as `async` may lose it."""
    for number, replicas in groups.items():
        leading = [group for group in replicas.values() if group.leads]
        if number != CATALOG_GROUP and leading and leading[0].database == database.name:
            last = leading[0].log.last
            for node in replicas:
                run.invariants.tails.check_kept(node, number, run.hosts[node].store.kept(number))
            acknowledged = run.ledger.acknowledged.get(database.name, ())
            run.invariants.tails.settle(number, (last.index, last.epoch), acknowledged)
            _check_forgotten(run, number)


def _check_forgotten(run: "Run", number: GroupId) -> None:
    """What was committed, and later leaders lacked, is kept somewhere, or lies in a log still."""
    tails = run.invariants.tails
    if tails.forgetful and LOST_TAIL not in run.invariants.skip:
        kept = [host.store.kept(number) for host in run.hosts.values() if host.alive]
        tails.check_forgotten(number, [*kept, *run.invariants.places(number)])


def _check_order(run: "Run", groups: Groups, database: Database) -> None:
    """What was committed, and in which order, for the workloads that ask for that."""
    asking = [workload for workload in run.workloads if workload.judges_order]
    if not asking or database.loose:
        return
    for number, replicas in groups.items():
        leading = [group for group in replicas.values() if group.leads]
        if number != CATALOG_GROUP and leading and leading[0].database == database.name:
            sound = [run.hosts[node] for node in sorted(replicas) if number not in _doubtful(run, node)]
            for workload in asking:
                workload.judge_order(run.invariants, number, leading[0].log.last.index, sound)


def _doubtful(run: "Run", node: int) -> set[GroupId]:
    """Groups whose data file on this node was harmed, and may be so still."""
    store = run.hosts[node].store
    return store.spoiled | store.lied_to


def _check_database(run: "Run", groups: Groups, database: Database) -> None:
    statements = tuple(Statement(sql) for _, sql in DUMP)
    for number, replicas in groups.items():
        if number == CATALOG_GROUP:
            continue
        without: set[bool] = set()
        for node, group in replicas.items():
            if group.database != database.name or number in _doubtful(run, node):
                continue
            outcome = _outcome.decode(run.hosts[node].store.query(number, statements)[0])
            lost = isinstance(outcome, Failed) and outcome.message.startswith("no such table")
            without.add(lost)
            if not isinstance(outcome, Done) and not (database.loose and lost and without == {True}):
                raise Violation(REPLICAS_EQUAL, f"{database.name} cannot be read on node {node}: {outcome}")
            if isinstance(outcome, Done):
                run.ledger.check_tables(database.name, tables(outcome), loose=database.loose)
        if len(without) > 1:  # what made the tables may be lost, on all replicas or on none
            raise Violation(REPLICAS_EQUAL, f"some replicas of {database.name} have no tables, and others do")


def _lost(report: Report) -> int:
    return report.marks.get(LOST_UNDER_ASYNC, 0) + (report.judge in {ACKNOWLEDGED_LOST, LOST_TAIL})


PROBE = Probe(
    databases=_databases,
    belongs=_belongs,
    unsettled=_unsettled,
    unfinished=_unfinished,
    state=_state,
    judge=_judge,
    account=_account,
    lost=_lost,
)
