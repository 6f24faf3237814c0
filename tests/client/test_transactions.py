"""The script that a transaction's client keeps, against a node that is a dictionary."""

import random
from collections.abc import Callable

import pytest
from tests.client.dictionary import Node

from quorate import errors
from quorate.client.attempts import Attempts
from quorate.client.transactions import COMMITTED, FAILED, OPEN, ROLLED_BACK, UNSURE, Keeper, check_begin
from quorate.core.read_levels import EVENTUAL, LEADER
from quorate.core.requests import Cancelled, Expired
from quorate.core.scripts import Evaluated, Pin
from quorate.core.statements import Failed, Result, Statement, Token
from quorate.sql.control import RELEASE, ROLLBACK_TO, SAVEPOINT, Control

TOKEN = Token("t", 1)


class Driver:
    """What the clients do with a keeper, without waiting."""

    def __init__(self, node: Node, **options: bool | str) -> None:
        self.node = node
        self.keeper = Keeper("db", **options)  # type: ignore[arg-type]
        self.keeper.begin()

    def run(self, sql: str) -> Result:
        return self.keeper.heard(self.node.run(self.keeper.ask(Statement(sql))))

    def read(self, key: str) -> object:
        return self.run(f"SELECT {key}").rows[0][0]

    def commit(self) -> None:
        question = self.keeper.before_commit()
        if question is not None:
            self.keeper.heard_before_commit(self.node.run(question))
        request = self.keeper.commit()
        if request is not None:
            outcome = self.node.run(request)
            assert not isinstance(outcome, Evaluated)
            self.keeper.committed(outcome, TOKEN)


@pytest.fixture
def node() -> Node:
    return Node()


def test_a_transaction_sees_its_own_writes_and_nobody_else_does_before_commit(node: Node) -> None:
    tx = Driver(node)
    assert tx.read("a") is None
    assert tx.run("UPDATE a 1").rowcount == 1
    assert tx.read("a") == 1
    assert Driver(node).read("a") is None
    tx.commit()
    assert tx.keeper.state == COMMITTED
    assert Driver(node).read("a") == 1


def test_the_whole_script_is_sent_with_digests_and_pins(node: Node) -> None:
    tx = Driver(node)
    tx.run("UPDATE a 1")
    tx.read("a")
    tx.commit()
    first, second, last = node.scripts
    assert [bool(step.digest) for step in first.steps] == [False]
    assert [bool(step.digest) for step in second.steps] == [True, False]
    assert [(bool(step.digest), step.pin) for step in last.steps] == [(True, Pin(7, 0)), (True, Pin(7, 1))]
    assert (first.commit, last.commit) == (False, True)


def test_what_others_changed_ends_it_and_nothing_is_done(node: Node) -> None:
    tx, other = Driver(node), Driver(node)
    tx.read("a")
    other.run("UPDATE a 5")
    other.commit()
    with pytest.raises(errors.SerializationFailure) as caught:
        tx.run("UPDATE a 6")
    assert caught.value.retryable
    assert tx.keeper.state == FAILED
    with pytest.raises(errors.SerializationFailure):
        tx.read("b")
    with pytest.raises(errors.SerializationFailure):
        tx.commit()
    assert node.rows == {"a": 5}


def test_what_others_changed_before_commit_fails_it(node: Node) -> None:
    tx, other = Driver(node), Driver(node)
    tx.read("a")
    tx.run("UPDATE b 6")
    other.run("UPDATE a 5")
    other.commit()
    with pytest.raises(errors.SerializationFailure):
        tx.commit()
    assert tx.keeper.state == FAILED
    assert node.rows == {"a": 5}


def test_one_that_only_read_commits_without_a_request_at_its_level(node: Node) -> None:
    tx = Driver(node, level=EVENTUAL)
    tx.read("a")
    tx.read("b")
    asked = len(node.scripts)
    tx.commit()
    assert len(node.scripts) == asked
    assert {script.level for script in node.scripts} == {EVENTUAL}
    assert tx.keeper.state == COMMITTED


def test_one_that_writes_after_reads_is_run_by_the_leader(node: Node) -> None:
    tx = Driver(node, level=EVENTUAL)
    tx.read("a")
    tx.run("UPDATE a 1")
    tx.read("a")
    assert [script.level for script in node.scripts] == [EVENTUAL, LEADER, LEADER]


def test_a_statement_that_fails_is_undone_alone_and_belongs_to_the_script(node: Node) -> None:
    tx = Driver(node)
    tx.run("UPDATE a 1")
    with pytest.raises(errors.IntegrityError) as caught:
        tx.run("UPDATE a 13")
    assert caught.value.sqlite_errorname == "SQLITE_CONSTRAINT"
    tx.commit()
    assert len(node.scripts[-1].steps) == 2
    assert node.rows == {"a": 1}


