"""Simulated callers of transactions: each keeps the script of the one it is in, as the real client does, and takes its
time between two statements. A caller that dies, or gives a statement up, leaves its transaction where it is.
"""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

from msgspec import structs

from quorate import errors
from quorate.client.transactions import Keeper, must_be_settled
from quorate.core.requests import Done, Outcome
from quorate.core.scripts import HoldEnded, LetGo, Script
from quorate.core.statements import Failed, Result, Statement, Token
from quorate.lab.judges.history import FAIL, INFO, OK
from quorate.lab.sim.engine.network import Network
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.faults.fault import Dial
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.workloads.client import Call, Client
from quorate.lab.sim.workloads.ledger import TRUE_ANSWER
from quorate.lab.sim.workloads.operations import Database, Operation, Operations
from quorate.lab.sim.workloads.programs import HOLDING, PROGRAMS, Program, Writing
from quorate.lab.sim.workloads.transacted import DUMP, INVARIANT, TABLES, Seen, Transacted
from quorate.lab.sim.workloads.workload import Workload

ROLLS_BACK = 0.1
"""Chance that a program that has come to its end does not want what it did."""
GIVES_UP = 0.5
"""Chance that a statement that nobody could run is the end of its transaction."""
STALLS = 0.05
"""Chance that a caller that holds the writer takes longer than others let it."""
SAYS_SO = 0.5
"""Chance that a caller that holds the writer says when it does not want it any more."""
_FAILS = errors.IntegrityError, errors.ProgrammingError
"""What a statement may fail with by itself."""
EVALUATE, COMMIT, LETS_GO = "evaluate", "commit", "lets go"


class Transaction:
    """One that is under way."""

    __slots__ = ("again", "keeper", "next", "program", "seen", "stalls_until_us")

    def __init__(self, keeper: Keeper, seen: Seen, program: Program) -> None:
        self.keeper = keeper
        self.seen = seen
        self.program = program
        self.next: Statement | None = next(program, None)
        """What the program waits for; None: it is through."""
        self.again: Callable[[Transaction, Any], None] | None = None
        """It held the writer, and was told that it does no more: who hears the answer when it has asked again."""
        self.stalls_until_us = 0

    def go_on(self, given: Result | errors.Error) -> None:
        """Let the program go on: with what its statement gave, or with the error. Raises what it does not handle."""
        try:
            self.next = self.program.throw(given) if isinstance(given, errors.Error) else self.program.send(given)
        except StopIteration:
            self.next = None


