"""A workload is a room of its own: what it takes to add one is its class, a line in the registry and its dial."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from quorate.core.node import Node
from quorate.core.requests import Done
from quorate.core.statements import Statement
from quorate.lab.judges.history import FAIL, INFO, OK
from quorate.lab.sim.campaigns.report import Report
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.faults.fault import Dial
from quorate.lab.sim.run import Plan
from quorate.lab.sim.scenarios.named import dials_of, execute
from quorate.lab.sim.stores.store import BadStore
from quorate.lab.sim.workloads import registry
from quorate.lab.sim.workloads.operations import Database, Operation, Operations
from quorate.lab.sim.workloads.workload import Workload

BEADS = "beads"


class Beads(Workload):
    """Beads are threaded one by one; each that was acknowledged is there, once."""

    dial = Dial("large")  # a dial that there is, in place of one of its own
    tables = ("CREATE TABLE beads(mark INTEGER NOT NULL) STRICT",)
    looks = (Statement("SELECT mark FROM beads"),)

    def __init__(self, world: World, skip: tuple[str, ...]) -> None:
        super().__init__(world, skip)
        self.ends: dict[int, str] = {}
        self._world = world

    def next(self, operations: Operations, process: int, database: Database) -> Operation:
        mark = operations.ledger.next_value()
        self.ends[mark] = INFO

        def ended(end: str, _results: Any) -> None:
            self.ends[mark] = end

        thread = Statement("INSERT INTO beads VALUES (?)", ((mark,),))
        return Operation("bead", database.name, [thread], ended, writes=True)

    def judge(self, found: Iterable[Done]) -> None:
        for done in found:
            there = [int(mark) for (mark,) in done.results[0].rows if isinstance(mark, int)]
            if len(set(there)) != len(there) or any(self.ends[mark] == FAIL for mark in there):
                raise Violation(BEADS, f"these should not be there: {there}")
            if missing := [mark for mark, end in self.ends.items() if end == OK and mark not in there]:
                raise Violation(BEADS, f"{missing} are not there")
            self._world.mark("beads judged")


class Forgotten(Beads):
    """Its judge is told of one that nobody has threaded."""

    def judge(self, found: Iterable[Done]) -> None:
        self.ends[0] = OK
        super().judge(found)


def calm_run(workload: type[Workload], monkeypatch: pytest.MonkeyPatch) -> Report:
    monkeypatch.setattr(registry, "WORKLOADS", (workload,))
    dials = msgspec.structs.replace(dials_of("calm", 1), large=4, databases=1)
    return execute(1, dials, Plan("calm", Node, BadStore))


def test_a_workload_brings_its_tables_operations_and_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    report = calm_run(Beads, monkeypatch)
    assert report.ok, report.message
    assert report.marks["beads judged"] >= 3, "each replica was looked at"


def test_what_its_judge_finds_is_what_the_run_comes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    report = calm_run(Forgotten, monkeypatch)
    assert (report.judge, report.message) == (BEADS, "[0] are not there")


def test_every_workload_has_a_dial_of_its_own() -> None:
    dials = [workload.dial.name for workload in registry.WORKLOADS]
    assert len(set(dials)) == len(dials)
    assert all(getattr(dials_of("calm", 1), name) == 0 for name in dials)
