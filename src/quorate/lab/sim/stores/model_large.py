"""What a large write does, for the model of SQLite (`model_tables`)."""

from typing import TYPE_CHECKING, Any

from quorate.core.statements import Result
from quorate.lab.sim.workloads import large

if TYPE_CHECKING:
    from quorate.lab.sim.stores.model_tables import Tables


def _large(tables: "Tables", parameters: Any) -> Result:
    tables.change("marks", tables.table("marks").get(0), (0, parameters[0]))
    tables.last_rowid = 0
    return Result((), [], 1, 0)


STATEMENTS = {large.LARGE: _large}