class Transactor(Client):
    """A client that does everything in transactions."""

    def __init__(
        self,
        world: World,
        dials: Dials,
        network: Network,
        number: int,
        databases: list[Database],
        operations: Operations,
        transacted: Transacted,
        skip: Collection[int] = (),
    ) -> None:
        super().__init__(world, dials, network, number, databases, operations, skip)
        self._transacted = transacted
        self._tx: Transaction | None = None
        self._lets_go_of: LetGo | None = None

    def settle(self) -> bool:
        """What is open is left as it is: nothing more is asked of it."""
        if self._tx is not None and self.call is None:
            self._over(self._tx, FAIL)
        return super().settle()

    def _choose(self) -> tuple[Operation | None, Any, Token | None]:
        database = self.databases[0]
        if not database.ready:
            return super()._choose()
        if self._lets_go_of is not None:
            request, self._lets_go_of = self._lets_go_of, None
            return Operation(LETS_GO, database.name, [], lambda _end, _found: None, writes=False), request, None
        tx = self._tx = self._tx or self._new(database)
        if self._stalls(tx):
            return None, None, None
        if tx.again is not None:
            heard, tx.again = tx.again, None
            return self._evaluation(tx, tx.keeper.again(), heard)
        if tx.next is not None:
            return self._evaluation(tx, tx.keeper.ask(tx.next), self._heard)
        if self.rng.random() < ROLLS_BACK:
            self.world.mark("transaction rolled back")
            self._over(tx, FAIL)
            return None, None, None
        question = tx.keeper.before_commit()
        if question is not None:
            return self._evaluation(tx, question, self._heard_before_commit)
        return self._commit(tx)

    def _new(self, database: Database) -> Transaction:
        strongest, holds = bool(self.dials.acks or self.dials.fixed), self.dials.holds
        model, program = self.rng.choice((*PROGRAMS, *HOLDING) if holds else PROGRAMS)
        keeper = Keeper(database.name, strongest=strongest)
        if holds:
            name = f"{self.number}/{self.begun}"
            keeper = Keeper(database.name, strongest=strongest, hold=self.rng.random() < holds, name=name)
        keeper.begin()
        seen = self._transacted.begin(model)
        rng = self.world.rng(f"transaction/{self.number}/{self.begun}")
        return Transaction(keeper, seen, program(Writing(rng, self.operations.ledger, keeper, seen, database.keys)))

    def _stalls(self, tx: Transaction) -> bool:
        """It holds the writer, and takes its time."""
        now_us = self.world.now_us
        if tx.keeper.is_holding and now_us >= tx.stalls_until_us and self.rng.random() < STALLS:
            self.world.mark("holder stalls")
            tx.stalls_until_us = now_us + self.rng.randint(0, 4 * self.dials.settings.hold_idle_us)
        return now_us < tx.stalls_until_us

    def _over(self, tx: Transaction, end: str) -> None:
        request = tx.keeper.let_go()
        if request is not None and self.rng.random() < SAYS_SO:
            self._lets_go_of = request
        if self._tx is tx:
            self._tx = None
            tx.program.close()
        self._transacted.end(tx.seen, end)

    def _evaluation(
        self, tx: Transaction, request: Script, heard: Callable[[Transaction, Any], None]
    ) -> tuple[Operation, Script, None]:
        def ended(end: str, outcome: Any) -> None:
            if end != OK:
                tx.keeper.dropped()
                if end == INFO or self.rng.random() < GIVES_UP:
                    self._over(tx, FAIL)
                return
            if isinstance(outcome, HoldEnded):
                self.world.mark("hold ended")
                tx.again = heard
                return
            try:
                heard(tx, outcome)
                if tx.keeper.is_holding:
                    self.world.mark("ran once, and stays open")
            except errors.SerializationFailure:
                self.world.mark("changed under a transaction")
                self._over(tx, FAIL)

        statements = [step.statement for step in request.steps]
        return Operation(EVALUATE, self.databases[0].name, statements, ended, writes=False), request, None

    def _heard(self, tx: Transaction, outcome: Any) -> None:
        given: Result | errors.Error
        try:
            given = tx.keeper.heard(outcome)
        except _FAILS as error:
            given = error
        tx.seen.last = self._transacted.moment()
        try:
            tx.go_on(given)
        except _FAILS as error:
            raise Violation(INVARIANT, f"a statement of a transaction failed that cannot: {error}") from error

    def _heard_before_commit(self, tx: Transaction, outcome: Any) -> None:
        tx.keeper.heard_before_commit(outcome)
        tx.seen.last = self._transacted.moment()

    def _commit(self, tx: Transaction) -> tuple[Operation | None, Script | None, Token | None]:
        request = tx.keeper.commit()
        if request is None:
            self.world.mark("committed without a request")
            self._over(tx, OK)
            return None, None, None
        token = self._new_token(request.database)

        def ended(end: str, outcome: Any) -> None:
            if request.hold is not None and end == OK:
                self.world.mark("committed what was open")
            if end == INFO:
                tx.keeper.unsure()
            if isinstance(outcome, Failed) and outcome.error != errors.SerializationFailure.__name__:
                raise Violation(TRUE_ANSWER, f"a transaction failed to commit: {outcome!r}")
            self._over(tx, end)

        statements = [step.statement for step in request.steps]
        operation = Operation(COMMIT, request.database, statements, ended, writes=True)
        return operation, structs.replace(request, token=token), token

    def _answered(self, call: Call, outcome: Any) -> None:
        if not isinstance(call.original, Script):
            super()._answered(call, outcome)
        elif call.token is None:
            self.world.mark("ok")
            self._end(call, OK, outcome)
        elif not isinstance(outcome, Failed):
            super()._answered(call, outcome)
        elif must_be_settled(outcome, clean=not call.maybe) and not call.asked_outcome:
            self.world.mark("asked what became of a COMMIT that failed")
            call.asked_outcome = True
            call.body = Outcome(call.operation.database, call.token)
            call.number = 0
            self._again(call)
        else:
            self.world.mark("failed")
            self._end(call, FAIL, outcome)


class Transacting(Workload):
    """Clients that do everything in transactions, and their judges."""

    dial = Dial("transactors", quiet=(1,))
    of_clients = True
    tables, looks = TABLES, DUMP

    def __init__(self, world: World, skip: tuple[str, ...]) -> None:
        super().__init__(world, skip)
        self._transacted = Transacted(world)

    def client(self) -> Callable[..., Client]:
        """What makes one."""
        return partial(Transactor, transacted=self._transacted)

    def judge(self, found: Iterable[Done]) -> None:
        """See `Transacted`."""
        self._transacted.judge(found)
