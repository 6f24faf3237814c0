"""Which leader a write belongs to, where a database has several.

Each leader remembers the tokens of its own writes. So a write is run by one of them only: its token names that
leader's group, and no other node runs it (`core.routes`). A connection stays with one leader, that of the first node
that it reaches. Its writes go to another one only if nothing was sent that may have happened.
"""

from collections.abc import Callable
from typing import Any

from msgspec import structs

from quorate.core.bounds import INDEX_BITS, GroupId
from quorate.core.statements import Token

ANY: GroupId = 0
"""No leader has been chosen yet, or there are not several."""


def addressed(token: Token, group: GroupId) -> Token:
    """The token for this group's leader."""
    return token if token.group == group else Token(token.id, 0, group)


def stamped(body: Any, group: GroupId) -> Any:
    """The request as it is to be sent to this group's leader."""
    token = getattr(body, "token", None)
    if token is None or token.group == group:
        return body
    return structs.replace(body, token=addressed(token, group))


def packed(token: Token) -> int:
    """`MaybeDone.seen`: the place in the log, and whose log it is."""
    return token.seen | token.group << INDEX_BITS


def unpacked(name: str, seen: int) -> Token:
    """The token that `packed` was given."""
    return Token(name, seen & ((1 << INDEX_BITS) - 1), seen >> INDEX_BITS)


class Home:
    """The leader of one call."""

    def __init__(self, group: GroupId, homes: dict[str, GroupId], database: str, *, asks: bool = False) -> None:
        """`homes` has what the connection has chosen. `asks`: it asks about a write, and must not go elsewhere."""
        self.group = group or homes.get(database, ANY)
        self._homes = homes
        self._database = database
        self._asks = asks
        self.visits = False
        """It has been sent to another leader, which alone may run it (a change of the schema)."""

    def redirected(
        self, address: str, leader: str, group: GroupId, *, clean: bool, is_lost: Callable[[str], bool]
    ) -> str:
        """A node of a database with several leaders has not run it: whom to ask now; empty: nobody yet. `clean`: no
        send of it may have happened. `is_lost`: whether a node has failed lately."""
        if leader and group == self.group:
            if not clean or self._asks or not is_lost(leader):
                return leader
            self.group = ANY  # nothing has happened: another leader may run it
            self._homes.pop(self._database, None)
            return address
        if leader:
            self.group, self.visits = group, True
            return leader
        if self._asks or not (clean or self.group == ANY):
            return ""
        self.group = self._homes[self._database] = group
        return address
