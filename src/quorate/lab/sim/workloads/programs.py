"""What the transactions of the laboratory do: each program is a generator that yields statements, and is sent what they
gave, or has the error thrown into it. It decides by what it has read, as programs do that need transactions.
"""

import random
from collections.abc import Callable, Generator
from typing import Any

from quorate import errors
from quorate.client.transactions import Keeper
from quorate.core.statements import Result, Statement
from quorate.lab.sim.engine.world import Violation
from quorate.lab.sim.workloads.ledger import Ledger
from quorate.lab.sim.workloads.transacted import (
    ACCOUNTS,
    BALANCE,
    CELL,
    INVARIANT,
    LIST,
    ON_DUTY,
    OTHER,
    Seen,
    elements,
)
from quorate.sql.control import RELEASE, ROLLBACK_TO, SAVEPOINT, Control

READ_LIST = "SELECT elements FROM lists WHERE key = ?"
APPEND = "INSERT INTO lists VALUES (?1, ?2) ON CONFLICT DO UPDATE SET elements = elements || ' ' || excluded.elements"
READ_CELL = "SELECT value FROM cells WHERE key = ?"
WRITE_CELL = "INSERT INTO cells VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value"
READ_ACCOUNT = "SELECT balance FROM accounts WHERE id = ?"
ADD = "UPDATE accounts SET balance = balance + ? WHERE id = ?"
READ_DUTY = "SELECT sum(active) FROM duty"
SET_DUTY = "UPDATE duty SET active = ? WHERE id = ?"
ORDER = "INSERT INTO orders(mark) VALUES (?) RETURNING id"
LINE = "INSERT INTO lines VALUES (?, ?)"

Program = Generator[Statement, Result, None]
POINT = "point"


class Writing:
    """What a program has at hand."""

    def __init__(self, rng: random.Random, ledger: Ledger, keeper: Keeper, seen: Seen, keys: list[str]) -> None:
        self.rng = rng
        self.ledger = ledger
        self.keeper = keeper
        self.seen = seen
        self.keys = keys


def _one(result: Result, default: Any = None) -> Any:
    return result.rows[0][0] if result.rows else default


def appending(tx: Writing) -> Program:
    """Read lists and append to them; sometimes within a savepoint that is undone."""
    for _ in range(tx.rng.randint(1, 4)):
        key = tx.rng.choice(tx.keys)
        if tx.rng.random() < 0.5:
            yield from _read_list(tx, key)
            continue
        if tx.rng.random() < 0.3:
            yield from _in_savepoint(tx, _append(tx, key))
        else:
            yield from _append(tx, key)


def _read_list(tx: Writing, key: str) -> Program:
    result = yield Statement(READ_LIST, ((key,),))
    tx.seen.read(key, elements(_one(result, "")))


def _append(tx: Writing, key: str) -> Program:
    value = tx.ledger.next_value()
    yield Statement(APPEND, ((key, str(value)),))
    tx.seen.wrote(key, value)
    if tx.rng.random() < 0.5:
        yield from _read_list(tx, key)


def _in_savepoint(tx: Writing, inner: Program) -> Program:
    tx.keeper.control(Control(SAVEPOINT, POINT))
    place = tx.seen.place()
    yield from inner
    if tx.rng.random() < 0.5:
        tx.keeper.control(Control(ROLLBACK_TO, POINT))
        tx.seen.undo(place)
    tx.keeper.control(Control(RELEASE, POINT))


def looking(tx: Writing) -> Program:
    """Only read, the same lists again and again."""
    for _ in range(tx.rng.randint(3, 6)):
        yield from _read_list(tx, tx.rng.choice(tx.keys))


def registers(tx: Writing) -> Program:
    """Read registers and write them."""
    for _ in range(tx.rng.randint(1, 4)):
        key = tx.rng.choice(tx.keys)
        if tx.rng.random() < 0.6:
            result = yield Statement(READ_CELL, ((key,),))
            tx.seen.read(key, _one(result))
        else:
            value = tx.ledger.next_value()
            yield Statement(WRITE_CELL, ((key, value),))
            tx.seen.wrote(key, value)


def bank(tx: Writing) -> Program:
    """Move what is there from one account to another; look at all of them, one by one."""
    if tx.rng.random() < 0.6:
        source, target = tx.rng.sample(range(1, ACCOUNTS + 1), 2)
        result = yield Statement(READ_ACCOUNT, ((source,),))
        amount = tx.rng.randint(1, BALANCE // 2)
        if _one(result) < amount:
            try:
                yield Statement(ADD, ((-amount, source),))
            except errors.IntegrityError:
                return
            raise Violation(INVARIANT, f"{amount} were taken from an account that has {_one(result)}")
        yield Statement(ADD, ((-amount, source),))
        yield Statement(ADD, ((amount, target),))
    total = 0
    for account in range(1, ACCOUNTS + 1):
        result = yield Statement(READ_ACCOUNT, ((account,),))
        total += _one(result)
    if total != ACCOUNTS * BALANCE:
        raise Violation(INVARIANT, f"a transaction saw balances that add up to {total}")


def duty(tx: Writing) -> Program:
    """Leave, if somebody else stays: write skew, where two leave at once."""
    who = tx.rng.randint(1, ON_DUTY)
    result = yield Statement(READ_DUTY)
    if _one(result) < 1:
        raise Violation(INVARIANT, "a transaction saw nobody on duty")
    leaves = _one(result) >= ON_DUTY and tx.rng.random() < 0.7
    yield Statement(SET_DUTY, ((0 if leaves else 1, who),))


def ordering(tx: Writing) -> Program:
    """An order with a key that SQLite chooses, and its lines."""
    mark = tx.ledger.next_value()
    tx.seen.mark = mark
    result = yield Statement(ORDER, ((mark,),))
    number = _one(result)
    yield Statement(LINE, ((number, 1),))
    if tx.rng.random() < 0.3:
        try:
            yield Statement(LINE, ((number, 1),))
        except errors.IntegrityError:
            pass
        else:
            raise Violation(INVARIANT, "two lines have one key")
    yield Statement(LINE, ((number, 2),))


def rebuilding(tx: Writing) -> Program:
    """Make a table, and drop it, rename it, or leave it as it is."""
    name = f"made{tx.ledger.next_value()}"
    yield Statement(f"CREATE TABLE {name}(id INTEGER PRIMARY KEY, balance INTEGER)")
    result = yield Statement(f"INSERT INTO {name} SELECT id, balance FROM accounts")  # noqa: S608
    if result.rowcount != ACCOUNTS:
        raise Violation(INVARIANT, f"a transaction copied {result.rowcount} accounts")
    end = tx.rng.choice(("drop", "rename", ""))
    if end == "drop":
        yield Statement(f"DROP TABLE {name}")
        return
    if end == "rename":
        yield Statement(f"ALTER TABLE {name} RENAME TO {name}_more")
        name += "_more"
    result = yield Statement(f"SELECT sum(balance) FROM {name}")  # noqa: S608
    if _one(result) != ACCOUNTS * BALANCE:
        raise Violation(INVARIANT, f"a transaction copied balances that add up to {_one(result)}")


PROGRAMS: tuple[tuple[str, Callable[[Writing], Program]], ...] = (
    (LIST, appending), (LIST, appending), (LIST, looking), (CELL, registers), (OTHER, bank), (OTHER, duty),
    (OTHER, ordering),
)  # fmt: skip
"""Whose judge each is for, and the program."""
HOLDING: tuple[tuple[str, Callable[[Writing], Program]], ...] = ((OTHER, rebuilding),)
"""Those besides that come to hold the writer by themselves."""
