"""A lost entry, applied again to a database that has gone on without it."""

from collections.abc import Iterator

import pytest

from quorate.core.entries import Position
from quorate.core.requests import Done, Outcome, Replay, Run
from quorate.core.statements import Failed, Statement, Token
from quorate.storage.data.replica import Replica
from quorate.storage.rows import replaying
from quorate.storage.rows.describing import describe
from quorate.storage.rows.payload import decode_batch, decode_outcome

SCHEMA = (
    "CREATE TABLE stock(sku TEXT PRIMARY KEY, n INT NOT NULL CHECK (n >= 0)) STRICT",
    "CREATE TABLE orders(id INTEGER PRIMARY KEY, sku TEXT NOT NULL)",
    "CREATE TABLE log(what)",
    "CREATE TRIGGER ordered AFTER INSERT ON orders BEGIN UPDATE stock SET n = n - 1 WHERE sku = new.sku; END",
    "INSERT INTO stock VALUES ('mug', 10), ('cup', 10)",
)


class Side:
    """One history: a replica that leads."""

    def __init__(self) -> None:
        self.replica = Replica(":memory:")
        self.tokens = 0
        self.write(*SCHEMA)

    def execute(self, request: Run | Replay | Outcome) -> tuple[bytes | None, object]:
        payload, outcomes = self.replica.execute([request], 1)
        if payload is not None:
            position = Position(1, self.replica.applied.index + 1)
            self.replica.commit(position)
        return payload, decode_outcome(outcomes[0])

    def write(self, *texts: str, token: str = "") -> bytes:
        self.tokens += 1
        name = token or f"{id(self)}-{self.tokens}"
        payload, outcome = self.execute(Run("main", tuple(map(Statement, texts)), token=Token(name, 0)))
        assert isinstance(outcome, Done), outcome
        assert payload is not None
        return payload

    def replay(self, payload: bytes, token: str = "lost") -> tuple[int, list[tuple[object, ...]]]:
        _, outcome = self.execute(Replay("main", payload, Token(token, 0)))
        assert isinstance(outcome, Done), outcome
        return outcome.results[0].rowcount, list(outcome.results[0].rows)

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        encoded, _ = self.replica.query([Statement(sql)])
        outcome = decode_outcome(encoded)
        assert isinstance(outcome, Done)
        return list(outcome.results[0].rows)


@pytest.fixture
def sides() -> Iterator[tuple[Side, Side]]:
    lost, here = Side(), Side()
    yield lost, here
    lost.replica.close()
    here.replica.close()


def test_what_still_fits_is_applied_and_triggers_do_not_fire_again(sides: tuple[Side, Side]) -> None:
    lost, here = sides
    payload = lost.write("INSERT INTO orders VALUES (1, 'mug')", "INSERT INTO log VALUES ('one')", token="a")
    assert here.replay(payload) == (3, [])
    assert here.rows("SELECT * FROM orders") == [(1, "mug")]
    assert here.rows("SELECT n FROM stock WHERE sku = 'mug'") == [(9,)]
    assert here.replica.digest() != ""


def test_a_row_that_was_changed_since_is_left_alone_and_reported(sides: tuple[Side, Side]) -> None:
    lost, here = sides
    payload = lost.write("UPDATE stock SET n = n - 1 WHERE sku = 'mug'", "UPDATE stock SET n = 3 WHERE sku = 'cup'")
    here.write("UPDATE stock SET n = n - 5 WHERE sku = 'mug'")
    assert here.replay(payload) == (1, [("stock", "'mug'", replaying.CHANGED)])
    assert here.rows("SELECT sku, n FROM stock ORDER BY sku") == [("cup", 3), ("mug", 5)]


