"""Simulated callers of a database without a leader, who ask by SQL. Whom they ask, and when again, the client's own
rule decides (`client.row_calls`), on virtual time.
"""

import random
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from quorate import errors
from quorate.client.directory import Directory
from quorate.client.routing import Ask as AskNode
from quorate.client.routing import GiveUp, Wait
from quorate.client.row_calls import RowCall
from quorate.client.without_leader import may_repeat
from quorate.core.repeats import Budget
from quorate.core.requests import Answer, Ask, Done, Refused, Running, ScriptOutcome
from quorate.core.row_requests import ChangeSchema, Minted, RunRow, SchemaFits
from quorate.core.statements import Failed, Token
from quorate.lab.judges.history import FAIL, INFO, OK
from quorate.lab.sim.engine.network import Network, member_of, node_at
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.faults.fault import Dial
from quorate.lab.sim.scenarios.dials import SECOND, Dials
from quorate.lab.sim.workloads.client import Call, Client
from quorate.lab.sim.workloads.ledger import TRUE_ANSWER
from quorate.lab.sim.workloads.operations import Database, Operation, Operations
from quorate.lab.sim.workloads.workload import Workload
from quorate.wire import codec

PATIENCE = (0.3, 1.0, 3.0)
"""Seconds that a caller gives a statement."""
BREAKS = 0.1
"""Chance that the connection ends on which a request is under way."""
TRANSIENT = frozenset({"StatementTimeout", "Unavailable", "DiskFull", "Overloaded", "UnknownDatabase"})
"""With which any statement may fail: it is certainly not done."""
CHANGE = "schema change"

_outcome = msgspec.msgpack.Decoder(ScriptOutcome)


class Carried:
    """A statement under way."""

    __slots__ = ("body", "call", "ended", "operation", "pending", "rule", "told", "turns")

    def __init__(self, call: Call, rule: RowCall, body: RunRow) -> None:
        self.call, self.rule, self.body = call, rule, body
        self.operation = call.operation
        self.pending: dict[str, int] = {}
        """Where an answer is awaited: address -> the number of the request."""
        self.told = False
        """Its version is known."""
        self.turns = 0
        self.ended = False


