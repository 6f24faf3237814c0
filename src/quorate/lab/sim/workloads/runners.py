"""Simulated processes that call `run_transaction` with a token, several under one name: the calls are the client's own
(`client.runs_aio.run_once`), on virtual time. What a call waits for, an answer or a pause, its coroutine yields.
"""

import random
from collections.abc import Callable, Collection, Coroutine, Generator, Iterable
from functools import partial
from typing import Any

from msgspec import structs

from quorate import errors
from quorate.client.attempts import Attempts
from quorate.client.runs_aio import run_once
from quorate.client.transactions import DEFERRED, Keeper, must_be_settled
from quorate.client.transactions_aio import Transaction
from quorate.core.requests import Ask, Done, Outcome, ScriptOutcome, WriteOutcome
from quorate.core.scripts import Attempted, BeginAttempt, LetGo, Script
from quorate.core.statements import Failed, Statement, Token
from quorate.lab.judges.history import INFO, OK
from quorate.lab.sim.engine.network import Network
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.faults.fault import Dial
from quorate.lab.sim.scenarios.dials import SECOND, Dials
from quorate.lab.sim.workloads import client as clients
from quorate.lab.sim.workloads.client import Client
from quorate.lab.sim.workloads.fencing import DUMP, TABLES, Before, Call, NamedRun, NamedRuns
from quorate.lab.sim.workloads.operations import Database, Operation, Operations
from quorate.lab.sim.workloads.workload import Workload
from quorate.wire import codec

READ = Statement("SELECT taken FROM places WHERE id = 1")
EFFECT = "INSERT INTO effects VALUES (?, ?, ?)"
TAKE = "UPDATE places SET taken = ? WHERE id = 1"

JOINS = 0.6
"""Chance that a call is made under a name that somebody has called with, and nobody has heard the end of."""
REPEATS = 0.1
"""The same of one whose end is known."""
ASKS = 0.08
"""Chance that a process asks what became of a name instead of calling."""
LATE = 0.5
"""Chance that a COMMIT is sent once more after the next attempt has begun."""
LOSES = 0.4
"""Chance that the answer to a COMMIT does not come."""
BEGIN, EVALUATE, COMMIT, ASK = "attempt begins", "attempt evaluates", "attempt commits", "outcome of a run"
KINDS = (BEGIN, EVALUATE, COMMIT, ASK)


class Wish:
    """What a call waits for: the answer to a request, or (with none) that time passes."""

    __slots__ = ("body", "kind", "until_us")

    def __init__(self, kind: str, body: Any, until_us: int = 0) -> None:
        self.kind = kind
        self.body = body
        self.until_us = until_us

    def __await__(self) -> "Generator[Wish, Any, Any]":
        return (yield self)


class Connection:
    """What `run_once` needs of a connection to a cluster (`client.aio.Connection`)."""

    types = None

    def __init__(self, database: str, call: Call, world: World, *, strongest: bool) -> None:
        self._database = database
        self._call = call
        self._world = world
        self._strongest = strongest
        self._transactions = 0

    async def rest(self, seconds: float) -> None:
        """Let time pass."""
        await Wish("", None, self._world.now_us + int(seconds * SECOND))

    async def begin_attempt(self, name: str, token: Token | None, _timeout: float) -> tuple[WriteOutcome, Token]:
        """See `client.aio.Connection.begin_attempt`."""
        token = token or Token(name, 0)
        return await Wish(BEGIN, BeginAttempt(self._database, token)), token

    def transaction(self, *, begin: str, timeout: float) -> Any:
        """See `client.aio.Connection.transaction`."""
        self._transactions += 1
        name = f"{self._call.run.name}/{len(self._call.run.calls)}/{self._transactions}"
        keeper: Any = Keeper(self._database, strongest=self._strongest, hold=begin != DEFERRED, name=name)
        return Transaction(self, keeper, None, timeout)  # type: ignore[arg-type]

    async def evaluate(self, script: Script, _timeout: float | None) -> ScriptOutcome:
        """See `client.aio.Connection.evaluate`."""
        return await Wish(EVALUATE, script)  # type: ignore[no-any-return]

    async def let_go(self, _request: LetGo) -> None:
        """See `client.aio.Connection.let_go`. Nobody hears it here, so that the limits of a hold have to end it."""
        raise errors.Unavailable("not heard")

    async def commit_script(self, script: Script, _name: str | None, _timeout: float | None) -> tuple[Any, Token]:
        """See `client.aio.Connection.commit_script`."""
        token = script.token or Token(f"{self._call.run.name}/{self._call.given}", 0)
        attempt = script.run.attempt if script.run is not None else 0
        assert self._call.given is not None
        self._call.sent[attempt] = self._call.given
        return await Wish(COMMIT, structs.replace(script, token=token)), token


