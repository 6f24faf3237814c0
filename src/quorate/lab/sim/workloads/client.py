"""A simulated client: one operation at a time, retries with the same token, uncertainty taken seriously.

It knows what the real client knows: addresses, tokens, time-outs. An answer that says "not done" about one
attempt says nothing about an earlier attempt that was never answered.
"""

from collections.abc import Collection
from typing import Any

import msgspec
from msgspec import structs

from quorate.core.ack_policy import AUTO, ETCD, MANUAL, parse
from quorate.core.copy_requests import OpenCopy
from quorate.core.read_levels import LINEARIZABLE
from quorate.core.requests import (
    AlterDatabase,
    Answer,
    Ask,
    Cancelled,
    CreateDatabase,
    Done,
    Expired,
    Left,
    NotLeader,
    Outcome,
    Refused,
    Run,
    Running,
    ScriptOutcome,
    Unsure,
)
from quorate.core.row_requests import Minted, WriteRow
from quorate.core.scripts import Script
from quorate.core.statements import BOUND, Failed, Token
from quorate.core.view_requests import OpenView
from quorate.lab.judges.history import FAIL, INFO, OK
from quorate.lab.sim.engine.network import Network, node_at
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.workloads.copies import Fetching
from quorate.lab.sim.workloads.homes import belongs_to
from quorate.lab.sim.workloads.ledger import SAME_ANSWER, TRUE_ANSWER
from quorate.lab.sim.workloads.operations import Database, Operation, Operations
from quorate.lab.sim.workloads.views import SIZES, Viewing, first_view
from quorate.wire import codec

BACK_OFF_US = 30 * MILLISECOND
PROCESSES_PER_CLIENT = 1_000_000
SESSION_WANDERS = 0.6
"""`Dials.wander` of reads in sessions."""
ASKS_AGAIN = 0.6
"""Chance that a piece whose answer does not come is asked for again."""
HURRIES = 4
"""From this attempt on, a read in pieces asks for all rows at once: it may take longer than its state is kept."""
LETS_GO = 0.7
"""Chance that a client that has a copy tells its node so."""

_outcome = msgspec.msgpack.Decoder(ScriptOutcome)


class Call:
    """One operation under way."""

    __slots__ = (
        "asked_outcome", "attempt", "body", "ended", "fetching", "maybe", "number", "operation", "original", "token",
    )  # fmt: skip

    def __init__(self, operation: Operation, body: Any, token: Token | None) -> None:
        self.operation = operation
        self.original = body
        self.body = body
        """What the next attempt sends: the original, or the question what became of it."""
        self.token = token
        self.attempt = 0
        self.number = 0
        """The id of the newest attempt."""
        self.fetching: Fetching | Viewing | None = None
        """A read that fetches a copy, or in pieces: what has come of it."""
        self.asked_outcome = False
        self.maybe = False
        """Some attempt was not answered, or answered that nobody knows: it may have taken effect."""
        self.ended = False


