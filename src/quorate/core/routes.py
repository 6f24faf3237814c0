"""Which group of a node a request is for, or what the caller is told instead."""

from typing import TYPE_CHECKING

from quorate.core import roster
from quorate.core.bookmarks import Bookmark, digest_of
from quorate.core.calls import Request
from quorate.core.kernel import CATALOG_DATABASE, CATALOG_GROUP, Now
from quorate.core.replica import Replica
from quorate.core.requests import NotLeader, Refused
from quorate.core.statements import Token

if TYPE_CHECKING:
    from quorate.core.node import Node


def find(node: "Node", database: str) -> Replica | NotLeader | Refused:
    """The group that holds this database here, or where to go, or that there is no such database."""
    if node.removed and not _leads_still(node, database):
        return roster.refusal(node)
    if database == CATALOG_DATABASE:
        return _if_member(node.groups.get(CATALOG_GROUP)) or NotLeader(node.identity.founders[0].address)
    rows = node.directory.groups_for(database)
    for row in rows:
        here = node.groups.get(row.group)
        if here is not None and not here.left_out:
            return here
    if rows:
        row = rows[node.me % len(rows)]
        return NotLeader(node.address_of(row.nodes[row.group % len(row.nodes)]))
    return _unknown(node, database)


def group_for(node: "Node", request: int, database: str) -> Replica | None:
    """The group that holds this database here; otherwise the caller is told where to go."""
    found = find(node, database)
    if isinstance(found, (NotLeader, Refused)):
        node.reply(request, found)
        return None
    return found


def misplaced(node: "Node", group: Replica, bookmark: Bookmark) -> Refused | None:
    """What is to be said of a bookmark that is not of this group."""
    here = group.database
    if bookmark.places and bookmark.cluster != digest_of(node.identity.cluster):
        return Refused("ProgrammingError", f"the bookmark is of another cluster, not of this one with {here!r}")
    groups = [group.group, *[row.group for row in node.directory.groups_for(here)]]
    for place in bookmark.places:
        if place.group in groups:
            continue
        catalog = node.directory.catalog
        names = {row.group: row.database for row in catalog.partitions}
        dropped = {row.group: row.database for row in catalog.dropped}
        if place.group in names:
            what = f"of the database {names[place.group]!r}"
        elif place.group in dropped:
            what = f"of the database {dropped[place.group]!r}, which was dropped"
        else:
            what = f"of the group {place.group}, which no database of this cluster has"
        return Refused("ProgrammingError", f"the bookmark is {what}, not of {here!r}", "keep one for each database")
    return None


def submit(node: "Node", now: Now, group: Replica, request: Request) -> bool:
    """A write for this group: whether it waits for its turn there now (`Replica.joined`)."""
    refusal = NotLeader("") if node.draining else elsewhere(node, group, request.body.token)
    if refusal is not None:
        node.reply(request.id, refusal)
        return False
    return group.submit(now, request)


def elsewhere(node: "Node", group: Replica, token: Token | None) -> NotLeader | None:
    """Where this write belongs, if another of several leaders is to run it, or if it has not been said which one.

    Each leader remembers its own tokens, so a write that two of them run takes effect twice. Its token names the group
    of the one that may, before it runs anywhere."""
    rows = node.directory.groups_for(group.database)
    if len(rows) < 2 or token is None or token.group == group.group:
        return None
    home = next((row for row in rows if row.group == token.group), None)
    if home is None:
        return NotLeader("", group.group)
    return NotLeader(node.address_of(home.nodes[node.me % len(home.nodes)]), home.group)


def _leads_still(node: "Node", database: str) -> bool:
    """A node that is out leads a group until that has other members."""
    return any(group.database == database and group.leads for group in node.groups.values())


def _if_member(group: Replica | None) -> Replica | None:
    """A replica that its group has left out knows nothing new, and answers nobody."""
    return None if group is None or group.left_out else group


def _unknown(node: "Node", database: str) -> NotLeader | Refused:
    """Only the catalog's leader can say that a database does not exist."""
    if not node.holds_catalog:
        return NotLeader(node.identity.founders[0].address)
    catalog = node.catalog
    if catalog.leads_ready and node.directory.catalog.members:
        names = ", ".join(row.name for row in node.directory.catalog.databases)
        was = any(row.database == database for row in node.directory.catalog.dropped)
        message = f"the database {database!r} was dropped" if was else f"there is no database {database!r}"
        return Refused("UnknownDatabase", message, f"there are: {names}")
    return NotLeader(catalog.leader_address())


def unknown_member(node: "Node", name: str) -> NotLeader | Refused:
    """Only the catalog's leader can say that nobody is called so: another may not have heard of a new member yet."""
    catalog = node.catalog if node.holds_catalog else None
    names = ", ".join(sorted(member.name for member in node.directory.members.values()))
    if catalog is not None and catalog.leads_ready and node.directory.catalog.members:
        return Refused("UnknownNode", f"no member is called {name!r}", f"there are: {names}")
    leader = node.identity.founders[0].address if catalog is None else catalog.leader_address()
    if leader:
        return NotLeader(leader)
    text = f"{node.identity.name} knows no member called {name!r}, and the catalog has no leader to ask"
    return Refused("Unavailable", text, f"known are: {names}", retryable=True)