class Runner(Client):
    """A client that does everything in calls that commit once."""

    def __init__(
        self,
        world: World,
        dials: Dials,
        network: Network,
        number: int,
        databases: list[Database],
        operations: Operations,
        runs: NamedRuns,
        skip: Collection[int] = (),
    ) -> None:
        super().__init__(world, dials, network, number, databases, operations, skip)
        self._runs = runs
        self._under_way: tuple[Call, Coroutine[Wish, Any, int | None]] | None = None
        self._wish: Wish | None = None
        self._last_commit: Script | None = None
        self._dies = False
        """The process ends with what it has just sent."""

    # ---- what is next -----------------------------------------------------------------------------------

    def settle(self) -> bool:
        """In the liveness phase: go on with the call that is under way, then call under the names that have no end."""
        if self.call is not None:
            return False
        if self._under_way is None:
            run = next((run for run in self._runs if not (run.settled or run.returned or run.settling)), None)
            if run is None:
                return super().settle()
            run.settling = True
            self._begin_call(run)
        operation, body, token = self._next()
        if operation is not None:
            self.run(operation, body, token)
        return True

    def _choose(self) -> tuple[Operation | None, Any, Token | None]:
        if not self.databases[0].ready:
            return super()._choose()
        if self._under_way is None:
            run = self._any_run()
            if self.rng.random() < ASKS:
                return self._ask_outcome(run)
            self._begin_call(run)
        return self._next()

    def _any_run(self) -> NamedRun:
        fate = self.rng.random()
        some = [run for run in self._runs if run.settled == (fate < REPEATS)]
        return self.rng.choice(some[-5:]) if some and fate < REPEATS + JOINS else self._runs.new()

    def _begin_call(self, run: NamedRun) -> None:
        call = run.call()
        rng = random.Random(f"{self.world.seed}/attempts/{self.number}/{self.begun}/{len(run.calls)}")
        retries, seconds = (1_000, 600.0) if self.closing else (rng.choice((0, 1, 5)), rng.choice((1.0, 4.0)))
        attempts = Attempts(retries, run.name, seconds, rng, lambda: self.world.now_us / SECOND)
        strongest = bool(self.dials.acks or self.dials.fixed)
        connection = Connection(self.databases[0].name, call, self.world, strongest=strongest)

        async def function(tx: Transaction) -> int:
            mark = call.given = self._runs.next_mark()
            found = await tx.run(READ)
            place = int(found.rows[0][0]) + 1  # type: ignore[arg-type]
            await tx.run(Statement(EFFECT, ((mark, run.name, place),)))
            await tx.run(Statement(TAKE, ((place,),)))
            return mark

        self._under_way = call, run_once(connection, function, attempts, run.name, connection.rest)
        self._advance(None)

    def _next(self) -> tuple[Operation | None, Any, Token | None]:
        """What the call that is under way waits for."""
        wish = self._wish
        if wish is not None and wish.body is None and wish.until_us <= self.world.now_us:
            self._advance(None)
            wish = self._wish
        if wish is None or wish.body is None or self._under_way is None:
            return None, None, None
        if wish.kind == COMMIT:
            self._last_commit = wish.body
        call = self._under_way[0]
        before = Before(call.run)

        def ended(end: str, outcome: Any) -> None:
            self._heard(call, wish, before, end, outcome)

        return Operation(wish.kind, self.databases[0].name, [], ended, writes=False), wish.body, wish.body.token

    def _ask_outcome(self, run: NamedRun) -> tuple[Operation, Any, Token]:
        run.asked = True
        before, token = Before(run), Token(run.name, 0)

        def ended(end: str, outcome: Any) -> None:
            if end == OK:
                run.heard(outcome, before, commits=False)

        database = self.databases[0].name
        return Operation(ASK, database, [], ended, writes=False), Outcome(database, token), token

    # ---- what came of it --------------------------------------------------------------------------------

    def _answered(self, call: clients.Call, outcome: Any) -> None:
        operation = call.operation
        if operation.kind not in KINDS:
            super()._answered(call, outcome)
            return
        self.world.mark("failed" if isinstance(outcome, Failed) else "ok")
        if not self.closing:
            self.operations.ledger.answered()
        if operation.kind == COMMIT and must_be_settled(outcome, clean=not call.maybe):
            self._end(call, INFO, None)
            return
        self._end(call, OK, outcome)
        if operation.kind == COMMIT and isinstance(outcome, Done) and self.rng.random() < self.dials.repeat:
            self.world.after(self.rng.randint(0, 2 * SECOND), self._repeat, call, outcome)

    def _send(self) -> None:
        super()._send()
        call = self.call
        if call is not None and call.operation.kind == COMMIT and self._lets_go(call, LOSES):
            self.world.after(int(self.dials.patience_us * self.rng.random() ** 4), self._lose, call)

    def _lose(self, call: clients.Call) -> None:
        if not call.ended:
            self.world.mark("answer to a COMMIT lost")
            self._abandon(call)

    def _abandon(self, call: clients.Call) -> None:
        if call.operation.kind in KINDS:
            self._end(call, INFO, None)
        else:
            super()._abandon(call)

    def _may_crash(self, call: clients.Call) -> bool:
        self._dies = super()._may_crash(call)
        return self._dies

    def _should_ask_outcome(self, call: clients.Call) -> bool:
        return call.operation.kind not in KINDS and super()._should_ask_outcome(call)

    def _heard(self, call: Call, wish: Wish, before: Before, end: str, outcome: Any) -> None:
        """The wish of the call that is under way has ended."""
        if self._dies:
            self._dies = False
            self._stop(call)
        elif end != OK:
            lost = end == INFO and wish.kind == COMMIT
            self._advance(errors.MaybeDone("no answer", token=call.run.name) if lost else errors.Unavailable("none"))
        else:
            if wish.kind != EVALUATE:
                call.run.heard(outcome, before, commits=wish.kind == COMMIT)
            if isinstance(outcome, Attempted):
                self._comes_late(call.run)
            self._advance(outcome)

    def _comes_late(self, run: NamedRun) -> None:
        """An attempt has begun: the COMMIT of an earlier one may still be on its way."""
        late, self._last_commit = self._last_commit, None
        if late is not None and late.token is not None and late.token.id == run.name and self.rng.random() < LATE:
            self.world.mark("a lower attempt comes late")
            self.world.after(self.rng.randint(0, self.dials.patience_us), self._send_late, late)

    def _send_late(self, script: Script) -> None:
        self._asks += 1
        payload = codec.encode(Ask(self._asks, script))
        self.network.send(-self.number, self.rng.randint(1, self.network.nodes), payload)

    def _advance(self, given: Any) -> None:
        """Let the call that is under way go on: with an answer, or with an error."""
        assert self._under_way is not None
        call, coroutine = self._under_way
        try:
            self._wish = coroutine.throw(given) if isinstance(given, errors.Error) else coroutine.send(given)
        except StopIteration as done:
            call.ended = call.run.returned = True
            call.value = done.value
            self.world.mark("run: ok" if done.value is not None else "run: done by another call")
        except errors.Error as error:
            call.ended, call.error = True, error
            self.world.mark(f"run: {type(error).__name__}")
        if call.ended:
            self._stop(call)

    def _stop(self, call: Call) -> None:
        assert self._under_way is not None
        self._under_way[1].close()
        self._under_way = self._wish = None
        call.run.settling = False


class Running(Workload):
    """Clients that do everything in calls that commit once, and their judge."""

    dial = Dial("runners", quiet=(1, 2))
    of_clients = True
    tables, looks = TABLES, DUMP

    def __init__(self, world: World, skip: tuple[str, ...]) -> None:
        super().__init__(world, skip)
        self._runs = NamedRuns(world)

    def client(self) -> Callable[..., Client]:
        """What makes one."""
        return partial(Runner, runs=self._runs)

    def judge(self, found: Iterable[Done]) -> None:
        """See `NamedRuns`."""
        self._runs.judge(found)
