"""Customers and watchers against connections that are made of paper."""

import threading
from typing import Any

import pytest

from quorate import errors
from quorate.lab.nemesis.registers import Registers
from quorate.lab.nemesis.workload import Customers, Told, Watchers


class Paper:
    """A connection that does what its script says."""

    def __init__(self, answers: dict[str, Exception] | None = None) -> None:
        self.answers = answers or {}
        self.tokens: list[str] = []
        self.enough = threading.Event()
        self._seen: set[str] = set()
        self.number = 0
        self.asked: list[str] = []

    def batch(self, calls: list[Any], token: str) -> None:
        self.tokens.append(token)
        self._seen |= {token} & {"order-0-6", "order-1-6"}
        if len(self._seen) == 2:
            self.enough.set()
        if token in self.answers:
            raise self.answers[token]

    def outcome(self, token: str) -> None:
        self.asked.append(token)
        if token.endswith("-2"):
            raise errors.Cancelled("never")

    def execute(self, sql: str, params: tuple[Any, ...] = (), read: str = "") -> "Paper":
        return self

    def fetchone(self) -> tuple[int]:
        return (self.number,)


def shop(paper: Paper) -> Customers:
    customers = Customers(paper, count=2, seed=1)
    customers.start()
    assert paper.enough.wait(10)
    customers.stop()
    return customers


def test_every_order_has_its_own_token_and_is_told_once() -> None:
    paper = Paper()
    customers = shop(paper)
    assert len(set(paper.tokens)) == len(paper.tokens)
    assert sorted(told.reference for told in customers.acknowledged) == sorted(paper.tokens)
    assert all(told.begun_us <= told.ended_us for told in customers.acknowledged)


def test_what_customers_are_told_is_sorted_by_what_it_means() -> None:
    paper = Paper(
        {
            "order-0-1": errors.IntegrityError("CHECK"),
            "order-0-2": errors.MaybeDone("lost", token="order-0-2"),
            "order-0-3": errors.Unavailable("nobody"),
            "order-0-4": errors.MaybeDone("lost", token="order-0-4"),
        }
    )
    customers = shop(paper)
    assert customers.sold_out == ["order-0-1"]
    assert customers.not_done == ["order-0-3"]
    assert customers.unclear == ["order-0-2", "order-0-4"]
    customers.settle()
    assert paper.asked == ["order-0-2", "order-0-4"]
    assert customers.not_done == ["order-0-3", "order-0-2"]
    assert customers.acknowledged[-1].reference == "order-0-4"
    customers.settle()
    assert paper.asked == ["order-0-2", "order-0-4"], "each is asked about once"


def test_an_error_that_means_nothing_to_customers_is_not_swallowed() -> None:
    paper = Paper({"order-1-3": errors.ProgrammingError("no such table")})
    customers = Customers(paper, count=2, seed=1)
    customers.start()
    assert customers._threads.stopping.wait(10), "one customer's failure stops all"
    with pytest.raises(errors.ProgrammingError, match="no such table"):
        customers.stop()


def test_the_first_new_acknowledgement_counts_only_orders_begun_after_the_node_was_gone() -> None:
    customers = Customers(Paper(), 0, 0)
    customers.acknowledged += [Told("a", 10, 90), Told("b", 95, 140), Told("c", 120, 180), Told("d", 130, 170)]
    assert customers.first_new_after(moment_us=100, gone_us=110, scan=1) == 70
    assert customers.first_new_after(moment_us=100, gone_us=131, scan=1) is None


def test_a_watcher_sees_time_run_backwards() -> None:
    paper = Paper()
    watchers = Watchers(paper, Customers(paper, 0, 0), 0)
    for number in (3, 3, 5):
        paper.number = number
        watchers.look()
    assert watchers.went_back == []
    paper.number = 4
    watchers.look()
    assert watchers.went_back == ["read 4 after 5"]
    assert watchers.reads == 4


def test_a_watcher_sees_that_an_acknowledged_order_is_missing() -> None:
    paper = Paper()
    customers = Customers(paper, 0, 0)
    customers.acknowledged += [Told("a", 1, 2), Told("b", 3, 4)]
    watchers = Watchers(paper, customers, 0)
    paper.number = 1
    watchers.look()
    assert watchers.went_back == ["read 1 after 2"]


def test_the_judge_is_asked_about_the_registers() -> None:
    registers = Registers(Paper(), seed=1)
    registers._write(0, "a", 5)
    registers.connection.number = 5
    registers._read(1, "a")
    assert registers.verdict().verdict == "ok"
    registers.connection.number = 0
    registers._read(1, "a")
    assert registers.verdict().verdict == "broken"
