"""Users, roles, certificates and the record of changes, for the model of SQLite (`model_tables`)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quorate.core.auth import record
from quorate.core.auth.users import AUDIT_QUERY, AUTH_QUERIES
from quorate.core.certificates import TLS_QUERIES
from quorate.core.statements import Result

if TYPE_CHECKING:
    from quorate.lab.sim.stores.model_tables import Tables

_INTEGERS = ("stamp", "expires_us", "node")
_COLUMNS = {
    "users": ("name", "stamp", "verifier"),
    "user_tokens": ("id", "name", "verifier", "expires_us"),
    "grants": ("name", "database", "role"),
    "tls_step": ("step",),
    "certified": ("node",),
    "revoked": ("serial",),
}
_AUDIT = ("number", "at_us", "who", "origin", "what")
Run = Callable[["Tables", Any], Result]


def _all(table: str) -> Run:
    columns = tuple((name, "INTEGER" if name in _INTEGERS else "TEXT") for name in _COLUMNS[table])

    def run(tables: "Tables", _parameters: Any) -> Result:
        return Result(columns, [row for _, row in sorted(tables.table(table).items())], -1)

    return run


def _insert(table: str, unique: str) -> Run:
    def run(tables: "Tables", parameters: Any) -> Result:
        tables.insert(table, tuple(parameters), unique)
        return Result((), [], 1, tables.last_rowid)

    return run


def _delete(table: str) -> Run:
    def run(tables: "Tables", parameters: Any) -> Result:
        old = tables.table(table).get(parameters[0] if len(parameters) == 1 else tuple(parameters))
        if old is None:
            return Result((), [], 0)
        tables.change(table, old, None)
        return Result((), [], 1)

    return run


def _secret(tables: "Tables", parameters: Any) -> Result:
    tables.insert("login_secret", tuple(parameters), "id")
    tables.last_rowid = parameters[0]
    return Result((), [], 1, tables.last_rowid)


def _secrets(tables: "Tables", _parameters: Any) -> Result:
    rows: list[Any] = [(row[1],) for _, row in sorted(tables.table("login_secret").items())]
    return Result((("secret", "TEXT"),), rows, -1)


def _record(tables: "Tables", parameters: Any) -> Result:
    number = tables.next_id("audit")
    tables.change("audit", None, (number, *parameters))
    tables.last_rowid = number
    return Result((), [], 1, number)


def _recorded(tables: "Tables", parameters: Any) -> Result:
    columns = tuple((name, "INTEGER" if name in ("number", "at_us") else "TEXT") for name in _AUDIT)
    rows: list[Any] = [row for number, row in sorted(tables.table("audit").items()) if number > parameters[0]]
    return Result(columns, rows[:1000], -1)


STATEMENTS: dict[str, Run] = {
    AUDIT_QUERY: _recorded,
    "INSERT INTO login_secret VALUES (?, ?)": _secret,
    "INSERT INTO users VALUES (?, ?, ?)": _insert("users", "name"),
    "INSERT INTO user_tokens VALUES (?, ?, ?, ?)": _insert("user_tokens", "id"),
    "INSERT INTO grants VALUES (?, ?, ?)": _insert("grants", "name, grants.database, grants.role"),
    "DELETE FROM users WHERE name = ?": _delete("users"),
    "DELETE FROM user_tokens WHERE id = ?": _delete("user_tokens"),
    "DELETE FROM grants WHERE name = ? AND database = ? AND role = ?": _delete("grants"),
    record.INSERT: _record,
    AUTH_QUERIES[0]: _all("users"),
    AUTH_QUERIES[1]: _all("user_tokens"),
    AUTH_QUERIES[2]: _all("grants"),
    AUTH_QUERIES[3]: _secrets,
    TLS_QUERIES[0]: _all("tls_step"),
    TLS_QUERIES[1]: _all("certified"),
    TLS_QUERIES[2]: _all("revoked"),
}
