"""What dropping a database does to the catalog, for the model of SQLite (`model_tables`)."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quorate.core import catalog
from quorate.core.statements import Result

if TYPE_CHECKING:
    from quorate.lab.sim.stores.model_tables import Tables


def _groups(tables: "Tables", name: str) -> list[Any]:
    return [row for _, row in sorted(tables.table("partitions").items()) if row[1] == name]


def _delete(tables: "Tables", name: str, rows: list[Any]) -> Result:
    for row in rows:
        tables.change(name, row, None)
    return Result((), [], len(rows))


def _note(tables: "Tables", parameters: Any) -> Result:
    found = _groups(tables, parameters[0])
    for group, name, *_ in found:
        nodes = ",".join(str(node) for each, node in sorted(tables.table("replicas")) if each == group)
        tables.change("dropped", None, (group, name, nodes))
        tables.last_rowid = group
    return Result((), [], len(found), tables.last_rowid)


def _replicas(tables: "Tables", parameters: Any) -> Result:
    groups = {row[0] for row in _groups(tables, parameters[0])}
    return _delete(tables, "replicas", [row for row in tables.table("replicas").values() if row[0] in groups])


def _partitions(tables: "Tables", parameters: Any) -> Result:
    return _delete(tables, "partitions", _groups(tables, parameters[0]))


def _databases(tables: "Tables", parameters: Any) -> Result:
    row = tables.table("databases").get(parameters[0])
    return _delete(tables, "databases", [] if row is None else [row])


def _dropped(tables: "Tables", _parameters: Any) -> Result:
    columns = (("partition", "INTEGER"), ("database", "TEXT"), ("nodes", "TEXT"))
    return Result(columns, [row for _, row in sorted(tables.table("dropped").items())], -1)


STATEMENTS: dict[str, Callable[["Tables", Any], Result]] = dict(
    zip((*catalog.DROP, catalog.QUERIES[4]), (_note, _replicas, _partitions, _databases, _dropped), strict=True)
)
