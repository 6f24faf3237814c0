"""What a connection does on a database without a leader, and what it refuses with what to do instead: decisions only.

Each call that is refused is named here once; the table in docs/leaderless.md has a line for each.
"""

from collections.abc import Sequence
from typing import Any

from quorate import errors
from quorate.client.checks import shown
from quorate.client.own_writes import OwnWrites
from quorate.core.bounds import Small
from quorate.core.read_levels import EVENTUAL, STRONGEST
from quorate.core.row_requests import RunRow
from quorate.core.statements import Statement
from quorate.sql.classify import CREATE_AS, DDL, DROP_TABLE, READ, is_read, shape_of

_ONE = "each statement is done by itself: `UPDATE ... SET n = n + 1` on a counter column loses none of several writes"
_LED = "transactions need a leader: create the database with --replication single-leader"
_KEYED = "put what belongs together into one row"
REFUSED: dict[str, tuple[str, str]] = {
    "transaction": ("there are no transactions", f"{_ONE}; {_LED}"),
    "run_transaction": ("there are no transactions", f"{_ONE}; {_LED}"),
    "autocommit=False": ("there are no transactions", f"{_ONE}; {_LED}"),
    "batch": ("several statements cannot be done together", f"give each by itself, or {_KEYED}"),
    "executemany": ("several rows cannot be written together", f"call execute for each row, or {_KEYED}"),
    "stream": ("no replica keeps one state of the whole database", "execute reads rows, by key or up to a limit"),
    "copy_to": ("no replica has one state of the whole database", 'read="eventual" reads what one replica holds'),
    "iterdump": ("no replica has one state of the whole database", 'read="eventual" reads what one replica holds'),
    "outcome": ("writes have versions and no tokens, so that nobody can be asked", "read the row"),
    "conflicts": ("writes that lost are not listed", "merge:counter and sets keep all writes; see docs/versions.md"),
    "bookmark": ("no bookmark says which writes a replica holds", "reads of r replicas see each acknowledged write"),
    "token": (
        "writes have versions and no tokens",
        "leave token= away; the driver repeats a write only as far as that is safe",
    ),
    "read_your_writes": ("reads of r replicas see each acknowledged write if w + r > n", "leave it away"),
}
"""What a program may call -> why not, and what there is instead."""


def refusal(call: str) -> errors.NotSupportedError:
    """Why that is not there."""
    why, hint = REFUSED[call]
    return errors.NotSupportedError(f"{call} is not there on a database without a leader: {why}", hint=hint)


def refusal_by(database: str, address: str) -> errors.NotSupportedError:
    """What is to be said where a node has refused a request that only databases with a leader take."""
    return errors.NotSupportedError(
        f"not done: {database!r} has no leader, says node {address}, and takes single statements",
        hint="docs/leaderless.md has what each call does there",
    )


def refusal_of_counts() -> errors.NotSupportedError:
    """Why w and r cannot be chosen here."""
    return errors.NotSupportedError(
        "w and r are for databases without a leader: here a leader or this process decides",
        hint="leave w= and r= away; see docs/leaderless.md, and docs/acks.md for databases with one leader",
    )


def check_count(count: object, name: str) -> Small:
    """How many replicas; 0: as many as the database says. Raises ProgrammingError."""
    if count is None:
        return 0
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= 1 << 15:
        raise errors.ProgrammingError(f"{name} is a number of replicas, 1 or more, not {shown(count)}")
    return count


def changes_schema(statement: Statement) -> bool:
    """Whether it is one that the catalog is to order."""
    return shape_of(statement.sql).kind in (DDL, CREATE_AS, DROP_TABLE)


def may_repeat(body: RunRow) -> bool:
    """Whether it does no harm when it is run twice: a read, or a change of the schema, which is only tried."""
    return is_read(body.statement.sql) or changes_schema(body.statement)


def one_row(
    database: str,
    statements: Sequence[Statement],
    token: str | None,
    read: str,
    own: OwnWrites,
    w: Any = None,
    r: Any = None,
) -> RunRow:
    """The request for these statements, if there is one. Raises NotSupportedError, or ProgrammingError for strange
    numbers of replicas."""
    if token is not None:
        raise refusal("token")
    if own.chosen:
        raise refusal("read_your_writes")
    if len(statements) != 1:
        raise refusal("batch")
    (statement,) = statements
    if len(statement.sets) != 1:
        raise refusal("executemany")
    w, r = check_count(w, "w"), check_count(r, "r")
    shape = shape_of(statement.sql)
    if shape.control is not None:
        raise refusal("transaction")
    level = _level(read) if shape.kind == READ else ""
    return RunRow(database, Statement(statement.sql, statement.sets), w, r, level=level)


def _level(read: str) -> str:
    if read == STRONGEST:
        return ""
    if read == EVENTUAL:
        return EVENTUAL
    raise errors.NotSupportedError(
        f"a database without a leader has no read level {read!r}",
        hint='leave it away to ask r replicas, or read="eventual" for what the node that is asked holds',
    )
