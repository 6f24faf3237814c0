"""Whole nodes - core, driver, in-memory store and transport - on one clock that the test moves."""

import random
from collections.abc import Callable

import msgspec
import pytest
from tests.runtime.stand_ins import FakeLoop, RecordingCaller

from quorate.core.bounds import NodeId
from quorate.core.node import Node
from quorate.core.recovered import Identity, Member
from quorate.core.requests import Answer, Done, ReplyBody, RequestBody, Run, Status, StatusReport, WriteOutcome
from quorate.core.statements import Failed, Statement, Token, Value
from quorate.runtime.driver import Driver
from quorate.storage.memory import MemoryStore
from quorate.transport.memory import MemoryNetwork

MEMBERS = tuple(Member(number, f"n{number}", f"h:{number}") for number in (1, 2, 3))
TICK_US = 10_000
PATIENCE = 1000
"""Ticks: ten seconds of the test's clock."""


_decoder: msgspec.msgpack.Decoder[WriteOutcome] = msgspec.msgpack.Decoder(WriteOutcome)


def decode(answer: Answer) -> WriteOutcome:
    return _decoder.decode(answer.outcome)


class World:
    """Three nodes and somebody who asks them."""

    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.network = MemoryNetwork(self.loop.call_soon)
        self.stores = {each.node: MemoryStore(Identity("c1", each.node, each.name, 0, MEMBERS)) for each in MEMBERS}
        self.drivers: dict[NodeId, Driver] = {}
        self.failures: list[str] = []
        self.asked = 0
        for number in self.stores:
            self.start(number)

    def start(self, number: NodeId) -> None:
        store = self.stores[number]
        node = Node(store.recover(), random.Random(number))
        driver = Driver(node, store, self.loop, self.failures.append)
        driver.clock = self.loop.clock
        driver.transport = self.network.attach(number, driver)
        self.drivers[number] = driver
        driver.start()

    def kill(self, number: NodeId) -> None:
        self.drivers.pop(number).stop()
        self.network.detach(number)

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(PATIENCE):
            if condition():
                assert self.failures == []
                return
            self.loop.advance(TICK_US)
        raise AssertionError("not in ten seconds")

    def ask(self, number: NodeId, body: RequestBody) -> ReplyBody:
        caller = RecordingCaller()
        self.asked += 1
        self.drivers[number].asked(caller, self.asked, body, 1)
        self.until(lambda: bool(caller.told))
        ((_, answer, _),) = caller.told
        return answer  # type: ignore[no-any-return]

    def leader(self) -> NodeId | None:
        for number in self.drivers:
            report = self.ask(number, Status())
            assert isinstance(report, StatusReport)
            if any(group.database == "main" and group.role == "leader" for group in report.groups):
                return number
        return None

    def led_by_another(self, number: NodeId | None) -> NodeId:
        self.until(lambda: self.leader() not in (None, number))
        found = self.leader()
        assert found is not None
        return found

    def run(self, number: NodeId, sql: str, *values: object, level: str = "linearizable") -> WriteOutcome:
        self.asked += 1
        run = Run("main", (Statement(sql, (values,)),), level, Token(f"t{self.asked}", 0))  # type: ignore[arg-type]
        answer = self.ask(number, run)
        assert isinstance(answer, Answer), answer
        return decode(answer)

    def knows_main(self, number: NodeId) -> bool:
        """A node that has just started answers `NotLeader` until it has read its catalog."""
        return isinstance(self.ask(number, Run("main", (Statement("SELECT 1"),), "eventual")), Answer)

    def rows(self, number: NodeId, sql: str, level: str = "linearizable") -> list[tuple[object, ...]]:
        outcome = self.run(number, sql, level=level)
        assert isinstance(outcome, Done)
        return outcome.results[0].rows  # type: ignore[return-value]


@pytest.fixture
def world() -> World:
    made = World()
    made.run(made.led_by_another(None), "CREATE TABLE t(k INTEGER PRIMARY KEY) STRICT")
    made.rows(made.led_by_another(None), "SELECT k FROM t")  # so that the leader's data file has the table
    return made


def test_a_write_reaches_every_replica(world: World) -> None:
    leader = world.led_by_another(None)
    assert isinstance(world.run(leader, "INSERT INTO t VALUES (?)", 1), Done)

    def shows(number: NodeId) -> bool:  # a replica may not even have the table yet
        outcome = world.run(number, "SELECT k FROM t", level="eventual")
        return isinstance(outcome, Done) and outcome.results[0].rows == [(1,)]

    for number in world.drivers:
        world.until(lambda number=number: shows(number))  # type: ignore[misc]


def test_what_was_acknowledged_survives_the_leader(world: World) -> None:
    leader = world.led_by_another(None)
    world.run(leader, "INSERT INTO t VALUES (1)")
    world.kill(leader)
    second = world.led_by_another(leader)
    assert world.rows(second, "SELECT k FROM t") == [(1,)]
    world.run(second, "INSERT INTO t VALUES (2)")
    world.start(leader)
    world.until(lambda: world.knows_main(leader))
    world.until(lambda: world.rows(leader, "SELECT count(*) FROM t", "eventual") == [(2,)])


def test_a_leader_that_is_cut_off_is_replaced_and_catches_up(world: World) -> None:
    leader = world.led_by_another(None)
    others = [number for number in world.drivers if number != leader]
    for number in others:
        world.network.cut(leader, number)
    heard: list[NodeId] = []

    def replaced() -> bool:
        heard[:] = [number for number in others if leads(world, number)]
        return bool(heard)

    world.until(replaced)
    world.run(heard[0], "INSERT INTO t VALUES (7)")
    for number in others:
        world.network.heal(leader, number)
    world.until(lambda: world.rows(leader, "SELECT k FROM t", "eventual") == [(7,)])
    world.until(lambda: not leads(world, leader) or world.leader() == leader)


def leads(world: World, number: NodeId) -> bool:
    report = world.ask(number, Status())
    assert isinstance(report, StatusReport)
    return any(group.database == "main" and group.role == "leader" for group in report.groups)


def test_a_full_disk_stops_acknowledging_and_recovers_by_itself(world: World) -> None:
    leader = world.led_by_another(None)
    for store in world.stores.values():
        store.full = True
    caller = RecordingCaller()
    run = Run("main", (Statement("INSERT INTO t VALUES (9)"),), token=Token("full", 0))
    world.drivers[leader].asked(caller, 1, run, 1)
    for _ in range(100):
        world.loop.advance(TICK_US)
    assert not any(isinstance(decode(body), Done) for _, body, _ in caller.told if isinstance(body, Answer))
    assert world.rows(leader, "SELECT count(*) FROM t", "eventual") == [(0,)], "reads go on"
    for store in world.stores.values():
        store.full = False
    found = world.led_by_another(None)

    def written() -> bool:
        answer = world.ask(found, Run("main", (Statement("INSERT INTO t VALUES (10)"),), token=Token("room", 0)))
        return isinstance(answer, Answer)

    world.until(written)
    assert world.failures == []


def test_a_failing_statement_is_its_callers_alone(world: World) -> None:
    leader = world.led_by_another(None)
    callers = [RecordingCaller() for _ in range(3)]
    values: tuple[Value, ...] = (1, "one", 2)
    for caller, value in zip(callers, values, strict=True):
        run = Run("main", (Statement("INSERT INTO t VALUES (?)", ((value,),)),), token=Token(f"c{value!r}", 0))
        world.drivers[leader].asked(caller, 1, run, 1)
    world.until(lambda: all(caller.told for caller in callers))
    assert [type(decode(caller.told[0][1])) for caller in callers] == [Done, Failed, Done]
