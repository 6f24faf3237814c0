# ruff: noqa: ASYNC109 - a time-out in seconds is part of the API
"""A cluster's users, tokens and roles, and the record of its changes, for tasks."""

import secrets
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from quorate import errors
from quorate.client.checks import check_flag, check_text
from quorate.client.credentials import joined_token
from quorate.client.url import check_timeout
from quorate.core.auth.users import (
    AUDIT_QUERY,
    AUTH_QUERIES,
    CreateToken,
    CreateUser,
    DeleteToken,
    DeleteUser,
    GrantRole,
    RevokeRole,
    SetPassword,
)
from quorate.core.auth.verifiers import BY_CERTIFICATE, SALT_BYTES, by_certificate
from quorate.core.statements import Statement
from quorate.wire.scram import make_verifier

if TYPE_CHECKING:
    from quorate.client.cluster_aio import Cluster

DAY = 86_400


class UserInfo(Struct, frozen=True):
    """A user."""

    name: str
    roles: tuple[str, ...]
    """Of the cluster."""
    databases: dict[str, tuple[str, ...]]
    """The roles in each database."""
    tokens: tuple[str, ...]
    """Their ids."""
    login: str = "password"
    """`password` or `certificate`."""


class Change(Struct, frozen=True):
    """One change of the cluster, as it was recorded."""

    number: int
    at: float
    """Seconds since 1970, by the clock of the node that led the catalog."""
    who: str
    """A user's name; empty: nobody had to log in."""
    origin: str
    """The address that they came from."""
    what: dict[str, Any]
    """`change` says which kind, the rest what was asked for."""


class Users:
    """`Cluster.users`. Each change is in force on every node that answers when its method returns."""

    def __init__(self, cluster: "Cluster") -> None:
        self._cluster = cluster

    async def list(self, *, timeout: float | None = None) -> Sequence[UserInfo]:
        """Every user, by name. Raises PermissionDenied for all but admins."""
        statements = tuple(Statement(sql) for sql in AUTH_QUERIES[:3])
        try:
            done = await self._cluster.read_catalog(statements, self._seconds(timeout))
        except errors.ProgrammingError as error:
            if error.sqlite_errorname:  # the first user makes the tables
                return []
            raise
        rows: Any = [result.rows for result in done.results]
        found: list[UserInfo] = []
        for name, _, verifier in rows[0]:
            roles: dict[str, list[str]] = {}
            for user, database, role in rows[2]:
                if user == name:
                    roles.setdefault(database, []).append(role)
            tokens = tuple(str(each[0]) for each in rows[1] if each[1] == name)
            cluster = tuple(roles.pop("", ()))
            databases = {each: tuple(names) for each, names in roles.items()}
            login = "certificate" if by_certificate(str(verifier)) else "password"
            found.append(UserInfo(name, cluster, databases, tokens, login))
        return found

    async def create(
        self, name: str, password: str | None, *, admin: bool = False, timeout: float | None = None
    ) -> None:
        """Make a user. The first has to be an admin, and from then on everybody has to log in. The password itself is
        not sent; None: the user logs in by a certificate. Raises UserExists, or ProgrammingError for a name or a
        password that cannot be one."""
        name, text = check_text(name, "a user"), verifier_of(password)
        admin = check_flag(admin, "admin")
        await self._cluster.change_everywhere(lambda token: CreateUser(name, text, token, admin), timeout)

    async def set_password(self, name: str, password: str | None, *, timeout: float | None = None) -> None:
        """Give a user another password, or (None) none: then they log in by a certificate. What is logged in has to log
        in again. Raises UnknownUser, and ProgrammingError when it is the last admin who has a password."""
        name, text = check_text(name, "a user"), verifier_of(password)
        await self._cluster.change_everywhere(lambda token: SetPassword(name, text, token), timeout)

    async def delete(self, name: str, *, timeout: float | None = None) -> None:
        """Take a user away, with all roles and tokens. Raises UnknownUser, and ProgrammingError for the last admin."""
        name = check_text(name, "a user")
        await self._cluster.change_everywhere(lambda token: DeleteUser(name, token), timeout)

    async def grant(self, name: str, role: str, *, database: str = "", timeout: float | None = None) -> None:
        """Give a user a role of a database, or of the cluster. Raises UnknownUser,
        UnknownDatabase, or ProgrammingError."""
        name, role, database = (
            check_text(name, "a user"),
            check_text(role, "a role"),
            check_text(database, "a database"),
        )
        await self._cluster.change_everywhere(lambda token: GrantRole(name, database, role, token), timeout)

    async def revoke(self, name: str, role: str, *, database: str = "", timeout: float | None = None) -> None:
        """Take a role away; others may permit the same. Raises UnknownUser, ProgrammingError."""
        name, role, database = (
            check_text(name, "a user"),
            check_text(role, "a role"),
            check_text(database, "a database"),
        )
        await self._cluster.change_everywhere(lambda token: RevokeRole(name, database, role, token), timeout)

    async def create_token(self, name: str, *, days: float = 365.0, timeout: float | None = None) -> str:
        """A token with which a program can log in in this user's name for so many days. It is shown this once, and kept
        nowhere. Raises UnknownUser."""
        name, seconds = check_text(name, "a user"), check_timeout(days) * DAY
        number, secret = secrets.token_hex(6), secrets.token_hex(32)
        text = make_verifier(secret, secrets.token_bytes(SALT_BYTES), 1).text()
        expires_us = int((time.time() + seconds) * 1e6)
        await self._cluster.change_everywhere(lambda token: CreateToken(name, number, text, expires_us, token), timeout)
        return joined_token(number, secret)

    async def delete_token(self, name: str, *, timeout: float | None = None) -> None:
        """Take the token with this id away. Raises UnknownUser."""
        name = check_text(name, "the id of a token")
        await self._cluster.change_everywhere(lambda token: DeleteToken(name, token), timeout)

    async def audit(self, *, after: int = 0, timeout: float | None = None) -> Sequence[Change]:
        """The changes of the cluster behind that number, oldest first, at most 1000. The record begins with the first
        user. Raises PermissionDenied."""
        try:
            done = await self._cluster.read_catalog((Statement(AUDIT_QUERY, ((after,),)),), self._seconds(timeout))
        except errors.ProgrammingError as error:
            if error.sqlite_errorname:
                return []
            raise
        rows: Any = done.results[0].rows
        return [
            Change(number, at_us / 1e6, who, origin, msgspec.json.decode(what))
            for number, at_us, who, origin, what in rows
        ]

    def _seconds(self, timeout: float | None) -> float:
        return self._cluster.timeout if timeout is None else check_timeout(timeout)


def verifier_of(password: str | None) -> str:
    """What the catalog is to keep. Raises ProgrammingError."""
    if password is None:
        return BY_CERTIFICATE + secrets.token_hex(SALT_BYTES)
    if not isinstance(password, str):
        raise errors.ProgrammingError("a password is a text")
    try:
        return make_verifier(password, secrets.token_bytes(SALT_BYTES)).text()
    except ValueError as error:
        raise errors.ProgrammingError(str(error)) from None
