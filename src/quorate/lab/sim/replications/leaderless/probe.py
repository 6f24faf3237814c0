"""What the simulator asks about groups without a leader, and who looks on."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import DATA, LogWrite, WriteEntries
from quorate.core.kernel import Effect, Event, Send
from quorate.core.leaderless.reads import described
from quorate.core.recovered import Recovered
from quorate.core.requests import Done
from quorate.core.row_effects import RowKey, decode_rows
from quorate.core.versions.encoding import decode_row, encode_row
from quorate.core.versions.row import Row, is_live, merge
from quorate.lab.judges import counters
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.report import BROKEN
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.replications.leaderless.carts import LOOKS, Carts
from quorate.lab.sim.replications.leaderless.workload import COUNTERS, TABLES, Rows
from quorate.lab.sim.replications.probe import Groups, Probe, Replicas
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.operations import Database

if TYPE_CHECKING:
    from quorate.lab.sim.engine.host import Host
    from quorate.lab.sim.run import Run

CONVERGENCE, COUNTED, DURABLE = "convergence", "counters", "durable rows"
NO_JUDGE = "counters read"


class Watch:
    """An observer: what was durable on a node stays there."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kept: dict[tuple[NodeId, GroupId], dict[RowKey, Row]] = {}

    def started(self, host: "Host", recovered: Recovered) -> None:
        if recovered.groups and host.life > 1:
            self.world.mark("leaderless: restarted")

    def after_step(self, host: "Host", event: Event, effects: list[Effect], touched: Iterable[Any]) -> None:
        """Nothing is judged before it is durable."""

    def durable(self, host: "Host", writes: tuple[LogWrite, ...]) -> None:
        for write in writes:
            kept = self.kept.setdefault((host.number, write.group), {})
            for entry in write.entries if isinstance(write, WriteEntries) else ():
                if entry.kind != DATA:
                    continue
                for table, key, state in decode_rows(entry.payload):
                    row = decode_row(state)
                    known = kept.get((table, key))
                    kept[table, key] = row if known is None else merge(known, row)

    def sending(self, host: "Host", effect: Send) -> None:
        if host.alive:
            self.world.mark(f"leaderless: sent {type(effect.message).__name__}")

    def damaged(self, host: "Host", group: GroupId, count: int) -> None:
        """Disks are sound here."""

    def copied(self, host: "Host") -> Any:
        """Nor is a folder put back from a copy."""

    def put_back(self, host: "Host", copied: Any, *, unseen: bool) -> None:
        """The same."""

    def flipped(self, host: "Host", group: GroupId) -> None:
        """The same."""


def _unsettled(run: "Run", number: GroupId, replicas: Replicas) -> str | None:
    for node, group in replicas.items():
        alive = [other for other in group.others if run.hosts[other].alive]
        doubted = [other for other in alive if other in group.exchange.doubted]
        hinted = [other for other in alive if group.spreading.hints[other]]
        if doubted or hinted:
            return f"group {number} on node {node} may hold what nodes {doubted + hinted} do not"
        if group.gathering or group.spreading or not group.keeper.at_rest:
            return f"group {number} on node {node} is not at rest"
    if len({group.statements.serial for group in replicas.values()}) > 1:
        return f"replicas of group {number} have not carried out the same changes of the schema"
    return None


def _state(group: Any) -> str:
    keeper, spreading = group.keeper, group.spreading
    hints = {node: len(keys) for node, keys in spreading.hints.items() if keys}
    return (
        f"last {keeper.last} durable {keeper.durable} applied {keeper.applied} doubts {list(group.exchange.doubted)}"
        f" hints {hints} gathers {bool(group.gathering)} spreads {bool(spreading)}"
    )


def _account(run: "Run", groups: Groups) -> None:
    for database in run.databases:
        for number, replicas in groups.items():
            if isinstance(database, Carts):
                _equal(run, number, replicas)
                _account_of_sql(run, database, number, replicas)
            if isinstance(database, Rows):
                _equal(run, number, replicas)
                for node in replicas:
                    _look(database, run.hosts[node].store.rows_of(number))  # type: ignore[attr-defined]
                _judge(run, database, *database.counted.values())


def _equal(run: "Run", number: GroupId, replicas: Replicas) -> None:
    digests = {node: run.hosts[node].store.digest(number) for node in replicas}
    run.world.mark("digests compared", len(digests))
    if len(set(digests.values())) > 1:
        raise Violation(CONVERGENCE, f"replicas of group {number} differ: {digests}")
    watch: Any = run.observer
    for node in replicas:
        rows = run.hosts[node].store.rows_of(number).rows  # type: ignore[attr-defined]
        for key, row in watch.of(Watch).kept.get((node, number), {}).items():
            found = decode_row(rows[key]) if key in rows else None
            if found is None or encode_row(merge(row, found)) != rows[key]:
                raise Violation(DURABLE, f"node {node} has lost what was durable of {key}")


def _account_of_sql(run: "Run", database: Carts, number: GroupId, replicas: Replicas) -> None:
    if not database.ready:
        return
    for node in replicas:
        outcome, _ = run.hosts[node].store.query(number, LOOKS)
        database.look(msgspec.msgpack.decode(outcome, type=Done).results)
    _judge(run, database, database.counted)


def _look(database: Rows, replica: Any) -> None:
    """Read every row where it lies."""
    for table, keys in ((COUNTERS, database.counts), ("registers", database.registers), ("carts", database.carts)):
        for key in keys:
            state = replica.rows.get((table, key.encode()))
            row = decode_row(state) if state else None
            shown = described(row, TABLES[table]) if row is not None and is_live(row) else None
            if table != COUNTERS or shown:
                database.seen_at_the_end(table, key, shown)


def _judge(run: "Run", database: Rows | Carts, *counted: list[Op]) -> None:
    wrong = database.wrong()
    if wrong is not None:
        raise Violation(wrong.judge, wrong.story)
    run.world.mark("leaderless: judged")
    strict = database.chosen.quorums(database.replicas).strict
    for ops in counted:
        told = ops if strict else [op for op in ops if op.f != "read" or op.process == 0]
        report = counters.judge(told)
        if report.verdict == BROKEN:
            raise Violation(COUNTED, str(report))


def _databases(dials: Dials) -> list[Database]:
    return [Carts("carts", dials) if dials.shoppers else Rows("rows", dials)]


PROBE = Probe(
    databases=lambda dials: _databases(dials) if dials.quorums else [],
    belongs=lambda group: not group.unwanted,
    unsettled=_unsettled,
    unfinished=lambda _number, _replicas, _wanted: None,
    state=_state,
    judge=lambda _run, _groups: None,
    account=_account,
    observer=Watch,
)
