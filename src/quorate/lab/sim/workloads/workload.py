"""What clients do beside what each run has (`operations`): one class for each kind, listed once (`registry.WORKLOADS`).

A workload is a room of its own: tables, operations or clients, what the model is to know of its statements
(`stores.model_tables`), and who judges what came of it. All that may be asked of it does nothing here.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from quorate.core.bounds import GroupId
from quorate.core.requests import Done
from quorate.core.statements import Statement
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.faults.fault import Dial
from quorate.lab.sim.scenarios.dials import Dials

if TYPE_CHECKING:
    from quorate.lab.sim.engine.host import Host
    from quorate.lab.sim.workloads.client import Client
    from quorate.lab.sim.workloads.operations import Database, Operation, Operations


class Order(Protocol):
    """What was committed, by group and index."""

    @property
    def committed(self) -> Mapping[GroupId, Mapping[int, Any]]: ...
    @property
    def payloads(self) -> Mapping[tuple[GroupId, int, int], tuple[int, bytes]]: ...


class Workload:
    """One of one run. A run that does not want it does not make it."""

    dial: ClassVar[Dial]
    """It says how much of it there is: in `Dials`, a field of this name."""
    of_clients: ClassVar[bool] = False
    """It has no operations but clients of its own (`client`): so many as the dial says."""
    tables: ClassVar[tuple[str, ...]] = ()
    """Made with the other tables of a database."""
    looks: ClassVar[tuple[Statement, ...]] = ()
    """What is read in the end of each replica of the first database, for `judge`."""
    judges_order: ClassVar[bool] = False
    """It wants to know what was committed, and in which order."""
    may_fail: ClassVar[tuple[str, ...]] = ()
    """Kinds of operations that may fail with it, whoever does them: their statements may be wrong."""

    def __init__(self, world: World, skip: tuple[str, ...]) -> None:
        """`skip`: judges that keep silent."""

    def weight(self, dials: Dials) -> int:
        """How often its operations are drawn."""
        return 0 if self.of_clients else int(getattr(dials, self.dial.name))

    def next(self, operations: "Operations", process: int, database: "Database") -> "Operation":
        """What this process does next."""
        raise NotImplementedError

    def clients(self, dials: Dials) -> int:
        """How many clients it has that do nothing else."""
        return int(getattr(dials, self.dial.name)) if self.of_clients else 0

    def client(self) -> "Callable[..., Client]":
        """What makes one of them; it is given what a `Client` is."""
        raise NotImplementedError

    def sent(self, token: str, statements: tuple[Statement, ...]) -> None:
        """Somebody sends this write."""

    def judge(self, found: Iterable[Done]) -> None:
        """What `looks` found on each replica. Raises Violation."""

    def judge_order(self, order: Order, number: GroupId, last: int, replicas: "list[Host]") -> None:
        """What was committed in this group up to `last`, and those who hold it. Raises Violation."""
