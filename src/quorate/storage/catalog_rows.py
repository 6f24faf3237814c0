"""The catalog's tables as the value that a core is told."""

from quorate.core.catalog import QUERIES, Catalog, DatabaseRow, PartitionRow
from quorate.core.kernel import Member
from quorate.core.requests import Done, Statement, WriteOutcome

CATALOG_STATEMENTS = tuple(Statement(sql) for sql in QUERIES)


def catalog_of(outcome: WriteOutcome) -> Catalog:
    """A `Catalog` from what its queries returned; empty when its tables are not there yet."""
    if not isinstance(outcome, Done):
        return Catalog()
    members, databases, partitions = (result.rows for result in outcome.results)
    return Catalog(
        tuple(Member(*row) for row in members),  # type: ignore[arg-type]
        tuple(DatabaseRow(*row) for row in databases),  # type: ignore[arg-type]
        tuple(
            PartitionRow(int(group), str(database), int(number), _nodes(nodes))  # type: ignore[arg-type]
            for group, database, number, nodes in partitions
        ),
    )


def _nodes(listed: object) -> tuple[int, ...]:
    return tuple(int(node) for node in str(listed or "").split(",") if node)