def test_a_key_that_is_taken_a_row_that_is_gone_and_a_table_that_is_another(sides: tuple[Side, Side]) -> None:
    lost, here = sides
    payload = lost.write(
        "INSERT INTO orders VALUES (1, 'cup')", "DELETE FROM stock WHERE sku = 'mug'", "INSERT INTO log VALUES ('x')"
    )
    here.write("INSERT INTO orders VALUES (1, 'mug')")
    here.write("DELETE FROM stock")
    here.write("DROP TABLE log")
    applied, unfit = here.replay(payload)
    assert applied == 0
    assert sorted(unfit, key=repr) == sorted(
        [
            ("orders", "1", replaying.TAKEN),
            ("stock", "'mug'", replaying.GONE),
            ("stock", "'cup'", replaying.GONE),
            ("log", "1", replaying.NO_TABLE),
        ],
        key=repr,
    )
    assert here.rows("SELECT * FROM orders") == [(1, "mug")]


def test_a_constraint_of_now_wins(sides: tuple[Side, Side]) -> None:
    lost, here = sides
    payload = lost.write("INSERT INTO orders VALUES (7, 'cup')")
    here.write("CREATE UNIQUE INDEX one_each ON orders(sku)", "INSERT INTO orders VALUES (8, 'cup')")
    _, unfit = here.replay(payload)
    assert ("orders", "7", replaying.FORBIDDEN) in unfit
    assert here.rows("SELECT id FROM orders") == [(8,)]


def test_a_lost_change_of_the_schema_is_replayed_while_the_schema_is_the_same(sides: tuple[Side, Side]) -> None:
    lost, here = sides
    payload = lost.write("CREATE TABLE notes(id INTEGER PRIMARY KEY, t)", "INSERT INTO notes VALUES (1, 'a')")
    assert here.replay(payload) == (2, [])
    assert here.rows("SELECT * FROM notes") == [(1, "a")]
    payload = lost.write("ALTER TABLE notes ADD COLUMN u")
    here.write("CREATE TABLE other(a)")
    assert here.replay(payload, "second") == (0, [("", "ALTER TABLE notes ADD COLUMN u", replaying.OTHER_SCHEMA)])


def test_a_replay_happens_once_and_a_follower_repeats_it(sides: tuple[Side, Side]) -> None:
    lost, here = sides
    payload = lost.write("INSERT INTO log VALUES ('x')", token="a")
    assert here.replay(payload) == (1, [])
    assert here.replay(payload) == (1, []), "the remembered outcome"
    assert here.replay(payload, "by another name") == (0, [("", "a", replaying.settled_result(["a"], 1).rows[0][2])])
    assert here.rows("SELECT count(*) FROM log") == [(1,)]


def test_the_callers_of_a_replayed_entry_are_remembered(sides: tuple[Side, Side]) -> None:
    lost, here = sides
    payload = lost.write("INSERT INTO log VALUES ('x')", token="order-1")
    here.replay(payload)
    _, outcome = here.execute(Outcome("main", Token("order-1", 0)))
    assert isinstance(outcome, Done)


def test_a_write_that_its_caller_sent_again_is_not_applied_twice(sides: tuple[Side, Side]) -> None:
    lost, here = sides
    payload = lost.write("UPDATE stock SET n = n - 1 WHERE sku = 'mug'", token="order-1")
    here.write("UPDATE stock SET n = n - 1 WHERE sku = 'mug'", token="order-1")
    applied, unfit = here.replay(payload)
    assert (applied, [row[1] for row in unfit]) == (0, ["order-1"])
    assert here.rows("SELECT n FROM stock WHERE sku = 'mug'") == [(9,)]


def test_what_a_replay_did_reaches_followers_as_any_entry(sides: tuple[Side, Side]) -> None:
    lost, here = sides
    payload = lost.write("INSERT INTO log VALUES ('x')", "UPDATE stock SET n = 1 WHERE sku = 'cup'")
    follower = Side()
    try:
        entry, _ = here.execute(Replay("main", payload, Token("lost", 0)))
        assert entry is not None
        batch = decode_batch(entry)
        assert [(table, op) for table, op, _, _ in describe(batch)] == [
            ("stock", "UPDATE"),
            ("log", "INSERT"),
        ] or len(describe(batch)) == 2
    finally:
        follower.replica.close()


def test_bytes_that_are_no_entry_are_refused(sides: tuple[Side, Side]) -> None:
    _, here = sides
    _, outcome = here.execute(Replay("main", b"\x00", Token("lost", 0)))
    assert isinstance(outcome, Failed)
