"""The judge against histories whose verdict is known by thought, by brute force, or by construction."""

import itertools
import random
from typing import Any

import pytest

from quorate.lab.judges.distinct import distinct_register
from quorate.lab.judges.history import FAIL, FOREVER, INFO, OK, History, HistoryError, Operation
from quorate.lab.judges.linearizability import BROKEN, UNKNOWN, Budget, describe, judge, search
from quorate.lab.judges.models import IMPOSSIBLE, Model, Register, Text


def op(function: str, value: Any, invoked: int, returned: int, result: Any = None, end: str = OK) -> Operation:
    return Operation(invoked, function, "k", value, invoked, FOREVER if end == INFO else returned, end, result)


def by_brute_force(operations: list[Operation], model: Model) -> bool:
    """Try every subset of the uncertain operations in every order."""
    certain = [one for one in operations if one.end == OK]
    uncertain = [one for one in operations if one.end == INFO]
    for count in range(len(uncertain) + 1):
        for chosen in itertools.combinations(uncertain, count):
            for order in itertools.permutations([*certain, *chosen]):
                state: Any = model.initial
                for place, one in enumerate(order):
                    if any(later.returned < one.invoked for later in order[place + 1 :]):
                        break
                    state = model.step(state, one)
                    if state is IMPOSSIBLE:
                        break
                else:
                    return True
    return False


def random_history(rng: random.Random, *, distinct: bool) -> list[Operation]:
    operations: list[Operation] = []
    fresh = itertools.count(1)
    for _ in range(rng.randint(1, 6)):
        invoked = rng.randint(0, 12)
        returned = invoked + rng.randint(1, 8)
        end = INFO if rng.random() < 0.2 else OK
        kind = rng.choice(["read", "write"] if distinct else ["read", "write", "cas"])
        if kind == "read":
            operations.append(op("read", None, invoked, returned, rng.choice([None, 1, 2, 3]), end))
        elif kind == "write":
            value = next(fresh) if distinct else rng.randint(1, 2)
            operations.append(op("write", value, invoked, returned, None, end))
        else:
            pair = (rng.choice([None, 1, 2]), rng.randint(1, 3))
            operations.append(op("cas", pair, invoked, returned, rng.random() < 0.5, end))
    return operations


@pytest.mark.parametrize("distinct", [True, False])
def test_search_and_fast_test_agree_with_brute_force(distinct: bool) -> None:
    rng = random.Random(f"agree/{distinct}")
    model = Register()
    seen = {True: 0, False: 0}
    fast = 0
    for _ in range(600):
        operations = random_history(rng, distinct=distinct)
        truth = by_brute_force([one for one in operations if one.end == OK or one.function != "read"], model)
        seen[truth] += 1
        kept = model.prepare(operations)
        assert (search(kept, model, Budget())[0] == "ok") == truth, operations
        answer = distinct_register(kept, None)
        if answer is not None:
            fast += 1
            assert (not answer[1]) == truth, operations
    assert min(seen.values()) > 60, "both verdicts must have been tried"
    assert fast > 300 or not distinct


def test_a_stale_read_is_shown_with_the_operations_that_prove_it() -> None:
    history = History(
        [op("write", 1, 0, 1), op("write", 2, 2, 3), op("read", None, 4, 5, 2), op("read", None, 6, 7, 1)]
        + [op("write", value, value * 10, value * 10 + 1) for value in range(3, 40)]
    )
    for fast in (True, False):
        verdict = judge(history, Register(), fast=fast)
        assert verdict.verdict == BROKEN
        assert len(verdict.witness) <= 4
        assert any("read -> 1" in line for line in describe(verdict))


def test_an_uncertain_write_may_show_up_late_but_only_once_and_only_after_it_began() -> None:
    lost = op("write", 9, 5, 0, end=INFO)
    assert judge(History([lost, op("read", None, 90, 91, 9)]), Register()).verdict == "ok"
    assert judge(History([lost, op("read", None, 90, 91)]), Register()).verdict == "ok"
    assert judge(History([lost, op("read", None, 1, 2, 9)]), Register()).verdict == BROKEN
    back = [lost, op("write", 1, 10, 11), op("read", None, 20, 21, 9), op("read", None, 22, 23, 1)]
    assert judge(History(back), Register()).verdict == BROKEN


def test_what_failed_must_not_be_seen() -> None:
    history = History([op("write", 9, 0, 1, end=FAIL), op("read", None, 2, 3, 9)])
    assert judge(history, Register()).verdict == BROKEN


def test_a_compare_and_set_tells_whether_it_found_its_value() -> None:
    write = op("write", 1, 0, 1)
    assert judge(History([write, op("cas", (1, 2), 2, 3, True), op("read", None, 4, 5, 2)]), Register()).verdict == "ok"
    assert judge(History([write, op("cas", (1, 2), 2, 3, False)]), Register()).verdict == BROKEN
    assert judge(History([write, op("cas", (7, 2), 2, 3, True)]), Register()).verdict == BROKEN


def test_keys_are_judged_alone() -> None:
    good = Operation(1, "write", "a", 1, 0, 1, OK)
    bad = Operation(2, "read", "b", None, 2, 3, OK, 1)
    verdict = judge(History([good, bad]), Register())
    assert (verdict.verdict, verdict.key) == (BROKEN, "b")


def test_a_budget_that_runs_out_gives_unknown_not_a_guess() -> None:
    width = 14
    operations = [op("append", str(number), number, 1000, str(number)) for number in range(width)]
    operations.append(op("get", None, 1001, 1002, "00"))
    verdict = judge(History(operations), Text(), Budget(steps=5_000))
    assert verdict.verdict == UNKNOWN
    assert "gave up" in verdict.reason


def test_an_unknown_function_is_refused() -> None:
    with pytest.raises(HistoryError, match="does not know"):
        judge(History([op("increment", 1, 0, 1)]), Register())


def test_a_long_history_of_different_values_is_judged_in_the_time_of_a_sort() -> None:
    operations = []
    for number in range(20_000):
        operations.append(op("write", number + 1, number * 10, number * 10 + 5))
        operations.append(op("read", None, number * 10 + 6, number * 10 + 9, number + 1))
    assert judge(History(operations), Register()).verdict == "ok"
