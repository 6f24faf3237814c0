"""What each request needs of whoever asks it. A kind of request that is not named here is for admins."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from quorate.core.auth.roles import BACKUP, MONITOR, OPERATOR, OWNER, READ, SCHEMA, WRITE
from quorate.core.auth.users import AUDIT_QUERY
from quorate.core.catalog import DATABASES_QUERY, DROPPED_QUERY
from quorate.core.copy_requests import OpenCopy, ReadCopy
from quorate.core.kernel import CATALOG_DATABASE
from quorate.core.requests import (
    AddMember,
    AlterDatabase,
    CreateDatabase,
    DropDatabase,
    Failover,
    LostAsk,
    Outcome,
    RemoveMember,
    ReplaceMember,
    Replay,
    Run,
    Status,
    Upgrade,
    Verify,
)
from quorate.core.row_requests import ChangeSchema, ReadRow, RunRow, WriteRow
from quorate.core.scripts import BeginAttempt, LetGo, Script
from quorate.core.view_requests import CloseView, OpenView, ReadView
from quorate.sql.classify import CHANGE, HasText, is_read, shape_of

CATALOG_READS = frozenset({DATABASES_QUERY, DROPPED_QUERY, AUDIT_QUERY})
"""What a monitor may ask the catalog. Any other text could show verifiers, and is for admins."""


class Need(Struct, frozen=True):
    """One of these is enough; an admin needs none."""

    database: str = ""
    rank: int = 0
    """The least rank in that database; 0: no rank is enough."""
    roles: tuple[str, ...] = ()
    anybody: bool = False
    """To have logged in is enough."""
    owners: bool = False
    """To own any database is enough."""


ADMIN_ONLY = Need()
ANYBODY = Need(anybody=True)
_MONITOR = Need(roles=(MONITOR,), owners=True)
_OPERATOR = Need(roles=(OPERATOR,))


def rank_of(statements: Sequence[HasText]) -> int:
    """The rank in its database that is needed for these, told from their texts."""
    rank = READ
    for statement in statements:
        if is_read(statement.sql):
            continue
        if shape_of(statement.sql).kind != CHANGE:
            return SCHEMA
        rank = WRITE
    return rank


def need_of(body: Any) -> Need:
    """What this request needs."""
    kind = type(body)
    if kind is Run:
        return _of_run(body)
    if kind is Script:
        return Need(body.database, max(rank_of(body.steps), WRITE if body.commit else READ))
    if kind in (BeginAttempt, Outcome, LetGo, WriteRow, ReadRow):
        return Need(body.database, READ if kind is ReadRow else WRITE)
    if kind is RunRow:
        return Need(body.database, rank_of((body.statement,)))
    if kind is ChangeSchema:
        return Need(body.database, SCHEMA)
    if kind is Status:
        return ANYBODY if body.members_only else _MONITOR
    if kind in (AddMember, RemoveMember, ReplaceMember, Upgrade, CreateDatabase):
        return _OPERATOR
    if kind in (AlterDatabase, Failover, Verify):
        return Need(body.database, OWNER, (OPERATOR,))
    if kind in (DropDatabase, Replay):
        return Need(body.database, OWNER)
    if kind is OpenCopy:
        return ADMIN_ONLY if body.database == CATALOG_DATABASE else Need(body.database, READ, (BACKUP,))
    if kind is OpenView:
        return ADMIN_ONLY if body.database == CATALOG_DATABASE else Need(body.database, READ)
    if kind in (ReadCopy, ReadView, CloseView):
        return ANYBODY  # `core.copies` and `core.read_views` know of which database it is, and ask again
    if kind is LostAsk and not body.group:
        return Need(body.database, OWNER, (MONITOR,)) if body.database else _MONITOR
    return ADMIN_ONLY


def _of_run(body: Run) -> Need:
    if body.database != CATALOG_DATABASE:
        return Need(body.database, SCHEMA if body.load else rank_of(body.statements))
    known = all(statement.sql in CATALOG_READS for statement in body.statements)
    return _MONITOR if known else ADMIN_ONLY
