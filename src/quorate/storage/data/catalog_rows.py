"""The catalog's tables as the value that cores know."""

from typing import Any

from quorate.core.catalog import MEMBERS_QUERIES, QUERIES, Catalog, DatabaseRow, DroppedRow, PartitionRow
from quorate.core.recovered import Member
from quorate.core.requests import Done, WriteOutcome
from quorate.core.statements import Statement
from quorate.storage.data.replica import Replica
from quorate.storage.rows.payload import decode_outcome

CATALOG_STATEMENTS = tuple(Statement(sql) for sql in QUERIES)
MEMBERS_STATEMENTS = tuple(Statement(sql) for sql in MEMBERS_QUERIES)
NEVER_CHANGED: tuple[Any, ...] = ((), (), (), ())


def read_catalog(replica: Replica) -> Catalog:
    """What this replica of the catalog holds. Raises what reading raises."""
    outcome, _position = replica.query(CATALOG_STATEMENTS)
    members, _position = replica.query(MEMBERS_STATEMENTS)
    return catalog_of(decode_outcome(outcome), decode_outcome(members))


def catalog_of(outcome: WriteOutcome, changed: WriteOutcome) -> Catalog:
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
            PartitionRow(int(group), str(database), int(number), _nodes(nodes), began.get(group, ()))  # type: ignore[arg-type]
            for group, database, number, nodes in partitions
        ),
        int(version),  # type: ignore[arg-type]
        len(changes),
        tuple(str(token) for _, _, token in changes),
        tuple(Member(*row) for row in removed),
        tuple(int(node) for (node,) in voters),
        tuple(DroppedRow(int(group), str(database), _nodes(nodes)) for group, database, nodes in dropped),  # type: ignore[arg-type]
    )


def _nodes(listed: object) -> tuple[int, ...]:
    return tuple(int(node) for node in str(listed or "").split(",") if node)