def test_a_statement_without_an_answer_is_not_in_the_script(node: Node) -> None:
    tx = Driver(node)
    tx.run("UPDATE a 1")
    tx.keeper.ask(Statement("UPDATE a 2"))
    tx.keeper.dropped()
    assert tx.read("a") == 1
    tx.keeper.ask(Statement("UPDATE a 3"))
    with pytest.raises(errors.TooLarge):
        tx.keeper.heard(Failed("TooLarge", "it is"))
    tx.commit()
    assert node.rows == {"a": 1}


def test_read_only_refuses_writes_by_name(node: Node) -> None:
    tx = Driver(node, read_only=True)
    with pytest.raises(errors.ProgrammingError, match="'UPDATE a 1' may write"):
        tx.run("UPDATE a 1")
    assert tx.read("a") is None


def test_savepoints_wait_for_the_next_statement(node: Node) -> None:
    tx = Driver(node)
    tx.run("UPDATE a 1")
    tx.keeper.control(Control(SAVEPOINT, 'od"d'))
    tx.run("UPDATE a 2")
    tx.keeper.control(Control(ROLLBACK_TO, 'od"d'))
    assert tx.read("a") == 1
    assert len(node.scripts) == 3
    assert [step.statement.sql for step in node.scripts[-1].steps][1:4:2] == ['SAVEPOINT "1"', 'ROLLBACK TO "1"']


def test_the_innermost_savepoint_of_a_name_is_meant() -> None:
    keeper = Keeper("db")
    keeper.begin()
    for name in ("a", "b", "a"):
        keeper.control(Control(SAVEPOINT, name))
    keeper.control(Control(RELEASE, "a"))
    keeper.control(Control(RELEASE, "b"))
    with pytest.raises(errors.OperationalError, match="no such savepoint: b"):
        keeper.control(Control(ROLLBACK_TO, "b"))
    keeper.control(Control(ROLLBACK_TO, "a"))
    keeper.control(Control(ROLLBACK_TO, "a"))
    keeper.control(Control(RELEASE, "a"))
    with pytest.raises(errors.OperationalError, match="no such savepoint: a"):
        keeper.control(Control(RELEASE, "a"))


def test_a_rollback_to_a_savepoint_is_run_before_commit(node: Node) -> None:
    tx = Driver(node)
    tx.run("UPDATE a 1")
    tx.keeper.control(Control(SAVEPOINT, "s"))
    tx.run("UPDATE a 2")
    tx.keeper.control(Control(ROLLBACK_TO, "s"))
    tx.keeper.control(Control(RELEASE, "s"))
    tx.commit()
    assert node.rows == {"a": 1}
    assert all(step.digest for step in node.scripts[-1].steps)


def test_savepoints_at_the_end_cost_nothing(node: Node) -> None:
    tx = Driver(node)
    tx.keeper.control(Control(SAVEPOINT, "s"))
    tx.run("UPDATE a 1")
    tx.keeper.control(Control(RELEASE, "s"))
    tx.keeper.control(Control(SAVEPOINT, "t"))
    tx.commit()
    assert len(node.scripts) == 2
    assert node.rows == {"a": 1}


def test_reads_go_without_savepoints_until_something_is_written(node: Node) -> None:
    tx = Driver(node)
    tx.keeper.control(Control(SAVEPOINT, "s"))
    tx.read("a")
    assert len(node.scripts[-1].steps) == 1
    tx.run("UPDATE a 1")
    assert [step.statement.sql for step in node.scripts[-1].steps] == ['SAVEPOINT "1"', "SELECT a", "UPDATE a 1"]
    tx.keeper.control(Control(ROLLBACK_TO, "s"))
    assert tx.read("a") is None


def test_nobody_uses_it_while_it_runs_a_statement(node: Node) -> None:
    tx = Driver(node)
    tx.keeper.ask(Statement("SELECT a"))
    with pytest.raises(errors.InterfaceError, match="of its own in each task"):
        tx.read("b")


def test_an_answer_after_a_rollback_is_not_used(node: Node) -> None:
    tx = Driver(node)
    answer = node.run(tx.keeper.ask(Statement("UPDATE a 1")))
    tx.keeper.rollback()
    with pytest.raises(errors.ProgrammingError, match="rolled back"):
        tx.keeper.heard(answer)


