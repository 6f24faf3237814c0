"""The catalog's tables as the value that cores know."""

from typing import Any

from msgspec import structs

from quorate.core.auth.users import AUTH_QUERIES, GrantRow, TokenRow, UserRow, Users
from quorate.core.catalog import (
    MEMBERS_QUERIES,
    QUERIES,
    SCHEMAS_QUERIES,
    Catalog,
    DatabaseRow,
    DroppedRow,
    PartitionRow,
)
from quorate.core.certificates import OFF, TLS_QUERIES, Certificates
from quorate.core.recovered import Member
from quorate.core.requests import Done, WriteOutcome
from quorate.core.statements import Statement
from quorate.storage.data.replica import Replica
from quorate.storage.rows.payload import decode_outcome

CATALOG_STATEMENTS = tuple(Statement(sql) for sql in QUERIES)
MEMBERS_STATEMENTS = tuple(Statement(sql) for sql in MEMBERS_QUERIES)
AUTH_STATEMENTS = tuple(Statement(sql) for sql in AUTH_QUERIES)
TLS_STATEMENTS = tuple(Statement(sql) for sql in TLS_QUERIES)
SCHEMAS_STATEMENTS = tuple(Statement(sql) for sql in SCHEMAS_QUERIES)
NEVER_CHANGED: tuple[Any, ...] = ((), (), (), ())


def read_catalog(replica: Replica) -> Catalog:
    """What this replica of the catalog holds. Raises what reading raises."""
    outcome, _position = replica.query(CATALOG_STATEMENTS)
    members, _position = replica.query(MEMBERS_STATEMENTS)
    users, _position = replica.query(AUTH_STATEMENTS)
    certificates, _position = replica.query(TLS_STATEMENTS)
    found = catalog_of(decode_outcome(outcome), decode_outcome(members), users_of(decode_outcome(users)))
    schemas, _position = replica.query(SCHEMAS_STATEMENTS)
    changed = decode_outcome(schemas)
    rows: Any = changed.results[0].rows if isinstance(changed, Done) else ()
    return structs.replace(
        found, certificates=certificates_of(decode_outcome(certificates)), schemas=tuple([tuple(row) for row in rows])
    )


def certificates_of(outcome: WriteOutcome) -> Certificates:
    """What the queries about certificates returned; as at the beginning when their tables are not there yet."""
    if not isinstance(outcome, Done):
        return Certificates()
    steps, certified, revoked = (result.rows for result in outcome.results)
    return Certificates(
        str(steps[0][0]) if steps else OFF,
        tuple(int(node) for (node,) in certified),  # type: ignore[arg-type]
        tuple(str(serial) for (serial,) in revoked),
        made=True,
    )


def users_of(outcome: WriteOutcome) -> Users:
    """What the queries about users returned; nobody when their tables are not there yet."""
    if not isinstance(outcome, Done):
        return Users()
    users, tokens, grants, secrets = (result.rows for result in outcome.results)
    return Users(
        tuple(UserRow(*row) for row in users),  # type: ignore[arg-type]
        tuple(TokenRow(*row) for row in tokens),  # type: ignore[arg-type]
        tuple(GrantRow(*row) for row in grants),  # type: ignore[arg-type]
        str(secrets[0][0]) if secrets else "",
    )


def catalog_of(outcome: WriteOutcome, changed: WriteOutcome, users: Users) -> Catalog:
    """A `Catalog` from what its queries returned; empty when its tables are not there yet. `changed`: what those about
    changes of members did, whose tables may not be there."""
    if not isinstance(outcome, Done):
        return Catalog()
    members, databases, partitions, ((version,),), dropped = (result.rows for result in outcome.results)
    began: dict[Any, tuple[int, ...]] = {}
    rows: tuple[Any, ...] = tuple(result.rows for result in changed.results) if isinstance(changed, Done) else ()
    changes, removed, voters, beginnings = rows or NEVER_CHANGED
    for group, node in beginnings:
        began[group] = (*began.get(group, ()), int(node))
    return Catalog(
        tuple(Member(*row) for row in members),  # type: ignore[arg-type]
        tuple(DatabaseRow(*row) for row in databases),  # type: ignore[arg-type]
        tuple(
            PartitionRow(int(group), str(database), int(number), _nodes(nodes), began.get(group, ()), int(leader))  # type: ignore[arg-type]
            for group, database, number, leader, nodes in partitions
        ),
        int(version),  # type: ignore[arg-type]
        len(changes),
        tuple(str(token) for _, _, token in changes),
        tuple(Member(*row) for row in removed),
        tuple(int(node) for (node,) in voters),
        tuple(DroppedRow(int(group), str(database), _nodes(nodes)) for group, database, nodes in dropped),  # type: ignore[arg-type]
        users,
    )


def _nodes(listed: object) -> tuple[int, ...]:
    return tuple(int(node) for node in str(listed or "").split(",") if node)
