"""What the simulator asks about groups of several leaders: each by itself is one of a single leader."""

from typing import TYPE_CHECKING, Any

import msgspec

from quorate.core.bounds import GroupId
from quorate.core.multi_leader import topology
from quorate.core.requests import Done, WriteOutcome
from quorate.core.statements import Statement
from quorate.core.versions.dots import floor_of, includes, unflat
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.replications.multi_leader import notes
from quorate.lab.sim.replications.multi_leader.elements import LOOKS, Elements
from quorate.lab.sim.replications.probe import Groups, Probe, Replicas
from quorate.lab.sim.replications.single_leader import probe as single
from quorate.lab.sim.replications.single_leader.invariants import REPLICAS_EQUAL
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.operations import Database

if TYPE_CHECKING:
    from quorate.lab.sim.run import Run

_outcome = msgspec.msgpack.Decoder(WriteOutcome)


def _databases(dials: Dials) -> list[Database]:
    if dials.quorums or not dials.leaders:
        return []
    return [Elements("wiki", dials)]


def _unsettled(run: "Run", number: GroupId, replicas: Replicas) -> str | None:
    """The group has come right, and has read all that there is in the logs that it reads."""
    if why := single.PROBE.unsettled(run, number, replicas):
        return why
    leader = next(group for group in replicas.values() if group.leads)
    if leader.pulling.queue:
        return f"group {number} has {len(leader.pulling.queue)} merges to make"
    groups = [group for host in run.hosts.values() if host.core is not None for group in host.core.groups.values()]
    siblings = {each.group: each for each in groups if each.database == leader.database and each.leads}
    everybody = [row.group for row in leader.host.groups_for(leader.database)]
    silent = [each for each in everybody if each not in siblings]
    for chosen in topology.upstreams(leader.host.wanted_options(leader.database).topology, number, everybody, silent):
        if chosen in siblings and leader.pulling.upstreams[chosen].read < siblings[chosen].log.last:
            read, last = leader.pulling.upstreams[chosen].read, siblings[chosen].log.last
            return f"group {number} has read group {chosen} up to {read}, which has {last}"
    return _unstable(list(siblings.values())) if not silent else None


def _unstable(leaders: list[Any]) -> str | None:
    """All have settled all that all have merged."""
    floors = [unflat(leader.stability.data.floor) for leader in leaders]
    stable = floor_of([unflat(leader.stability.data.seen) for leader in leaders])
    if any(not includes(floor, stable) for floor in floors):
        return f"the leaders have merged {stable}, and settled {floors}"
    return None


def _account(run: "Run", groups: Groups) -> None:
    """All leaders hold the same, and what callers were told."""
    for number, replicas in groups.items():
        for node, group in replicas.items():
            run.invariants.compare(run.hosts[node], number, group.apply.applied.index, group.apply.applied.epoch)
    for database in run.databases:
        if isinstance(database, Elements) and database.ready:
            _judge(run, groups, database)


def _judge(run: "Run", groups: Groups, database: Elements) -> None:
    first: tuple[str, Any] | None = None
    for number, replicas in groups.items():
        for node, group in replicas.items():
            if group.database != database.name:
                continue
            where = f"node {node} of group {number}"
            outcome = _outcome.decode(run.hosts[node].store.query(number, LOOKS)[0])
            if not isinstance(outcome, Done):
                raise Violation(REPLICAS_EQUAL, f"{database.name} cannot be read at {where}: {outcome}")
            rows, shared, twice, lost = (result.rows for result in outcome.results)
            held = sorted(rows), sorted(shared), sorted(lost) if not database.forgets else ()
            if first is not None and first[1] != held:
                raise Violation(
                    REPLICAS_EQUAL, f"{first[0]} and {where} hold different rows or conflicts of {database.name}"
                )
            first = where, held
            if database.notes is not None:
                database.notes.judge(where, _rows(run, node, number, notes.READ))
            database.judge(where, rows, shared, twice)
            run.world.mark("leaders judged")


def _rows(run: "Run", node: int, number: GroupId, sql: str) -> list[tuple[Any, ...]]:
    outcome = _outcome.decode(run.hosts[node].store.query(number, (Statement(sql),))[0])
    if not isinstance(outcome, Done):
        raise Violation(REPLICAS_EQUAL, f"node {node} cannot be read: {outcome}")
    return outcome.results[0].rows


def _state(group: Any) -> str:
    return f"{single.PROBE.state(group)} merged {group.pulling.merged} queue {len(group.pulling.queue)}"


PROBE = Probe(
    databases=_databases,
    belongs=single.PROBE.belongs,
    unsettled=_unsettled,
    unfinished=single.PROBE.unfinished,
    state=_state,
    judge=lambda _run, _groups: None,
    account=_account,
)
