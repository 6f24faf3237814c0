"""Changes of users: one write to the catalog each, or why it cannot be. The catalog's leader decides.

Each is decided on what the leader has read. Two that are decided on the same state could undo each other's conditions,
such as the last two admins who take each other's role: so there is one at a time.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quorate.core.auth import making
from quorate.core.auth.roles import ADMIN, CLUSTER, CLUSTER_ROLES, DATABASE_ROLES, is_role
from quorate.core.auth.users import (
    CreateToken,
    CreateUser,
    DeleteToken,
    DeleteUser,
    GrantRole,
    GrantRow,
    RevokeRole,
    SetPassword,
    UserChange,
    Users,
    valid_user,
)
from quorate.core.auth.verifiers import by_certificate, is_verifier
from quorate.core.directory import CHANGE_UNDER_WAY
from quorate.core.kernel import CATALOG_DATABASE, Now
from quorate.core.requests import Refused, Run
from quorate.core.roster import is_current
from quorate.core.statements import Statement

if TYPE_CHECKING:
    from quorate.core.node import Node

Found = list[Statement] | Refused | None


def write_for(node: "Node", now: Now, body: UserChange) -> Run | Refused | None:
    """The write that makes this change; why it cannot be; None: it is so already."""
    if not is_current(node):
        return CHANGE_UNDER_WAY
    found = _CHANGES[type(body)](node, now, body)
    if not isinstance(found, list):
        return found
    return Run(CATALOG_DATABASE, tuple(found), token=body.token)


def _create(node: "Node", now: Now, body: CreateUser) -> Found:
    users = node.directory.catalog.users
    if not valid_user(body.name):
        hint = "use letters, digits and _ - . @, beginning with a letter or a digit; 63 at most"
        return Refused("ProgrammingError", f"{body.name!r:.80} cannot be the name of a user", hint)
    if not is_verifier(body.verifier):
        return _not_a_verifier()
    known = {row.name: row for row in users.users}
    if body.name in known:
        if known[body.name].verifier == body.verifier:
            return None  # this very request was carried out before
        return Refused(
            "UserExists", f"there is a user {body.name!r} already", "`quorate user passwd` changes passwords"
        )
    if not known and not body.admin:
        return Refused(
            "ProgrammingError", "the first user of a cluster is an admin", "quorate user create NAME --admin"
        )
    if not known and by_certificate(body.verifier):
        return Refused("ProgrammingError", "the first user of a cluster has a password", "leave --certificate away")
    stamp = max([now.wall_us, *(row.stamp + 1 for row in users.users)])
    return making.user(body.name, body.verifier, stamp, admin=body.admin, first=not users.secret)


def _password(node: "Node", now: Now, body: SetPassword) -> Found:
    users = node.directory.catalog.users
    row = next((row for row in users.users if row.name == body.name), None)
    if row is None:
        return _unknown(users, body.name)
    if not is_verifier(body.verifier):
        return _not_a_verifier()
    if row.verifier == body.verifier:
        return None
    if by_certificate(body.verifier) and _admins(users) == [body.name]:
        return _last_admin(body.name)
    stamp = max(now.wall_us, row.stamp + 1)
    return [
        Statement("DELETE FROM users WHERE name = ?", ((body.name,),)),
        Statement("INSERT INTO users VALUES (?, ?, ?)", ((body.name, stamp, body.verifier),)),
    ]


def _delete(node: "Node", _now: Now, body: DeleteUser) -> Found:
    users = node.directory.catalog.users
    if all(row.name != body.name for row in users.users):
        return _unknown(users, body.name)
    if _admins(users) == [body.name]:
        return _last_admin(body.name)
    statements = [Statement("DELETE FROM users WHERE name = ?", ((body.name,),))]
    statements += [revocation(row) for row in users.grants if row.name == body.name]
    statements += [_delete_token(row.id) for row in users.tokens if row.name == body.name]
    return statements


def _grant_role(node: "Node", _now: Now, body: GrantRole) -> Found:
    users = node.directory.catalog.users
    refusal = _check_role(node, users, body)
    if refusal is not None:
        return refusal
    if GrantRow(body.name, body.database, body.role) in users.grants:
        return None
    return [making.grant(body.name, body.database, body.role)]


def _revoke_role(node: "Node", _now: Now, body: RevokeRole) -> Found:
    users = node.directory.catalog.users
    row = GrantRow(body.name, body.database, body.role)
    if row not in users.grants:
        return _check_role(node, users, body)
    if body.database == CLUSTER and body.role == ADMIN and _admins(users) == [body.name]:
        return _last_admin(body.name)
    return [revocation(row)]


def _create_token(node: "Node", now: Now, body: CreateToken) -> Found:
    users = node.directory.catalog.users
    if all(row.name != body.name for row in users.users):
        return _unknown(users, body.name)
    if not is_verifier(body.verifier) or not valid_user(body.id):
        return _not_a_verifier()
    known = {row.id: row for row in users.tokens}
    if body.id in known:
        same = known[body.id].verifier == body.verifier
        return None if same else Refused("UserExists", f"there is a token {body.id!r} already")
    if body.expires_us <= now.wall_us:
        return Refused("ProgrammingError", "the token would have expired already", "give it a later time")
    row = (body.id, body.name, body.verifier, body.expires_us)
    return [Statement("INSERT INTO user_tokens VALUES (?, ?, ?, ?)", (row,))]


def _drop_token(node: "Node", _now: Now, body: DeleteToken) -> Found:
    tokens = node.directory.catalog.users.tokens
    if all(row.id != body.id for row in tokens):
        names = ", ".join(row.id for row in tokens)
        return Refused("UnknownUser", f"there is no token {body.id!r:.80}", f"there are: {names}")
    return [_delete_token(body.id)]


def _check_role(node: "Node", users: Users, body: GrantRole | RevokeRole) -> Refused | None:
    if all(row.name != body.name for row in users.users):
        return _unknown(users, body.name)
    if not is_role(body.database, body.role):
        what = f"of the database {body.database!r:.80}" if body.database else "of the cluster"
        known = ", ".join(DATABASE_ROLES if body.database else CLUSTER_ROLES)
        return Refused("ProgrammingError", f"there is no role {body.role!r:.80} {what}", f"there are: {known}")
    if body.database and not node.directory.groups_for(body.database):
        names = ", ".join(row.name for row in node.directory.catalog.databases)
        return Refused("UnknownDatabase", f"there is no database {body.database!r:.80}", f"there are: {names}")
    return None


def _admins(users: Users) -> list[str]:
    """Those who have a password: they can mend what certificates do not open any more."""
    known = {row.name for row in users.users if not by_certificate(row.verifier)}
    return [row.name for row in users.grants if row.database == CLUSTER and row.role == ADMIN and row.name in known]


def _last_admin(name: str) -> Refused:
    message = f"{name} is the only admin with a password, and nobody could make another"
    return Refused("ProgrammingError", message, "give another user the role first: quorate user grant NAME admin")


def _unknown(users: Users, name: str) -> Refused:
    names = ", ".join(row.name for row in users.users)
    return Refused("UnknownUser", f"there is no user {name!r:.80}", f"there are: {names}")


def _not_a_verifier() -> Refused:
    return Refused("ProgrammingError", "what was sent is no verifier of a password", "use `quorate user`")


def revocation(row: GrantRow) -> Statement:
    """What takes this role away."""
    sql = "DELETE FROM grants WHERE name = ? AND database = ? AND role = ?"
    return Statement(sql, ((row.name, row.database, row.role),))


def _delete_token(id: str) -> Statement:
    return Statement("DELETE FROM user_tokens WHERE id = ?", ((id,),))


_CHANGES: dict[type, Callable[["Node", Now, Any], Found]] = {
    CreateUser: _create,
    SetPassword: _password,
    DeleteUser: _delete,
    GrantRole: _grant_role,
    RevokeRole: _revoke_role,
    CreateToken: _create_token,
    DeleteToken: _drop_token,
}
