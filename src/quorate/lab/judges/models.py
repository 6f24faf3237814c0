"""What one object may do, as a function from state and operation to the next state.

`step` answers IMPOSSIBLE when the operation could not have returned what it returned in that state. An
operation whose end is unknown (`info`) returned nothing that could be wrong.
"""

from collections.abc import Hashable
from typing import Any, Protocol

from quorate.lab.judges.history import FAIL, INFO, OK, HistoryError, Operation

IMPOSSIBLE: Any = object()


class Model(Protocol):
    """A sequential object. States are immutable and hashable."""

    name: str
    initial: Hashable

    def prepare(self, operations: list[Operation]) -> list[Operation]:
        """Leave out what can say nothing (failed writes, reads without an answer)."""

    def step(self, state: Any, operation: Operation) -> Any: ...

    def may_drop(self, operation: Operation, others: list[Operation]) -> bool:
        """Would leaving this operation out keep a linearizable history linearizable? (For witnesses.)"""


class Register:
    """`read`, `write` and `cas` on one value. `cas` returns whether it found the old value."""

    def __init__(self, initial: Hashable = None, name: str = "register") -> None:
        self.name = name
        self.initial = initial

    def prepare(self, operations: list[Operation]) -> list[Operation]:
        for one in operations:
            if one.function not in {"read", "write", "cas"}:
                raise HistoryError(f"a register does not know {one.function!r}")
        kept = [one for one in operations if one.end == OK or (one.end == INFO and one.function != "read")]
        if any(one.function == "cas" and one.end == OK and one.result is False for one in kept):
            return kept
        # Only a failed compare-and-set can need a state that nobody read: without one, an uncertain
        # write that nobody saw can be taken never to have happened.
        observed = {observation(one) for one in kept if one.function != "write"}
        return [one for one in kept if one.end == OK or written(one) in observed]

    def step(self, state: Any, operation: Operation) -> Any:
        function = operation.function
        if function == "read":
            return state if operation.result == state else IMPOSSIBLE
        if function == "write":
            return operation.value
        old, new = operation.value
        found = state == old
        if operation.end == OK and bool(operation.result) != found:
            return IMPOSSIBLE
        return new if found else state

    def may_drop(self, operation: Operation, others: list[Operation]) -> bool:
        if operation.function == "read" or (operation.function == "cas" and operation.result is False):
            return True
        if operation.function == "cas":
            return False
        if any(one.function == "cas" and (one.result is False or one.end == INFO) for one in others):
            return False
        return all(one.function == "write" or observation(one) != operation.value for one in others)


def observation(operation: Operation) -> Any:
    """The value that a read saw, or that a compare-and-set looked for."""
    return operation.result if operation.function == "read" else operation.value[0]


def written(operation: Operation) -> Any:
    """The value that an operation wrote, or may have written."""
    return operation.value[1] if operation.function == "cas" else operation.value


class Text:
    """`get`, `put` and `append` on one string that begins empty."""

    name = "text"
    initial: Hashable = ""

    def prepare(self, operations: list[Operation]) -> list[Operation]:
        return [one for one in operations if one.end != FAIL and (one.end == OK or one.function != "get")]

    def step(self, state: Any, operation: Operation) -> Any:
        function = operation.function
        if function == "get":
            return state if operation.result == state else IMPOSSIBLE
        if function == "append":
            return state + operation.value
        if function == "put":
            return operation.value
        raise HistoryError(f"a text does not know {function!r}")

    def may_drop(self, operation: Operation, others: list[Operation]) -> bool:  # noqa: ARG002 - the protocol's
        return operation.function == "get"


MODELS: dict[str, Model] = {"register": Register(), "text": Text()}
