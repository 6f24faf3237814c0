"""More bytes than are written to the log in passing, and a count."""

from quorate.core.entries import LARGE_BYTES
from quorate.core.statements import Statement
from quorate.lab.sim.faults.fault import Dial
from quorate.lab.sim.workloads.operations import COUNT, Database, Operation, Operations
from quorate.lab.sim.workloads.workload import Workload

LARGE = "INSERT OR REPLACE INTO marks VALUES (0, ?)"


class Large(Workload):
    """Writes of large entries."""

    dial = Dial("large")

    def next(self, operations: Operations, process: int, database: Database) -> Operation:
        """One of them."""
        del process
        key = operations.rng.choice(database.counters)
        note = operations.rng.choice("abcdef") * operations.rng.randint(LARGE_BYTES, LARGE_BYTES * 3 // 2)
        statements = [Statement(LARGE, ((note,),)), Statement(COUNT, ((key,),))]
        return Operation("large", database.name, statements, operations.counted(database, key), writes=True)
