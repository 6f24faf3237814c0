"""The statements that make a user: the cluster's first, at its founding or later, and all others."""

from quorate.core.auth.roles import ADMIN, CLUSTER
from quorate.core.auth.users import AUTH_SCHEMA
from quorate.core.auth.verifiers import secret_from
from quorate.core.statements import Statement


def user(name: str, verifier: str, stamp: int, *, admin: bool, first: bool) -> list[Statement]:
    """`first`: nobody made the tables yet."""
    statements: list[Statement] = []
    if first:
        statements += [Statement(sql) for sql in AUTH_SCHEMA]
        statements.append(Statement("INSERT INTO login_secret VALUES (?, ?)", ((1, secret_from(verifier)),)))
    statements.append(Statement("INSERT INTO users VALUES (?, ?, ?)", ((name, stamp, verifier),)))
    if admin:
        statements.append(grant(name, CLUSTER, ADMIN))
    return statements


def grant(name: str, database: str, role: str) -> Statement:
    """What gives this role."""
    return Statement("INSERT INTO grants VALUES (?, ?, ?)", ((name, database, role),))
