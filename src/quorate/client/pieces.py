"""What the clients for threads, for tasks and for an embedded node have in common, none of it waiting."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import count
from typing import Any

import msgspec
from msgspec import Struct, structs

from quorate import errors
from quorate.client.absent import AbsentFromConnections
from quorate.client.checks import check_seen, check_text, shown
from quorate.client.homes import unpacked
from quorate.client.membership import speakers
from quorate.client.rows import RowFactory, check_row_factory
from quorate.client.types import Types, check_types
from quorate.client.values import as_statement_sets, check_parameters
from quorate.core.bounds import GroupId
from quorate.core.catalog import DATABASES_QUERY
from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.requests import Done, StatusReport
from quorate.core.statements import BOUND, Parameters, Statement, Token
from quorate.sql.classify import is_read, reads_only

Batch = Iterable[str | tuple[str, Any]]
"""What `batch` takes: texts, or pairs of a text and its parameters."""

TOKEN_LENGTH_MAX = 200
_encode = msgspec.msgpack.Encoder(order="deterministic").encode
"""Statements for their digest: a dict of parameters has no order."""
_REMEMBERED = 1000
"""Unsettled tokens whose index is kept for `outcome`."""


class ConnectionAttributes(AbsentFromConnections):
    """PEP 249's optional extension: the exceptions as attributes of a connection."""

    __slots__ = ("_row_factory", "_types")

    Warning = errors.Warning
    Error = errors.Error
    InterfaceError = errors.InterfaceError
    DatabaseError = errors.DatabaseError
    DataError = errors.DataError
    OperationalError = errors.OperationalError
    IntegrityError = errors.IntegrityError
    InternalError = errors.InternalError
    ProgrammingError = errors.ProgrammingError
    NotSupportedError = errors.NotSupportedError

    _row_factory: RowFactory | None
    _types: Types | None

    @property
    def row_factory(self) -> RowFactory | None:
        """What makes the rows of cursors made from here on: a function of the cursor and the plain row; None: rows are
        tuples."""
        return self._row_factory

    @row_factory.setter
    def row_factory(self, factory: Any) -> None:
        self._row_factory = check_row_factory(factory)

    @property
    def types(self) -> Types | None:
        """How parameters are adapted, and values converted by cursors made from here on; None: not at all."""
        return self._types

    @types.setter
    def types(self, types: Types | None) -> None:
        self._types = check_types(types)
        self._types_changed()

    def _types_changed(self) -> None:
        """Called when `types` was set."""


