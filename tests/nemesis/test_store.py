"""The account finds each kind of wrong that the demo and the campaign look for."""

import random

from quorate.lab.nemesis.store import GOODS, Books, Order, make_order, order_calls, settle

FULL = {sku: n for sku, _, _, n in GOODS}


def books(orders: dict[str, int], **changed: int) -> Books:
    """Every order is one mug, and the stock agrees unless it is changed."""
    numbers = range(1, sum(orders.values()) + 1)
    stock = {**FULL, "mug": FULL["mug"] - len(numbers), **changed}
    return Books(orders=orders, stock=stock, lines=tuple((number, "mug", 1) for number in numbers), lineless=0)


def test_all_well() -> None:
    good = books({"a": 1, "b": 1})
    account = settle(["a", "b"], ["c"], [good, good, good])
    assert (account.lost, account.duplicated, account.invented) == (0, 0, 0)
    assert account.stock_agrees
    assert account.replicas_equal


def test_an_acknowledged_order_missing_on_one_replica_is_lost() -> None:
    account = settle(["a", "b"], [], [books({"a": 1, "b": 1}), books({"a": 1})])
    assert account.lost == 1
    assert not account.replicas_equal


def test_an_order_that_stands_twice_is_duplicated() -> None:
    assert settle(["a"], [], [books({"a": 2})]).duplicated == 1


def test_an_order_that_was_refused_and_is_there_is_invented() -> None:
    assert settle(["a"], ["b"], [books({"a": 1, "b": 1})]).invented == 1


def test_stock_that_was_taken_without_an_order_is_seen() -> None:
    assert not settle(["a"], [], [books({"a": 1}, mug=FULL["mug"] - 2)]).stock_agrees


def test_no_replica_to_look_at_is_not_a_pass() -> None:
    account = settle([], [], [])
    assert not account.stock_agrees
    assert not account.replicas_equal


def test_orders_are_repeatable_from_a_seed() -> None:
    assert make_order("a", random.Random(7)) == make_order("a", random.Random(7))


def test_an_order_takes_from_stock_before_it_is_written() -> None:
    calls = order_calls(Order("a", 3, (("jug", 1), ("mug", 2))))
    assert [call[0].split()[0] for call in calls] == ["UPDATE", "UPDATE", "INSERT", "INSERT", "INSERT"]
    assert calls[1][1] == (2, "mug")