class Client:
    """One process after another (a process that gave up on an operation never acts again)."""

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
        self.world = world
        self.dials = dials
        self.network = network
        self.number = number
        self.databases = databases
        self.operations = operations
        self.rng = world.rng(f"client/{number}")
        self.begun = 0
        """How many operations have begun, skipped ones included; each has random numbers of its own."""
        self._skip = skip
        self.call: Call | None = None
        self.closing = False
        """The liveness phase: finish what is open, begin nothing, give nothing up."""
        self.unsettled: list[Call] = []
        """Writes that this client gave up on; settled in the liveness phase."""
        self._not_done: set[str] = set()
        """Tokens of those of which it was told all the same that they were not done."""
        self.seen: dict[str, int] = {}
        self._process = number * PROCESSES_PER_CLIENT
        self._tokens = 0
        self._asks = 0
        self._waits_us = dials.patience_us if dials.long_write else 0
        self._target = self.rng.randint(1, network.nodes)
        self._waiting: dict[int, Call] = {}
        self._repeats: dict[int, tuple[Call, Any]] = {}
        """Late repetitions: the id -> the call and what it was told."""
        network.join(-number, self._receive)

    @property
    def idle(self) -> bool:
        return self.call is None

    def begin(self) -> None:
        """Do the next thing, or wait a little."""
        if self.call is not None or self.closing:
            return
        self.begun += 1
        self.rng = self.operations.rng = self.world.rng(f"operation/{self.number}/{self.begun}")
        if self.begun in self._skip:
            self.world.after(BACK_OFF_US, self.begin)
            return
        operation, body, token = self._choose()
        if operation is None:
            self.world.after(BACK_OFF_US, self.begin)
            return
        self.run(operation, body, token)

    def run(self, operation: Operation, body: Any = None, token: Token | None = None) -> None:
        """Carry one operation through."""
        body = body or operation.body
        if body is None:
            token = self._new_token(operation.database) if operation.writes else None
            strongest = bool(self.dials.acks or self.dials.fixed) and operation.level == LINEARIZABLE
            if token is None and self.dials.exports and self.rng.random() < self.dials.exports:
                body = OpenCopy(operation.database, operation.level, strongest)
            elif token is None and self.dials.streams and self.rng.random() < self.dials.streams:
                body = first_view(operation, strongest, self.rng)
            else:
                after = operation.visit.bookmark if operation.visit is not None else None
                level = operation.level
                body = Run(operation.database, operation.statements, level, token, strongest=strongest, after=after)
            if token is not None:
                self.operations.sent(token.name, operation.statements)
        if self.rng.random() < (self.dials.wander if operation.visit is None or operation.writes else SESSION_WANDERS):
            self._target = self._node_at("")
        self.call = Call(operation, body, token)
        self._send()

    def settle(self) -> bool:
        """In the liveness phase: ask what became of a write that was given up. False when there is nothing to ask."""
        if self.call is not None or not self.unsettled:
            return False
        given_up = self.unsettled.pop(0)
        assert given_up.token is not None
        self.call = Call(given_up.operation, given_up.original, given_up.token)
        self.call.body = Outcome(given_up.operation.database, given_up.token)
        self.call.asked_outcome = True
        self._send()
        return True

    def _new_token(self, database: str) -> Token:
        """Every other one is bound to its statements, as those are that a caller chose."""
        self._tokens += 1
        bound = f"{BOUND}mine" if self._tokens % 2 else ""
        return Token(f"{self.number}-{self._tokens}{bound}", self.seen.get(database, 0))

    def _choose(self) -> tuple[Operation | None, Any, Token | None]:
        database = self.rng.choice(self.databases)
        if database.ready and self.dials.acks and self.rng.random() < self.dials.alters:
            return self._alter(database)
        if database.ready:
            self._process += 1
            return database.next(self.operations, self._process), None, None
        if database.claimed:
            return None, None, None
        database.claimed = True
        if database.created:
            return database.setup(self.operations), None, None
        token = self._new_token(database.name)

        def ended(end: str, _results: Any) -> None:
            database.created = end == OK
            database.claimed = False

        replication, options = database.replication, database.options
        body = CreateDatabase(database.name, replication, options, database.replicas, token, exists_ok=True)
        return Operation("create", database.name, [], ended, writes=True), body, token

    def _alter(self, database: Database) -> tuple[Operation, Any, Token]:
        """Change the acks of a database in use."""
        possible = [acks for acks in self.dials.acks if parse(acks).followers < database.replicas]
        acks = self.rng.choice(possible or ["sync"])
        database.rules.append(parse(acks))
        if database.loose:
            self.operations.ledger.loose.add(database.name)
        token = self._new_token(database.name)
        operation = Operation("alter", database.name, [], lambda _end, _results: None, writes=True)
        options = {"acks": acks}
        if self.dials.by_hand and self.rng.random() < self.dials.by_hand:
            options["failover"] = self.rng.choice((MANUAL, MANUAL, AUTO))
        if self.dials.permits and self.rng.random() < self.dials.permits:
            options["failover"] = self.rng.choice((ETCD, ETCD, ETCD, ETCD, AUTO))
        return operation, AlterDatabase(database.name, options, token), token

    # ---- attempts --------------------------------------------------------------------------------------

    def _send(self) -> None:
        call = self.call
        assert call is not None
        call.attempt += 1
        self._ask(call.body, call)
        if self.dials.client_crash and self._may_crash(call):
            self.world.mark("client crash")
            self._abandon(call)
            return
        if self.dials.leaves and call.token is not None and self._lets_go(call, self.dials.leaves):
            wait_us = self.rng.randint(0, self.dials.patience_us)
            self.world.after(wait_us, self._leave, call, call.number, self._target)
        self.world.after(self.dials.patience_us, self._out_of_patience, call, call.number)

    def _leave(self, call: Call, number: int, target: int) -> None:
        """Its caller does not wait any more, and says so."""
        if not call.ended and call.number == number:
            self.world.mark("caller left")
            self.network.send(-self.number, target, codec.encode(Left(number)))
            self._abandon(call)

    def _ask(self, body: Any, call: Call) -> None:
        self._asks += 1
        call.number = self._asks
        self._waiting[call.number] = call
        self.network.send(-self.number, self._target, codec.encode(Ask(call.number, body, self._waits_us)))

    def _may_crash(self, call: Call) -> bool:
        """The caller dies right after it has sent; another takes its place."""
        return self._lets_go(call, self.dials.client_crash)

    def _lets_go(self, call: Call, chance: float) -> bool:
        lasting = call.operation.kind in {"setup", "create"}
        return not (self.closing or lasting) and self.rng.random() < chance

    def _out_of_patience(self, call: Call, number: int) -> None:
        if call.ended or call.number != number:
            return
        self.world.mark("timed out")
        if isinstance(call.fetching, Viewing) and self.rng.random() < ASKS_AGAIN:  # the answer may have been lost
            self._ask(call.body, call)
            self.world.after(self.dials.patience_us, self._out_of_patience, call, call.number)
            return
        call.maybe = True
        self._target = self.rng.randint(1, self.network.nodes)
        self._try_again(call)

    def _try_again(self, call: Call) -> None:
        """Another attempt with the same token; or ask what became of it; or give up."""
        if call.fetching is not None:  # a copy begins anew, elsewhere perhaps
            call.body, call.fetching = call.original, None
        if isinstance(call.body, WriteRow) and call.maybe and not call.body.minted:
            self._abandon(call)  # asked again without a version, it could take effect twice
            return
        if self.closing or call.attempt < self.dials.attempts or not self._may_give_up(call):
            if self._should_ask_outcome(call):
                assert call.token is not None
                call.asked_outcome = True
                call.body = Outcome(call.operation.database, call.token)
            call.number = 0
            pause = self.rng.randint(0, BACK_OFF_US * min(call.attempt, 8))
            self.world.after(pause, self._again, call)
            return
        if not call.maybe:  # every attempt was answered that it was not done: then it must not be
            self.world.mark("told not done")
            self._end(call, FAIL, None)
            return
        self.world.mark("unsure")
        self._abandon(call)

    def _abandon(self, call: Call) -> None:
        """Nobody waits for this one any more; what became of it is asked in the liveness phase."""
        if call.token is not None and isinstance(call.original, Run | Script):
            self.unsettled.append(call)
        self._end(call, INFO, None)

    def _should_ask_outcome(self, call: Call) -> bool:
        return (
            isinstance(call.body, Run | Script)
            and call.token is not None
            and call.operation.kind != "setup"
            and call.attempt >= self.dials.attempts
            and self.rng.random() < 0.5
        )

    def _may_give_up(self, call: Call) -> bool:
        return call.operation.kind not in {"setup", "create"} and self.rng.random() < self.dials.give_up

    def _again(self, call: Call) -> None:
        if not call.ended and call.number == 0:
            self._send()

    # ---- answers ---------------------------------------------------------------------------------------

    def _receive(self, _source: int, payload: bytes) -> None:
        told = codec.decode_told(payload)
        if isinstance(told.body, Running):
            self.world.mark("told running")
            return
        if isinstance(told.body, Minted):
            self._minted(told.id, told.body)
            return
        repeated = self._repeats.pop(told.id, None)
        if repeated is not None:
            self._compare_repetition(*repeated, told.body)
            return
        call = self._waiting.pop(told.id, None)
        if call is None or call.ended:
            if call is not None and call.token is not None and call.attempt == 1 and isinstance(told.body, Refused):
                self._not_done.add(call.token.id)
            return
        body = told.body
        if isinstance(body, Answer):
            database = call.operation.database
            self.seen[database] = max(self.seen.get(database, 0), body.index)
            if call.operation.visit is not None:
                call.operation.visit.heard(getattr(call.body, "after", None), body.place)
            if isinstance(call.original, OpenCopy | OpenView):
                if told.id == call.number:
                    self._fetched(call, body)
                return
            outcome = _outcome.decode(body.outcome)
            self._answered(call, outcome)
        elif told.id != call.number:
            return  # about an older attempt; the newest one is still open
        elif isinstance(body, NotLeader | Unsure):
            self.world.mark("not leader" if isinstance(body, NotLeader) else "told unsure")
            call.maybe = call.maybe or isinstance(body, Unsure)
            self._target = self._node_at(body.leader)
            belongs_to(call, getattr(body, "group", 0))
            self._try_again(call)
        elif isinstance(body, Refused):
            self._refused(call, body)
        else:
            raise Violation(TRUE_ANSWER, f"a strange answer: {body!r}")

    def _minted(self, number: int, told: Minted) -> None:
        """The write has this version: whoever is asked again is given it."""
        call = self._waiting.get(number)
        if call is not None:
            call.operation.when_minted(told)
            call.body = structs.replace(call.original, minted=told.state)

    def _fetched(self, call: Call, answer: Answer) -> None:
        """A part of a copy: fetch the next from the same node, or read in it what was to be read."""
        call.fetching = call.fetching or self._fetching(call)
        whole = call.fetching.take(answer)
        call.body = call.fetching.ask
        if whole:
            self.world.mark("copy fetched" if isinstance(call.fetching, Fetching) else "view read")
            if isinstance(call.fetching, Viewing) and call.fetching.pieces > len(call.operation.statements):
                self.world.mark("read in pieces")
            self._answered(call, _outcome.decode(call.fetching.read(call.operation.statements)))
        if not whole or self.rng.random() < LETS_GO:
            self._ask(call.body, call)
        if not whole:
            self.world.after(self.dials.patience_us, self._out_of_patience, call, call.number)

    def _fetching(self, call: Call) -> Fetching | Viewing:
        if isinstance(call.original, OpenView):
            sizes = SIZES if call.attempt < HURRIES else SIZES[-1:]
            return Viewing(call.original, call.operation.statements, sizes, self.rng)
        return Fetching(call.original)

    def _node_at(self, address: str) -> int:
        if address and self.rng.random() < 0.9:
            return node_at(address)
        return self.rng.randint(1, self.network.nodes)

    def _refused(self, call: Call, body: Refused) -> None:
        self.world.mark(f"refused: {body.error}")
        if body.error == "BookmarkLost" and call.operation.visit is not None:
            self._lost_bookmark(call)
            return
        transient = body.retryable or body.error in ("UnknownDatabase", "StatementTimeout")
        second = call.operation.kind == "alter" and body.error == "ChangeUnderWay"  # another client was first
        if not self.operations.may_fail(call.operation.kind) and not transient and not second:
            raise Violation(TRUE_ANSWER, f"{call.operation.kind} was refused: {body!r}")
        if transient:
            self._target = self._node_at("")
            self._try_again(call)
        else:  # refused for what it says, as every attempt is
            self._end(call, FAIL, None)

    def _lost_bookmark(self, call: Call) -> None:
        """What the session had seen is gone. Where nothing may be lost, nobody may say so."""
        assert call.operation.visit is not None
        database = call.operation.database
        if not any(one.loose for one in self.databases if one.name == database):
            raise Violation(TRUE_ANSWER, f"a bookmark of {database} was told to be lost, and nothing may be lost there")
        call.operation.visit.begin_anew()
        if call.maybe:
            self._abandon(call)
        else:
            self._end(call, FAIL, None)

    def _answered(self, call: Call, outcome: Any) -> None:
        if isinstance(outcome, Done):
            self.world.mark("ok")
            if call.token is not None and call.token.id in self._not_done:
                raise Violation(TRUE_ANSWER, f"{call.operation.kind} was told not to be done, and is: {call.token.id}")
            if call.token is not None and isinstance(call.original, Run | Script):
                self.operations.ledger.acknowledged.setdefault(call.operation.database, []).append(call.token.id)
                self.operations.ledger.done_at[call.operation.database] = self.world.now_us
            if not self.closing:
                self.operations.ledger.answered()
            self._end(call, OK, outcome.results if not outcome.truncated else None)
        elif isinstance(outcome, Failed):
            loose = call.operation.database in self.operations.ledger.loose
            if not self.operations.may_fail(call.operation.kind) and call.operation.level == LINEARIZABLE and not loose:
                raise Violation(TRUE_ANSWER, f"{call.operation.kind} failed: {outcome!r}")
            self.world.mark("failed")
            self._end(call, FAIL, None)
        elif isinstance(outcome, Cancelled):
            if not call.asked_outcome:
                raise Violation(TRUE_ANSWER, f"{call.operation.kind} was cancelled without being asked about")
            self.world.mark("cancelled")
            self._end(call, FAIL, None)
        elif isinstance(outcome, Expired):
            self.world.mark("expired")
            self._end(call, INFO, None)
        lasts = isinstance(call.original, Run | Script) and call.token is not None
        if lasts and self.rng.random() < self.dials.repeat:
            wait_us = self.rng.choice((2 * SECOND, self.dials.safety_us))
            self.world.after(self.rng.randint(0, wait_us), self._repeat, call, outcome)

    def _end(self, call: Call, end: str, results: Any) -> None:
        call.ended = True
        self.world.mark(f"{call.operation.kind}: {end}")
        self.call = None
        call.operation.when_ended(end, results)
        pause = self.rng.randint(0, 2 * self.dials.think_us)
        if self.closing:
            self.world.after(MILLISECOND, self.settle)
        else:
            self.world.after(pause, self.begin)

    # ---- late repetitions ------------------------------------------------------------------------------

    def _repeat(self, call: Call, outcome: Any) -> None:
        """Send an answered write once more, as a network or an impatient proxy might: also one that was
        cancelled, and so must never take effect."""
        self._asks += 1
        body = call.original
        if BOUND in body.token.id and self._asks % 3 == 0:  # a caller uses the name again, for something else
            body = structs.replace(body, token=Token(f"{body.token.name}{BOUND}other", body.token.seen))
            outcome = None
        self._repeats[self._asks] = (call, outcome)
        payload = codec.encode(Ask(self._asks, body))
        self.network.send(-self.number, self.rng.randint(1, self.network.nodes), payload)

    def _compare_repetition(self, call: Call, first: Any, body: Any) -> None:
        if not isinstance(body, Answer):
            return
        again = _outcome.decode(body.outcome)
        self.world.mark("repetitions answered")
        if isinstance(again, Expired) or isinstance(first, Expired) or getattr(again, "truncated", False):
            return
        if call.operation.database in self.operations.ledger.loose:
            return
        if first is None:
            if not isinstance(again, Cancelled) and getattr(again, "error", "") != "TokenReused":
                text = f"another write under the token of a {call.operation.kind} was told {again!r}"
                raise Violation(SAME_ANSWER, text)
            self.world.mark("tokens reused")
            return
        if msgspec.to_builtins(again) != msgspec.to_builtins(first):
            text = f"{call.operation.kind} was told {first!r} first, and {again!r} when it was repeated"
            raise Violation(SAME_ANSWER, text)