class Tokens:
    """Names for writes, and the highest index that was heard of their database."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._numbers = count(1)
        self._unsettled: dict[str, Token] = {}
        self.seen = 0
        self._group: GroupId = 0
        """Whose log that is, where a database has several leaders."""

    def heard(self, index: int, group: GroupId = 0) -> None:
        """An answer came from this place of the log."""
        if index > self.seen or group != self._group:
            self.seen, self._group = index, group

    def mint(self, name: str | None, statements: Sequence[Statement] = (), group: GroupId = 0) -> Token:
        """The token of a write that is about to be sent first, for the leader of this group where there are several.
        One that the caller named is bound to these statements. Raises ProgrammingError for an unfit name."""
        if name is None:
            return Token(f"{self._prefix}:{next(self._numbers)}", self.seen if group == self._group else 0, group)
        digest = blake2b(_encode(statements), digest_size=12).hexdigest()
        return structs.replace(self.of_attempts(name, group), id=f"{name}{BOUND}{digest}")

    def of_attempts(self, name: str, group: GroupId = 0) -> Token:
        """The token of a call that makes several attempts, whose statements may differ. Raises ProgrammingError for an
        unfit name."""
        known = self._unsettled.get(check_token(name))
        return known or Token(name, self.seen if group == self._group else 0, group)

    def keep(self, token: Token) -> None:
        """This write was not settled: remember what it was sent with."""
        while len(self._unsettled) >= _REMEMBERED:
            del self._unsettled[next(iter(self._unsettled))]
        self._unsettled[token.name] = structs.replace(token, id=token.name)

    def recall(self, name: str, seen: int | None) -> Token:
        """The token that this write was sent with; index 0, the most cautious, when nobody knows."""
        name, seen = check_token(name), check_seen(seen)
        return self._unsettled.get(name, Token(name, 0)) if seen is None else unpacked(name, seen)


def check_token(name: str) -> str:
    """A token that a caller chose. Raises ProgrammingError."""
    if not isinstance(name, str) or not 0 < len(name) <= TOKEN_LENGTH_MAX or not name.isprintable():
        raise errors.ProgrammingError(
            f"a token is a printable text of 1 to {TOKEN_LENGTH_MAX} characters, not {shown(name)}",
            hint='for example token="order-8731"',
        )
    return check_text(name, "a token")


def check_sql(sql: object) -> str:
    """The text of a statement. Raises ProgrammingError."""
    return check_text(sql, "a statement")


_NO_PARAMETERS: tuple[Parameters, ...] = ((),)


def one_statement(sql: str, parameters: Any, types: Types | None = None) -> Statement:
    """A statement that runs once. Raises DataError or ProgrammingError."""
    if types is not None:
        parameters = types.adapt_all(parameters)
    if type(parameters) is tuple and not parameters:
        return Statement(check_sql(sql), _NO_PARAMETERS)
    return Statement(check_sql(sql), (check_parameters(parameters),))


def many_statement(sql: str, sets: Iterable[Any], types: Types | None = None) -> Statement:
    """A statement that runs once for each set. Raises DataError or ProgrammingError."""
    sql = check_sql(sql)
    if is_read(sql):
        raise errors.ProgrammingError("executemany is for statements that write", hint="use execute for reads")
    if types is not None and isinstance(sets, Iterable):
        sets = map(types.adapt_all, sets)
    return Statement(sql, as_statement_sets(sets), many=True)


def batch_statements(statements: Batch, types: Types | None = None) -> tuple[Statement, ...]:
    """The statements of a batch. Raises DataError or ProgrammingError with the number of the statement."""
    if isinstance(statements, str | bytes) or not isinstance(statements, Iterable):
        raise errors.ProgrammingError(
            "batch takes a list of statements", hint='for example batch(["...", ("...", (1,))])'
        )
    checked: list[Statement] = []
    for number, each in enumerate(statements):
        try:
            if isinstance(each, str):
                checked.append(one_statement(each, ()))
            else:
                sql, parameters = each
                checked.append(one_statement(sql, parameters, types))
        except (TypeError, ValueError):
            raise errors.ProgrammingError(
                f"statement {number} of the batch is neither a text nor a pair of a text and parameters"
            ) from None
        except errors.Error as error:
            error.statement = number
            raise
    if not checked:
        raise errors.ProgrammingError("the batch is empty")
    return tuple(checked)


def needs_token(statements: Sequence[Statement]) -> bool:
    """Is this a write?"""
    return not reads_only(statements)


def check_known(database: str, reports: Iterable[StatusReport]) -> None:
    """Raises UnknownDatabase when none of these nodes has a replica of this database."""
    names = {group.database for report in reports for group in report.groups} - {CATALOG_DATABASE}
    if database not in names:
        raise errors.UnknownDatabase(
            f"there is no database {database!r}", hint=f"there are: {', '.join(sorted(names))}"
        )


def is_in_force(reports: Iterable[StatusReport], database: str, options: dict[str, str]) -> bool:
    """Whether who answers for a database says that it has these options, and that no others are coming."""
    speaking = (group for _, group in speakers(reports).values() if group.database == database)
    return any(not group.options_next and options.items() <= group.options.items() for group in speaking)


def most_advanced(reports: Iterable[StatusReport], database: str) -> str:
    """Where nobody answers for it: the node whose replica has most; empty when somebody does, or nobody has any."""
    found = [(group, report) for report in reports for group in report.groups if group.database == database]
    if any(group.speaks for group, _ in found):
        return ""
    sound = [
        (group.last_epoch, group.last, report.name)
        for group, report in found
        if not group.damaged and report.node in group.voters and not report.removed
    ]
    return max(sound, default=(0, 0, ""))[2]


SHOWN_BY = "`quorate status` and `quorate member list` show whether it did; what was done is not done again"
"""What to do when it is not known whether a change of the cluster was made."""
LEADER_SHOWN_BY = "`quorate status` shows who leads"


class DatabaseInfo(Struct, frozen=True):
    """A database as the catalog describes it."""

    name: str
    replication: str
    options: dict[str, str]
    """Each option that the replication has, with its value (docs/options.md)."""
    replicas: int


VERIFY_TIMEOUT = 300.0
"""Seconds that the comparison of one database may take: all of it is read on each node."""

CATALOG_STATEMENTS = (Statement(DATABASES_QUERY),)
"""How `Cluster.databases` reads the catalog."""


def catalog_databases(done: Done) -> list[DatabaseInfo]:
    """What `CATALOG_STATEMENTS` gave."""
    rows: Any = done.results[0].rows
    return [DatabaseInfo(name, kind, _decode_options(text), replicas) for name, kind, text, replicas in rows]


_decode_options = msgspec.json.Decoder(dict[str, str]).decode
"""Without their declaration: a newer cluster may have others."""
