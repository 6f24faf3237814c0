"""Integer keys that SQLite would allot come from each leader's own range."""

import pytest

from quorate.core.versions.ranges import RANGES, keys_of, next_key
from quorate.storage.failures import RefusedError
from quorate.storage.versions.numbers import RangedKeys
from tests.storage.versions.replicas import Replica, meet

ORDERS = (
    "CREATE TABLE customers(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);"
    "CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers, what TEXT)"
)


class Leader(Replica):
    """A replica whose INSERTs take keys from its range."""

    def __init__(self, origin: int, number: int) -> None:
        super().__init__(origin, ORDERS, {"customers": {}, "orders": {}})
        self.keys = RangedKeys(self.connection, self.store._base, number)

    def add(self, *statements: str) -> None:
        self.now_ms += 1
        with self.store.writing(self.now_ms):
            for each in statements:
                self.connection.execute(self.keys.prepared(each, self.store._schema.read()))
                self.keys.done()


def test_two_leaders_that_are_cut_off_give_different_keys() -> None:
    one, two = Leader(1, 1), Leader(2, 2)
    for each in (one, two):
        each.add("INSERT INTO customers(name) VALUES ('ann'), ('bob')")
        each.add("INSERT INTO orders(customer, what) VALUES (last_insert_rowid(), 'mug')")
        each.add("INSERT INTO orders(customer, what) VALUES ((SELECT max(id) FROM customers), 'cup')")
    meet([one, two])
    for leader, number in ((one, 1), (two, 2)):
        assert leader.conflicts() == []
        own = [key for (key,) in leader.rows("SELECT id FROM customers") if key in keys_of(number)]
        assert own == [keys_of(number).start, keys_of(number).start + 1]
        assert leader.rows("SELECT count(*) FROM customers") == [(4,)]
        leader.add("INSERT INTO customers DEFAULT VALUES")
        assert leader.rows("SELECT last_insert_rowid()") == [(keys_of(number).start + 2,)]


def test_a_key_of_autoincrement_is_not_given_twice() -> None:
    one = Leader(1, 3)
    one.add("INSERT INTO customers(name) VALUES ('ann')", "DELETE FROM customers")
    one.restart()
    one.add("INSERT INTO customers(name) VALUES ('bob')")
    assert one.rows("SELECT id FROM customers") == [(keys_of(3).start + 1,)]


def test_the_end_of_a_range() -> None:
    one = Leader(1, 1)
    one.run(f"INSERT INTO customers VALUES ({keys_of(1).stop - 2}, 'x')")
    with pytest.raises(ValueError, match="used up"):
        one.add("INSERT INTO customers(name) VALUES ('last'), ('one too many')")
    one.add("INSERT INTO customers(name) VALUES ('last')")
    with pytest.raises(RefusedError, match="used up"):
        one.add("INSERT INTO customers(name) VALUES ('one too many')")


def test_ranges_do_not_meet() -> None:
    assert next_key(0, None) == 1
    for number in (0, 1, RANGES - 2):
        assert keys_of(number).stop == keys_of(number + 1).start
    assert keys_of(RANGES - 1).stop == 1 << 53
    assert next_key(5, keys_of(5).stop - 1) is None
    with pytest.raises(ValueError, match="none of them"):
        keys_of(RANGES)
