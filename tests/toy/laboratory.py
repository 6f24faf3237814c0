"""What the simulator has to know of grow-only sets: how callers use one, its probe, and who looks on."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import LogWrite, WriteEntries
from quorate.core.kernel import Effect, Event, Send
from quorate.core.membership import Wanted
from quorate.core.read_levels import EVENTUAL
from quorate.core.recovered import Recovered
from quorate.core.statements import Result, Statement
from quorate.lab.judges.history import OK
from quorate.lab.judges.jepsen import Op
from quorate.lab.judges.report import OK as SOUND
from quorate.lab.judges.sets import judge
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.replications.probe import Groups, Probe, Replicas
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.operations import Database, Operation, Operations
from tests.toy.messages import Kept
from tests.toy.replica import NAME

if TYPE_CHECKING:
    from quorate.lab.sim.engine.host import Host
    from quorate.lab.sim.run import Run

ADD = "INSERT INTO elements VALUES (?)"
READ = "SELECT element FROM elements"
SET = "set"
"""The judge."""
DURABLE_SET = "durable set"
_elements = msgspec.msgpack.Decoder(tuple[str, ...])


class Elements(Database):
    """A set, and the history of it."""

    replication = NAME

    def __init__(self, name: str, dials: Dials) -> None:
        super().__init__(name, dials)
        self.options = {}
        self.keys = []
        self.history: list[Op] = []
        self._moment = 0

    def moment(self) -> int:
        """Later than all before."""
        self._moment += 1
        return self._moment

    def setup(self, operations: Operations) -> Operation:
        """There are no tables to make: its first element."""
        return self._add(0, operations.ledger.next_value())

    def next(self, operations: Operations, process: int) -> Operation:
        """Add an element, or look at all of them."""
        if operations.rng.random() < 0.7:
            return self._add(process, operations.ledger.next_value())
        return self._operation(process, "read", None, [Statement(READ)])

    def _add(self, process: int, value: int) -> Operation:
        return self._operation(process, "add", str(value), [Statement(ADD, ((value,),))])

    def _operation(self, process: int, f: str, value: str | None, statements: list[Statement]) -> Operation:
        op = Op(len(self.history), process, f, value, self.moment())
        self.history.append(op)

        def ended(end: str, results: tuple[Result, ...] | None) -> None:
            op.end, op.stop = end, self.moment()
            if f == "add" and end == OK:
                self.ready = True
            self.claimed = self.ready
            if f == "read" and end == OK:
                op.result = [row[0] for row in results[0].rows] if results else []

        return Operation(f"set {f}", self.name, statements, ended, writes=f == "add", level=EVENTUAL)


class Watch:
    """An observer: what was durable is found again, and no set ever shrinks."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.durable_there: dict[tuple[NodeId, GroupId], set[str]] = {}
        self.seen: dict[tuple[NodeId, GroupId], int] = {}

    def started(self, host: "Host", recovered: Recovered) -> None:
        for found in recovered.groups:
            self.seen.pop((host.number, found.group), None)
            there = {each for entry in found.tail for each in _elements.decode(entry.payload)}
            missing = self.durable_there.get((host.number, found.group), set()) - there
            if missing and found.last == len(found.tail):
                raise Violation(DURABLE_SET, f"node {host.number} has lost {sorted(missing)} by a restart")
            self.world.mark("set: restarted")

    def after_step(self, host: "Host", event: Event, effects: list[Effect], touched: Iterable[Any]) -> None:
        for group in touched:
            key = (host.number, group.group)
            if len(group.elements) < self.seen.get(key, 0):
                raise Violation(DURABLE_SET, f"the set of group {group.group} shrinks on node {host.number}")
            self.seen[key] = len(group.elements)

    def durable(self, host: "Host", writes: tuple[LogWrite, ...]) -> None:
        for write in writes:
            there = self.durable_there.setdefault((host.number, write.group), set())
            for entry in write.entries if isinstance(write, WriteEntries) else ():
                there.update(_elements.decode(entry.payload))

    def sending(self, host: "Host", effect: Send) -> None:
        self.world.mark("set: kept" if isinstance(effect.message, Kept) else "set: sent")

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
        lacking = [other for other in alive if group.unconfirmed[other]]
        if lacking or group.unread or group.writing:
            return f"group {number} on node {node} has what nodes {lacking} are not known to have"
    return None


def _unfinished(number: GroupId, replicas: list[Any], wanted: Wanted | None) -> str | None:
    members = {group.host.me for group in replicas if not group.unwanted}
    if wanted is not None and not set(wanted.voters) <= members:
        return f"group {number} is on {sorted(members)}, and {wanted} is wanted"
    return None


def _account(run: "Run", groups: Groups) -> None:
    for database in run.databases:
        for replicas in groups.values():
            if isinstance(database, Elements):
                for node, group in replicas.items():
                    _judge(run, database, node, sorted(group.elements))


def _judge(run: "Run", database: Elements, node: NodeId, elements: list[str]) -> None:
    """The last read is of what this replica holds."""
    last = Op(len(database.history), -node, "read", None, database.moment())
    last.end, last.result, last.stop = OK, elements, database.moment()
    report = judge([*database.history, last])
    if report.verdict != SOUND:
        raise Violation(SET, f"on node {node}: {report}")
    run.world.mark("set: judged")
    if node > run.dials.nodes:
        run.world.mark("set: judged on a newcomer")


PROBE = Probe(
    databases=lambda dials: [Elements("elements", dials)],
    belongs=lambda group: not group.unwanted,
    unsettled=_unsettled,
    unfinished=_unfinished,
    state=lambda group: f"{len(group.elements)} elements, others {group.others}",
    judge=lambda _run, _groups: None,
    account=_account,
    observer=Watch,
)
