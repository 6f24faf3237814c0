"""Who was permitted what, and when: a line of states of the users, each of which came into force at a moment that is
known within bounds.

A change of users takes effect somewhere between its request and its answer, and reaches each node a little later. So
at a moment one of several states may be in force. What was done must be permitted by one of those that may have been in
force, and what was refused as forbidden must be forbidden by one of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

RANKS = {"read": 1, "write": 2, "schema": 3, "owner": 4}
"""A role of a database includes those before it."""
INCLUDED = {
    "monitor": ("monitor",),
    "backup": ("backup", "monitor"),
    "operator": ("operator", "monitor"),
    "admin": ("admin", "backup", "operator", "monitor"),
}
"""Role of the cluster -> all that it is."""
CLUSTER = ""


@dataclass(frozen=True)
class Needed:
    """What permits a request: this role of the database, or one of these of the cluster. An admin needs none."""

    database: str = CLUSTER
    role: str = ""
    roles: tuple[str, ...] = ()
    owners: bool = False
    """Or to own any database."""


@dataclass(frozen=True)
class State:
    """All users at one time. `passwords`: by name. `grants`: user, database (or CLUSTER) and role."""

    passwords: Mapping[str, str] = field(default_factory=dict)
    grants: frozenset[tuple[str, str, str]] = frozenset()

    def lets_in(self, name: str, password: str) -> bool:
        """Whether this logs somebody in; while there is no user, everybody is."""
        return not self.passwords or self.passwords.get(name) == password

    def permits(self, name: str, password: str, needed: Needed) -> bool:
        """Whether whoever has logged in so may have it."""
        if not self.passwords:
            return True
        return self.lets_in(name, password) and self._has(name, needed)

    def _has(self, name: str, needed: Needed) -> bool:
        mine = [(database, role) for user, database, role in self.grants if user == name]
        cluster = {each for database, role in mine if database == CLUSTER for each in INCLUDED[role]}
        if "admin" in cluster or cluster.intersection(needed.roles):
            return True
        if needed.owners and any(role == "owner" for database, role in mine if database != CLUSTER):
            return True
        ranks = [RANKS[role] for database, role in mine if database == needed.database != CLUSTER]
        return bool(needed.role) and max(ranks, default=0) >= RANKS[needed.role]


class Timeline:
    """The states that there were. Times are whatever the caller counts in."""

    def __init__(self) -> None:
        self.states: list[State] = [State()]
        self._sent: list[int] = [0]
        """Since when each may have been in force ..."""
        self._ended: list[int | None] = [None]
        """... and until when: the answer of the next change."""

    @property
    def newest(self) -> State:
        """The one that was asked for last."""
        return self.states[-1]

    def sends(self, now: int, state: State) -> None:
        """Somebody asks for a change that leads there."""
        self.states.append(state)
        self._sent.append(now)
        self._ended.append(None)

    def acknowledged(self, now: int) -> None:
        """The last change was answered: what was before is over."""
        self._ended[-2] = now

    def between(self, since: int, until: int) -> list[State]:
        """Those that may have been in force at some moment of this time."""
        return [
            state
            for state, sent, ended in zip(self.states, self._sent, self._ended, strict=True)
            if sent <= until and (ended is None or ended >= since)
        ]