class Shopper(Client):
    """A client that does everything by statements of one row."""

    def __init__(
        self,
        world: World,
        dials: Dials,
        network: Network,
        number: int,
        databases: list[Database],
        operations: Operations,
        skip: Collection[int] = (),
    ) -> None:
        super().__init__(world, dials, network, number, databases, operations, skip)
        self._own = random.Random(f"{world.seed}/shopper/{number}")
        addresses = [member_of(each).address for each in range(1, dials.nodes + 1)]
        self._directory = Directory(addresses, self._own)
        self._budget = Budget()
        self._carried: dict[int, tuple[Carried, str]] = {}
        """Number of a request -> whose it is, and where it was sent."""

    @property
    def _now(self) -> float:
        return self.world.now_us / SECOND

    def run(self, operation: Operation, body: Any = None, token: Token | None = None) -> None:
        """Carry one operation through: a statement by the client's rule."""
        if body is not None or not isinstance(operation.body, RunRow):
            super().run(operation, body, token)
            return
        row = operation.body
        if self.rng.random() < self.dials.wander:  # another caller, who knows another node
            self._directory.failed(self._directory.choose(row.database, "linearizable", (), self._now), self._now)
        self.call = Call(operation, row, None)
        deadline = self._now + self.rng.choice(PATIENCE)
        rule = RowCall(
            self._directory, self._budget, self._own, row.database, deadline=deadline, writes=not may_repeat(row)
        )
        self._turn(Carried(self.call, rule, row))

    # ---- turns -------------------------------------------------------------------------------------------

    def _turn(self, carried: Carried) -> None:
        """Do the rule's next step. (`client.carrier_aio.Client._turn`)"""
        if carried.ended:
            return
        carried.turns += 1
        step = carried.rule.next(self._now)
        if isinstance(step, GiveUp):
            self._fails(carried, step.error)
        elif isinstance(step, Wait):
            self.world.after(int(step.seconds * SECOND) + 1, self._wake, carried, carried.turns)
        else:
            if step.address not in carried.pending:
                carried.rule.sent(step.address)
                self._send_row(carried, step.address)
            if not carried.ended:
                wait_us = int(step.patience * SECOND) + 1
                self.world.after(wait_us, self._out_of_patience_at, carried, carried.turns, step)

    def _wake(self, carried: Carried, turn: int) -> None:
        if carried.turns == turn:
            self._turn(carried)

    def _out_of_patience_at(self, carried: Carried, turn: int, step: AskNode) -> None:
        if carried.turns != turn or carried.ended:
            return
        if step.address in carried.pending:
            carried.rule.silent(step.address)
        self._turn(carried)

    def _send_row(self, carried: Carried, address: str) -> None:
        self._asks += 1
        carried.pending[address] = self._asks
        self._carried[self._asks] = carried, address
        body, waits_us = carried.rule.outgoing(carried.body), carried.rule.left_us(self._now)
        self.network.send(-self.number, node_at(address), codec.encode(Ask(self._asks, body, waits_us)))
        if carried.told:
            self.world.mark("a write is sent again with its state")
        if self.dials.client_crash and self._lets_go(carried.call, self.dials.client_crash):
            self.world.mark("client crash")
            self._finish(carried, INFO, None)
        elif self.rng.random() < BREAKS:
            self.world.after(int(SECOND * self.rng.random() ** 6), self._break, self._asks)  # mostly soon

    def _break(self, number: int) -> None:
        """The connection ends."""
        carried, address = self._carried.get(number, (None, ""))
        if carried is not None and carried.pending.get(address) == number and not carried.ended:
            self.world.mark("connection ended")
            del self._carried[number], carried.pending[address]
            carried.rule.lost(address, self._now, "the connection ended", sent=True)
            self._turn(carried)

    # ---- answers -----------------------------------------------------------------------------------------

    def _receive(self, source: int, payload: bytes) -> None:
        told = codec.decode_told(payload)
        carried, address = self._carried.get(told.id, (None, ""))
        if carried is None:
            super()._receive(source, payload)
        elif isinstance(told.body, Running):
            carried.rule.runs(address)
        elif isinstance(told.body, Minted):
            if not carried.told:
                carried.told = True
                carried.operation.when_minted(told.body)
            carried.rule.minted(told.body)
        else:
            del self._carried[told.id]
            if not carried.ended:
                self._hear(carried, address, told.body)

    def _hear(self, carried: Carried, address: str, body: Any) -> None:
        carried.pending.pop(address, None)
        try:
            ends = carried.rule.told(address, self._now, body)
        except errors.Error as error:
            self._fails(carried, error)
            return
        if not ends:
            self._turn(carried)
        elif isinstance(body, SchemaFits):
            self._change_schema(carried, body)
        elif isinstance(body, Answer):
            self._gives(carried, _outcome.decode(body.outcome))
        else:
            raise Violation(TRUE_ANSWER, f"a strange answer: {body!r}")

    def _gives(self, carried: Carried, outcome: Any) -> None:
        if isinstance(outcome, Done):
            self.world.mark("ok")
            if not self.closing:
                self.operations.ledger.answered()
            self._finish(carried, OK, outcome.results)
        elif isinstance(outcome, Failed):
            self._allow(carried, outcome.error, outcome)
            self.world.mark("failed")
            self._finish(carried, FAIL, outcome)
        else:
            raise Violation(TRUE_ANSWER, f"{carried.operation.kind} was told {outcome!r}")

    def _fails(self, carried: Carried, error: errors.Error) -> None:
        """Every error means that it is not done, but for MaybeDone."""
        name = type(error).__name__
        self.world.mark(f"row: {name}")
        if isinstance(error, errors.MaybeDone):
            if may_repeat(carried.body):
                raise Violation(TRUE_ANSWER, f"{carried.operation.kind} changes nothing, and is told to be {error!r}")
            self._finish(carried, INFO, None)
        else:
            self._allow(carried, name, error)
            self._finish(carried, FAIL, error)

    def _allow(self, carried: Carried, name: str, what: object) -> None:
        kind = carried.operation.kind
        allowed: dict[str, frozenset[str]] = getattr(self.databases[0], "may_fail", {})
        if name not in TRANSIENT and name not in allowed.get(kind, ()):
            raise Violation(TRUE_ANSWER, f"{kind} ({carried.body.statement}) failed: {what!r}")

    def _finish(self, carried: Carried, end: str, results: Any) -> None:
        carried.ended = True
        for number in carried.pending.values():
            self._carried.pop(number, None)
        self._end(carried.call, end, results)

    # ---- changes of the schema ---------------------------------------------------------------------------

    def _change_schema(self, carried: Carried, fits: SchemaFits) -> None:
        """A node has tried it: the catalog is to order it."""
        operation = carried.operation
        if not may_repeat(carried.body):
            raise Violation(TRUE_ANSWER, f"{operation.kind} is taken for a change of the schema")
        carried.ended = True
        token = self._new_token(operation.database)

        def ended(end: str, results: Any) -> None:
            operation.when_ended(end, results[-1].rows[0][0] if end == OK else None)

        change = Operation(CHANGE, operation.database, [], ended, writes=True)
        sql = carried.body.statement.sql
        super().run(change, ChangeSchema(operation.database, sql, fits.after, token), token)

    def _refused(self, call: Call, body: Refused) -> None:
        if call.operation.kind == CHANGE and body.error == "ChangeUnderWay":
            self.world.mark("schema changed by somebody else")
            self._end(call, INFO if call.maybe else FAIL, None)
        else:
            super()._refused(call, body)


class Shopping(Workload):
    """Clients that ask a database without a leader by SQL."""

    dial = Dial("shoppers", quiet=(1, 2))
    of_clients = True

    def client(self) -> Callable[..., Client]:
        """What makes one."""
        return Shopper
