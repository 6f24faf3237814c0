"""What one object may do, as a function from state and operation to the next state.

`step` answers IMPOSSIBLE when the operation could not have returned what it returned in that state. An
operation whose end is unknown (`info`) returned nothing that could be wrong.
"""

from collections.abc import Hashable
from typing import Any, Protocol

from quorate.lab.judges.history import FAIL, INFO, OK, HistoryError, Operation
from quorate.lab.judges.values import freeze

IMPOSSIBLE: Any = object()


class Model(Protocol):
    """A sequential object. States are immutable and hashable."""

    name: str
    initial: Hashable

    def prepare(self, operations: list[Operation]) -> list[Operation]:
        """Leave out what can say nothing (failed writes, reads without an answer)."""

    def step(self, state: Any, operation: Operation) -> Any: ...

    def refuted(self, operations: list[Operation]) -> tuple[list[Operation], str] | None:
        """(evidence, reason) where one answer alone is impossible, whatever the order; None where none is."""

    def may_drop(self, operation: Operation, others: list[Operation]) -> bool:
        """Would leaving this operation out keep a linearizable history linearizable? (For witnesses.)"""


class Register:
    """`read`, `write` and `cas` on one value. `cas` returns whether it found the old value."""

    def __init__(self, initial: Hashable = None, name: str = "register") -> None:
        self.name = name
        self.initial = freeze(initial)

    def prepare(self, operations: list[Operation]) -> list[Operation]:
        for one in operations:
            if one.function not in {"read", "write", "cas"}:
                raise HistoryError(f"a register does not know {one.function!r}")
            if one.function == "cas" and not (isinstance(one.value, list | tuple) and len(one.value) == 2):
                raise HistoryError(f"a cas needs the old value and the new one: process {one.process}: {one.value!r}")
        operations = [as_typed(one) for one in operations]
        kept = [one for one in operations if one.end == OK or (one.end == INFO and one.function != "read")]
        if any(one.function == "cas" and one.end == OK and not one.result for one in kept):
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

    def refuted(self, operations: list[Operation]) -> tuple[list[Operation], str] | None:
        sources: dict[Any, Operation] = {}
        for one in operations:
            if one.function == "write" or (one.function == "cas" and (one.result or one.end == INFO)):
                value = written(one)
                if value not in sources or one.invoked < sources[value].invoked:
                    sources[value] = one
        for one in operations:
            if one.end != OK or one.function == "write" or (one.function == "cas" and not one.result):
                continue
            value = observation(one)
            source = sources.get(value)
            if value == self.initial:
                continue
            if source is None:
                return [one], "this value was never written"
            if one.returned < source.invoked:
                return [one, source], "a read saw a value before its write began"
        return None

    def may_drop(self, operation: Operation, others: list[Operation]) -> bool:
        if operation.function == "read" or (operation.function == "cas" and not operation.result):
            return True
        if operation.function == "cas":
            return False
        if any(one.function == "cas" and (not one.result or one.end == INFO) for one in others):
            return False
        return all(one.function == "write" or observation(one) != operation.value for one in others)


def as_typed(one: Operation) -> Operation:
    """The operation with values that are equal only where their types are."""
    value, result = freeze(one.value), freeze(one.result)
    if value is one.value and result is one.result:
        return one
    return Operation(one.process, one.function, one.key, value, one.invoked, one.returned, one.end, result)


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
        for one in operations:
            if one.function not in {"get", "put", "append"}:
                raise HistoryError(f"a text does not know {one.function!r}")
            said = one.value if one.function != "get" else one.result if one.end == OK else None
            if not isinstance(said, str) and (said is not None or one.function != "get"):
                raise HistoryError(f"not a text: process {one.process}: {one.function} {said!r}")
        return [one for one in operations if one.end != FAIL and (one.end == OK or one.function != "get")]

    def step(self, state: Any, operation: Operation) -> Any:
        function = operation.function
        if function == "get":
            return state if (operation.result or "") == state else IMPOSSIBLE
        if function == "append":
            return state + operation.value
        if function == "put":
            return operation.value
        raise HistoryError(f"a text does not know {function!r}")

    def refuted(self, operations: list[Operation]) -> tuple[list[Operation], str] | None:
        """A get of what no puts and appends that had begun can be put together to."""
        begun = sorted((one for one in operations if one.function != "get" and one.value), key=lambda one: one.invoked)
        pieces: dict[str, Operation] = {}
        place = 0
        for get in sorted((one for one in operations if one.function == "get"), key=lambda one: one.returned):
            while place < len(begun) and begun[place].invoked <= get.returned:
                pieces.setdefault(begun[place].value, begun[place])
                place += 1
            if not _composed(get.result or "", pieces):
                return [get], "nobody had begun to write all of this text"
        return None

    def may_drop(self, operation: Operation, others: list[Operation]) -> bool:  # noqa: ARG002 - the protocol's
        return operation.function == "get"


def _composed(text: str, pieces: dict[str, Operation]) -> bool:
    """Whether the text is a row of these pieces, of which any may come more than once."""
    sizes = sorted({len(piece) for piece in pieces})
    ends = [0]
    seen = {0}
    while ends:
        place = ends.pop()
        if place == len(text):
            return True
        for size in sizes:
            if place + size not in seen and text[place : place + size] in pieces and place + size <= len(text):
                seen.add(place + size)
                ends.append(place + size)
    return False


MODELS: dict[str, Model] = {"register": Register(), "text": Text()}
