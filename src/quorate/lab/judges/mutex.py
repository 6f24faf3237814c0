"""A lock as a sequential object, for the judge of linearizability: `acquire` and `release`."""

from collections.abc import Hashable
from typing import Any

from quorate.lab.judges.history import FAIL, HistoryError, Operation
from quorate.lab.judges.models import IMPOSSIBLE


class Mutex:
    """Held or not. With `owned`, only the process that holds it can release it."""

    initial: Hashable = None

    def __init__(self, *, owned: bool = False) -> None:
        self.owned = owned
        self.name = "owned-mutex" if owned else "mutex"

    def prepare(self, operations: list[Operation]) -> list[Operation]:
        for one in operations:
            if one.function not in {"acquire", "release"}:
                raise HistoryError(f"a mutex does not know {one.function!r}")
            if self.owned and one.process is None:
                raise HistoryError(f"an owned mutex needs the process of each operation: {one.function}")
        return [one for one in operations if one.end != FAIL]

    def step(self, state: Any, operation: Operation) -> Any:
        if operation.function == "acquire":
            return IMPOSSIBLE if state is not None else operation.process if self.owned else 0
        if state is None or (self.owned and state != operation.process):
            return IMPOSSIBLE
        return None

    def refuted(self, operations: list[Operation]) -> tuple[list[Operation], str] | None:  # noqa: ARG002 - as above
        return None

    def may_drop(self, operation: Operation, others: list[Operation]) -> bool:  # noqa: ARG002 - the protocol's
        return False
