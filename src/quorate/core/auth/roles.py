"""Roles, and what each permits.

A role of a database includes those before it. Of the cluster's roles `operator` and `backup` include `monitor`, and
`admin` includes everything, of every database too.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

READ, WRITE, SCHEMA, OWNER = 1, 2, 3, 4
DATABASE_ROLES = {"read": READ, "write": WRITE, "schema": SCHEMA, "owner": OWNER}
"""Role of a database -> its rank."""
MONITOR, BACKUP, OPERATOR, ADMIN = "monitor", "backup", "operator", "admin"
CLUSTER_ROLES = (MONITOR, BACKUP, OPERATOR, ADMIN)
CLUSTER = ""
"""What stands for the cluster where a grant names a database."""

_INCLUDED = {MONITOR: (), BACKUP: (MONITOR,), OPERATOR: (MONITOR,), ADMIN: (MONITOR, BACKUP, OPERATOR)}


def role_of_rank(rank: int) -> str:
    """Its name."""
    return next(name for name, each in DATABASE_ROLES.items() if each == rank)


def is_role(database: str, role: str) -> bool:
    """Whether there is such a role of a database, or of the cluster."""
    return role in CLUSTER_ROLES if database == CLUSTER else role in DATABASE_ROLES


class Rights(Struct, frozen=True):
    """All that one user was granted."""

    databases: Mapping[str, int]
    """Database -> the highest rank."""
    cluster: frozenset[str]
    """With those that are included."""

    def has(self, database: str, rank: int, roles: Iterable[str]) -> bool:
        """Whether the user has this rank in the database (0: no rank is enough), or one of these roles of the
        cluster, or is an admin."""
        if ADMIN in self.cluster:
            return True
        if rank and self.databases.get(database, 0) >= rank:
            return True
        return any(role in self.cluster for role in roles)

    def covers(self, other: "Rights") -> bool:
        """Whether nothing that the other permits is missing here."""
        if ADMIN in self.cluster:
            return True
        if not other.cluster <= self.cluster:
            return False
        return all(self.databases.get(name, 0) >= rank for name, rank in other.databases.items())


def rights_of(grants: Iterable[tuple[str, str]]) -> Rights:
    """From pairs of a database, or CLUSTER, and a role."""
    databases: dict[str, int] = {}
    cluster: list[str] = []
    for database, role in grants:
        if database == CLUSTER:
            cluster += (role, *_INCLUDED.get(role, ()))
        else:
            databases[database] = max(databases.get(database, 0), DATABASE_ROLES.get(role, 0))
    return Rights(databases, frozenset(cluster))
