"""Every promise of a replication has a judge in the laboratory, and each of these judges has caught something."""

from collections.abc import Callable
from typing import Any

import pytest

from quorate.core.promises import Promise
from quorate.core.replication import REPLICATIONS
from quorate.lab.judges.history import FAIL, OK
from quorate.lab.judges.quorum_reads import GONE, MONOTONIC, ORDERED, REGULAR
from quorate.lab.mutants import known
from quorate.lab.sim.engine.world import Violation, World
from quorate.lab.sim.replications.multi_leader.elements import CAUSAL_ORDER
from quorate.lab.sim.replications.single_leader.invariants import REPLICAS_EQUAL
from quorate.lab.sim.replications.single_leader.tails import LOST_TAIL
from quorate.lab.sim.workloads.ledger import (
    ACKNOWLEDGED_LOST,
    ATOMICITY,
    EXACTLY_ONCE,
    LINEARIZABILITY,
    TRUE_ANSWER,
    Ledger,
)
from quorate.lab.sim.workloads.transacted import SERIALIZABILITY
from quorate.lab.sim.workloads.visitors import BOUNDED_STALENESS, SESSION

EVERY = dict.fromkeys(promise for each in REPLICATIONS.values() for promise in each.promises.every)
JUDGES = {
    REPLICAS_EQUAL,
    ACKNOWLEDGED_LOST,
    ATOMICITY,
    EXACTLY_ONCE,
    LINEARIZABILITY,
    TRUE_ANSWER,
    LOST_TAIL,
    SESSION,
    BOUNDED_STALENESS,
    SERIALIZABILITY,
    CAUSAL_ORDER,
    REGULAR,
    ORDERED,
    MONOTONIC,
    GONE,
    "counters",
    "convergence",
}
CAUGHT = {judge for each in known.load().values() for judge in (each.judge, each.outer_judge)}


def tables(**other: dict[Any, Any]) -> dict[str, dict[Any, Any]]:
    return {"counters": {}, "marks": {}, "pairs": {0: 5, 1: 5}, **other}


def marked(ledger: Ledger, end: str) -> None:
    ledger.marks["data", 7] = end


def committed(ledger: Ledger) -> None:
    ledger.counter("data", "c0").done = 2


def nothing(_ledger: Ledger) -> None:
    return None


@pytest.mark.parametrize("promise", EVERY, ids=lambda promise: promise.name)
def test_every_promise_has_a_judge(promise: Promise) -> None:
    assert promise.judge in JUDGES, f"{promise.name} is promised, and the laboratory has no judge {promise.judge!r}"


@pytest.mark.parametrize("judge", sorted(JUDGES - {ACKNOWLEDGED_LOST}))
def test_every_such_judge_has_caught_a_mutant(judge: str) -> None:
    assert judge in CAUGHT, f"no mutant dies by the judge {judge!r}: who knows whether it sees anything?"


@pytest.mark.parametrize(
    ("before", "found", "judge"),
    [
        (lambda ledger: marked(ledger, OK), tables(), ACKNOWLEDGED_LOST),
        (lambda ledger: marked(ledger, FAIL), tables(marks={7: "made"}), TRUE_ANSWER),
        (committed, tables(counters={"c0": 3}), EXACTLY_ONCE),
        (committed, tables(counters={"c0": 1}), EXACTLY_ONCE),
        (nothing, tables(pairs={0: 5, 1: 6}), ATOMICITY),
    ],
)
def test_what_the_tables_must_hold_in_the_end(
    before: Callable[[Ledger], None], found: dict[str, dict[Any, Any]], judge: str
) -> None:
    ledger = Ledger(World("promised"))
    before(ledger)
    with pytest.raises(Violation) as broken:
        ledger.check_tables("data", found)
    assert broken.value.judge == judge
    clean = Ledger(World("promised"))
    clean.check_tables("data", tables())