def test_what_is_over_stays_so(node: Node) -> None:
    for end in (Driver.commit, lambda tx: tx.keeper.rollback()):
        tx = Driver(node)
        end(tx)
        with pytest.raises(errors.ProgrammingError, match="begin another"):
            tx.read("a")
        with pytest.raises(errors.ProgrammingError, match="begin another"):
            tx.keeper.begin()


def test_it_is_used_inside_its_block() -> None:
    keeper = Keeper("db")
    with pytest.raises(errors.ProgrammingError, match="inside its with block"):
        keeper.ask(Statement("SELECT a"))


def test_a_commit_that_is_refused_can_be_tried_again(node: Node) -> None:
    tx = Driver(node)
    tx.run("UPDATE a 1")
    assert tx.keeper.commit() is not None
    tx.keeper.dropped()
    assert tx.keeper.state == OPEN
    tx.commit()
    assert node.rows == {"a": 1}


@pytest.mark.parametrize(
    ("outcome", "error", "state"),
    [
        (Failed("IntegrityError", "FOREIGN KEY constraint failed"), errors.IntegrityError, FAILED),
        (Cancelled(), errors.Cancelled, ROLLED_BACK),
        (Expired(), errors.Expired, UNSURE),
    ],
)
def test_what_forbids_a_commit_is_raised(
    node: Node, outcome: Failed | Cancelled | Expired, error: type[errors.Error], state: str
) -> None:
    tx = Driver(node)
    tx.run("UPDATE a 1")
    tx.keeper.commit()
    with pytest.raises(error):
        tx.keeper.committed(outcome, TOKEN)
    assert tx.keeper.state == state


def test_begin_is_one_of_sqlites_words() -> None:
    assert [check_begin(word) for word in ("deferred", "IMMEDIATE", "exclusive")] == [
        "deferred",
        "immediate",
        "exclusive",
    ]
    with pytest.raises(errors.ProgrammingError, match="deferred, immediate or exclusive"):
        check_begin("concurrent")


# ---- how often, and when -----------------------------------------------------------------------------------


def attempts(retries: object = 2, token: str | None = None, clock: Callable[[], float] = lambda: 0.0) -> Attempts:
    return Attempts(retries, token, 10.0, random.Random(1), clock)


def test_an_error_that_would_come_again_is_raised_at_once() -> None:
    error = errors.IntegrityError("it is")
    with pytest.raises(errors.IntegrityError) as caught:
        attempts().pause(error)
    assert caught.value is error


def test_a_name_that_an_earlier_call_has_cancelled_is_not_the_last() -> None:
    """(1) The answer to that call's COMMIT is lost; (2) it asks, which cancels the name; (3) it commits with the next;
    (4) its process dies. Whoever calls again must come to the name that was committed."""
    tries = attempts(token="order-17")
    tries.pause(errors.Cancelled("never"))
    assert tries.token == "order-17+1"
    with pytest.raises(errors.Cancelled):
        attempts().pause(errors.Cancelled("of another write"))


def test_it_tries_again_so_many_times() -> None:
    tries = attempts(2)
    for _ in range(2):
        assert 0.0 <= tries.pause(errors.SerializationFailure()) <= 0.5
    with pytest.raises(errors.SerializationFailure):
        tries.pause(errors.SerializationFailure())


def test_who_has_lost_twice_holds_the_writer() -> None:
    tries = attempts(9)
    begun = []
    for error in (errors.SerializationFailure(), errors.Unavailable("no"), errors.SerializationFailure()):
        begun.append(tries.begin("deferred"))
        tries.pause(error)
    assert [*begun, tries.begin("deferred")] == ["deferred", "deferred", "deferred", "immediate"]
    assert tries.begin("exclusive") == "exclusive"


def test_it_does_not_wait_beyond_its_deadline() -> None:
    overloaded = errors.Overloaded()
    overloaded.again = 3.0
    now = iter([0.0, 6.0, 7.0])
    tries = attempts(clock=lambda: next(now))
    assert tries.pause(overloaded) == 3.0
    with pytest.raises(errors.Overloaded):
        tries.pause(overloaded)


def test_an_attempt_that_was_cancelled_leaves_its_name() -> None:
    tries = attempts(token="order-1")
    assert tries.token == "order-1"
    tries.cancelled()
    assert tries.token == "order-1+1"
    plain = attempts()
    plain.cancelled()
    assert plain.token is None


def test_retries_are_a_number() -> None:
    with pytest.raises(errors.ProgrammingError, match="0 or more"):
        attempts(-1)
    with pytest.raises(errors.ProgrammingError, match="0 or more"):
        attempts(True)
