"""One order for all changes of the schema: the database's first group makes them, and its log carries them.

What a leader wrote with a newer schema lies behind that schema in its own log, as behind everything that it had
merged: whoever reads that log has the schema first. So nothing has to be agreed upon, and no write waits for a vote of
the others.
"""

from typing import Any

from quorate.core.multi_leader.state import LeaderGroup
from quorate.core.requests import NotLeader, Run
from quorate.core.scripts import Script
from quorate.sql.classify import CREATE_AS, DDL, DROP_TABLE, shape_of

_CHANGES = (DDL, CREATE_AS, DROP_TABLE)


def changes_schema(body: Any) -> bool:
    """Whether this request does, told by its text."""
    if type(body) is Run:
        return any(shape_of(each.sql).kind in _CHANGES for each in body.statements)
    return type(body) is Script and any(shape_of(each.sql).kind in _CHANGES for each in body.steps)


def elsewhere(group: LeaderGroup, body: Any) -> NotLeader | None:
    """Where a request has to go that changes the schema; None: it may run here."""
    if not changes_schema(body):
        return None
    rows = group.host.groups_for(group.database)
    if not rows or rows[0].group == group.group:
        return None
    return NotLeader(group.host.address_of(rows[0].nodes[0]), rows[0].group)
