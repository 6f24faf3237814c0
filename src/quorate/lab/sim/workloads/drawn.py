"""Databases with drawn schemas: statements of `lab.sql` for the clients, and in the end the question whether plain
SQLite, told the same writes in the order in which they were committed, says and holds the same.

That one order explains every outcome is also what "exactly once" means, for whatever the statements did.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from quorate.core.bounds import GroupId
from quorate.core.entries import DATA
from quorate.core.requests import Cancelled, Done, Expired, WriteOutcome
from quorate.core.statements import BOUND, Failed, Statement
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.faults.fault import Dial
from quorate.lab.sim.workloads.operations import Database, Operation, Operations
from quorate.lab.sim.workloads.workload import Order, Workload
from quorate.lab.sql.draw import Drawer
from quorate.lab.sql.shape import Drawn
from quorate.sql.classify import reads_only
from quorate.storage.data.inspecting import Inspection, typed
from quorate.storage.interface import Divergent
from quorate.storage.plain.run import ENDLESS, Asked, PlainRun
from quorate.storage.rows.payload import decode_batch, decode_records

if TYPE_CHECKING:
    from quorate.lab.sim.engine.host import Host

LIKE_SQLITE = "same as SQLite"
DRAWN = "drawn"
"""The kind of these operations: they may fail, as statements may."""
COMPARED = "drawn: compared with SQLite"
INTEGRITY = Statement("PRAGMA integrity_check")

_outcome = msgspec.msgpack.Decoder(WriteOutcome)


class Drawings(Workload):
    """What clients draw, and every write by its token."""

    dial = Dial("drawn")
    judges_order = True
    may_fail = (DRAWN, "schema")
    """No schema changes where a drawn trigger or view names what is not there."""

    def __init__(self, world: World, skip: tuple[str, ...]) -> None:
        super().__init__(world, skip)
        self._world = world
        self._drawers: dict[str, Drawer] = {}
        self._schema: dict[str, list[Drawn]] = {}
        self._writes: dict[str, tuple[Statement, ...]] = {}

    def next(self, operations: Operations, process: int, database: Database) -> Operation:
        """The statements that make the database's schema, one by one; then whatever the random numbers say."""
        drawer = self._drawers.get(database.name)
        if drawer is None:
            drawer = self._drawers[database.name] = Drawer(self._world.rng(f"drawn/{database.name}"))
            self._schema[database.name] = drawer.schema()
        del process
        drawer.rng = operations.rng
        pending = self._schema[database.name]
        drawn = (pending.pop(0),) if pending else drawer.request().statements
        statements = [Statement(each.sql, each.sets, each.many) for each in drawn]

        def ended(_end: str, results: Any) -> None:
            if results is not None:
                for each in drawn:
                    drawer.learn(each)
                    self._world.mark(f"drawn: {each.features[0]}" if each.features else "drawn")

        return Operation(DRAWN, database.name, statements, ended, writes=not reads_only(statements))

    def sent(self, token: str, statements: tuple[Statement, ...]) -> None:
        """A write that some client sends, whatever its kind."""
        self._writes[token] = statements

    def judge_order(self, order: Order, number: GroupId, last: int, replicas: list["Host"]) -> None:
        """Repeat what was committed on plain SQLite, and compare outcomes and contents. Raises Violation."""
        plain = PlainRun()
        try:
            if self._repeat(plain, order, number, last):
                self._compare(plain, number, replicas)
        finally:
            plain.close()

    def _repeat(self, plain: PlainRun, order: Order, number: GroupId, last: int) -> bool:
        """All entries up to the last; False when there is one that cannot be repeated."""
        committed = order.committed.get(number, {})
        for index in range(1, last + 1):
            if index not in committed:
                self._world.mark("drawn: an entry was not seen")
                return False
            kind, payload = order.payloads[number, index, committed[index].epoch]
            if kind != DATA:
                continue
            for token, outcome in decode_records(bytes(decode_batch(payload).records)):
                if BOUND in token:
                    continue  # says only what the token of this name is bound to
                if not self._repeat_one(plain, token, _outcome.decode(outcome), index):
                    self._world.mark("drawn: too long to repeat")
                    return False
        return True

    def _repeat_one(self, plain: PlainRun, token: str, told: Any, index: int) -> bool:
        if isinstance(told, Cancelled | Expired) or (isinstance(told, Failed) and refused(told)):
            return True
        statements = self._writes.get(token)
        if statements is None:
            raise Violation(LIKE_SQLITE, f"entry {index} has a write {token} that nobody sent")
        (heard,) = plain.run([Asked(statements)])
        if ENDLESS in heard:
            plain.undo()
            return False
        plain.commit()
        expected: Any = heard[0] if heard and isinstance(heard[0], Failed) else Done(heard)  # type: ignore[arg-type]
        if not _alike(told, expected):
            text = f"write {token} of entry {index} gave {told!r}, and plain SQLite gives {expected!r}: {statements}"
            raise Violation(LIKE_SQLITE, text)
        return True

    def _compare(self, plain: PlainRun, number: GroupId, replicas: list["Host"]) -> None:
        inspection = Inspection(plain.connection)
        try:
            if "file" in inspection.problems():
                self._world.mark("drawn: SQLite damaged its own file")
                return
            questions = inspection.questions(inner=False)
            expected = {name: [inspection.ask(sql) for sql in some] for name, some in questions.items()}
            sound = inspection.ask(INTEGRITY.sql)
        finally:
            inspection.close()
        for host in replicas:
            for name, some in questions.items():
                statements = tuple(Statement(sql) for sql in some)
                found = [typed(result.rows) for result in self._ask(host, number, statements)]
                if found != expected[name]:
                    text = f"node {host.number} holds in {name} of group {number}: {found!r:.2000}, and plain SQLite"
                    raise Violation(LIKE_SQLITE, f"{text} {expected[name]!r:.2000}")
            found = [typed(result.rows) for result in self._ask(host, number, (INTEGRITY,))]
            if sound == [("ok",)] and found != [sound]:
                raise Violation(LIKE_SQLITE, f"node {host.number}: group {number} is not sound: {found}")
        self._world.mark(COMPARED, len(replicas))

    def _ask(self, host: "Host", number: GroupId, statements: tuple[Statement, ...]) -> Any:
        try:
            outcome = _outcome.decode(host.store.query(number, statements)[0])
        except Divergent as damage:
            raise Violation(LIKE_SQLITE, f"node {host.number} cannot read group {number}: {damage}") from damage
        if not isinstance(outcome, Done):
            raise Violation(LIKE_SQLITE, f"node {host.number} cannot read group {number}: {outcome}")
        return outcome.results


def refused(failed: Failed) -> bool:
    """Was it refused by name, though plain SQLite would have run it?"""
    named = failed.error == "NotSupportedError" or failed.sqlite_errorname == "SQLITE_AUTH"
    return named or (failed.error == "DataError" and "utf-8" in failed.message.lower())


def _alike(told: Any, expected: Any) -> bool:
    """The same failure, or the same results as far as they are remembered."""
    if isinstance(told, Failed) or isinstance(expected, Failed):
        both = isinstance(told, Failed) and isinstance(expected, Failed)
        return both and _of(told) == _of(expected)
    if told.truncated:
        return True
    return [_shown(result) for result in told.results] == [_shown(result) for result in expected.results]


def _of(failed: Any) -> tuple[Any, ...]:
    return failed.error, failed.message[:4_000], failed.sqlite_errorname, failed.statement


def _shown(result: Any) -> tuple[Any, ...]:
    return result.columns, typed(result.rows), result.rowcount, result.lastrowid
