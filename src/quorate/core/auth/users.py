"""Users, their tokens and their roles: the catalog's rows, and what callers ask to change of them.

Their tables are made by the write that makes the first user. As long as there is none nobody has to log in. A user's
`stamp` changes with each new password: what logged in under an older one has to log in again.
"""

from msgspec import Struct

from quorate.core.bounds import Count
from quorate.core.statements import Token

NAME_MAX = 63
TOKEN_PREFIX = "token:"  # noqa: S105 - what a token's id begins with where a user's name stands otherwise

AUTH_SCHEMA = (
    """CREATE TABLE users(name TEXT PRIMARY KEY, stamp INTEGER NOT NULL, verifier TEXT NOT NULL)
       STRICT, WITHOUT ROWID""",
    """CREATE TABLE user_tokens(id TEXT PRIMARY KEY, name TEXT NOT NULL, verifier TEXT NOT NULL,
       expires_us INTEGER NOT NULL) STRICT, WITHOUT ROWID""",
    """CREATE TABLE grants(name TEXT NOT NULL, database TEXT NOT NULL, role TEXT NOT NULL,
       PRIMARY KEY(name, database, role)) STRICT, WITHOUT ROWID""",
    "CREATE TABLE login_secret(id INTEGER PRIMARY KEY, secret TEXT NOT NULL) STRICT",
    """CREATE TABLE audit(number INTEGER PRIMARY KEY AUTOINCREMENT, at_us INTEGER NOT NULL, who TEXT NOT NULL,
       origin TEXT NOT NULL, what TEXT NOT NULL) STRICT""",
)
"""Verifiers are texts of `wire.scram`; nothing in them lets anybody log in. `login_secret` makes what is answered for
users that do not exist."""

AUTH_QUERIES = (
    "SELECT name, stamp, verifier FROM users ORDER BY name",
    "SELECT id, name, verifier, expires_us FROM user_tokens ORDER BY id",
    "SELECT name, database, role FROM grants ORDER BY name, database, role",
    "SELECT secret FROM login_secret ORDER BY id",
)
"""How storage reads `Users` back; the tables may not be there."""

AUDIT_QUERY = "SELECT number, at_us, who, origin, what FROM audit WHERE number > ? ORDER BY number LIMIT 1000"
"""How callers read what was recorded, a page at a time."""


class UserRow(Struct, frozen=True, array_like=True):
    """One user. The verifier is not for people."""

    name: str
    stamp: int
    verifier: str

    def __repr__(self) -> str:
        return f"UserRow({self.name!r}, {self.stamp})"


class TokenRow(Struct, frozen=True, array_like=True):
    """What a program logs in with in a user's name."""

    id: str
    name: str
    verifier: str
    expires_us: int
    """By the wall clock."""

    def __repr__(self) -> str:
        return f"TokenRow({self.id!r}, {self.name!r})"


class GrantRow(Struct, frozen=True, array_like=True):
    """A role; `database` is empty for one of the cluster."""

    name: str
    database: str
    role: str


class Users(Struct, frozen=True):
    """All of a cluster's."""

    users: tuple[UserRow, ...] = ()
    tokens: tuple[TokenRow, ...] = ()
    grants: tuple[GrantRow, ...] = ()
    secret: str = ""


class Login(Struct, frozen=True):
    """Who a connection is."""

    name: str
    """The user's."""
    stamp: int = 0
    """The user's when they logged in."""
    token: str = ""
    """The id of the token; empty: it was the password, or a certificate."""
    origin: str = ""
    """The address that they came from, for the record."""
    certificate: str = ""
    """`serial_of` the certificate; empty: it was something else."""
    until_us: int = 0
    """When the certificate runs out, by the wall clock; 0: there is none."""


class CreateUser(Struct, frozen=True, tag="create_user"):
    """Make a user. The first of a cluster must be an admin."""

    name: str
    verifier: str
    token: Token
    admin: bool = False

    def __repr__(self) -> str:
        return f"CreateUser({self.name!r})"


class SetPassword(Struct, frozen=True, tag="set_password"):
    """Give a user another password. Who is logged in with the old one has to log in again."""

    name: str
    verifier: str
    token: Token

    def __repr__(self) -> str:
        return f"SetPassword({self.name!r})"


class DeleteUser(Struct, frozen=True, tag="delete_user"):
    """Take a user away, with tokens and roles."""

    name: str
    token: Token


class GrantRole(Struct, frozen=True, tag="grant_role"):
    """Give a user a role of a database, or (empty) of the cluster."""

    name: str
    database: str
    role: str
    token: Token


class RevokeRole(Struct, frozen=True, tag="revoke_role"):
    """Take one role away. Others may permit the same."""

    name: str
    database: str
    role: str
    token: Token


class CreateToken(Struct, frozen=True, tag="create_token"):
    """Let a program log in in a user's name until then."""

    name: str
    id: str
    verifier: str
    expires_us: Count
    token: Token

    def __repr__(self) -> str:
        return f"CreateToken({self.name!r}, {self.id!r})"


class DeleteToken(Struct, frozen=True, tag="delete_token"):
    """Take a token away."""

    id: str
    token: Token


UserChange = CreateUser | SetPassword | DeleteUser | GrantRole | RevokeRole | CreateToken | DeleteToken


def valid_user(name: str) -> bool:
    """Whether a user can be called so: letters, digits and `_ - . @`, beginning with a letter or a digit."""
    return (
        0 < len(name) <= NAME_MAX
        and name.isascii()
        and name[0].isalnum()
        and all(sign.isalnum() or sign in "_-.@" for sign in name)
    )
