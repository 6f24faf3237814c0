"""How often the generator draws what: every weight of it."""

from collections.abc import Mapping
from random import Random

TABLES = {
    "ordinary": 60, "wide": 3, "fts": 9, "fts external": 6, "rtree": 6, "parent and child": 16,
}  # fmt: skip
"""Kinds of tables that a schema begins with."""

KEYS = {
    "none": 18, "integer": 18, "autoincrement": 10, "integer desc": 4, "int": 5, "text": 12, "blob": 6, "untyped": 10,
    "real": 4, "composite": 10,
}  # fmt: skip
"""What is declared as the key of an ordinary table."""

CLAUSES = {"": 62, "REPLACE": 12, "IGNORE": 8, "FAIL": 6, "ABORT": 6, "ROLLBACK": 6}
"""Conflict clauses, of constraints that have one at all, and of statements."""

ACTIONS = {"": 20, "CASCADE": 35, "SET NULL": 20, "SET DEFAULT": 10, "RESTRICT": 10, "NO ACTION": 5}
"""What foreign keys do."""

TYPES = {
    "": 22, "INTEGER": 14, "INT": 8, "TEXT": 18, "BLOB": 10, "REAL": 10, "NUMERIC": 8, "VARCHAR(9)": 5, "BOOLEAN": 5,
}  # fmt: skip
"""Declared types, of tables that are not STRICT."""

STRICT_TYPES = {"ANY": 30, "INTEGER": 20, "INT": 5, "TEXT": 25, "BLOB": 10, "REAL": 10}

VALUES = {
    "small": 44, "real": 9, "text": 24, "blob": 6, "null": 8, "huge": 3, "zeroes": 3, "not utf-8": 1, "nul": 2,
}  # fmt: skip
"""Values. Most are small, so that they meet."""

STATEMENTS = {
    "insert": 30, "insert select": 7, "insert many rows": 3, "upsert": 10, "replace": 4, "update": 24,
    "update from": 3, "rotate": 4, "retype": 4, "move rowid": 4, "delete": 12, "delete all": 2, "executemany": 4,
    "select": 5, "schema": 9, "odd": 2,
}  # fmt: skip

SCHEMA_CHANGES = {
    "create table": 10, "drop table": 6, "create index": 14, "drop index": 6, "create trigger": 10, "drop trigger": 5,
    "create view": 4, "drop view": 2, "add column": 12, "drop column": 8, "rename column": 8, "rename table": 6,
    "create as": 8, "analyze": 8, "reindex": 3, "user_version": 2,
}  # fmt: skip

REQUESTS = {"one": 55, "several": 28, "shift": 7, "held": 6, "load": 4}
"""A request's statements: one, several as one, two that move all values by one past each other, those of an interactive
transaction, an import's."""


def pick(rng: Random, weights: Mapping[str, int]) -> str:
    """One of these, as often as its weight says."""
    return rng.choices(tuple(weights), tuple(weights.values()))[0]


def chance(rng: Random, percent: float) -> bool:
    """True in so many of a hundred cases."""
    return rng.random() * 100 < percent
