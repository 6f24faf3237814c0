"""What a client does with a transaction: it keeps the statements, and sends all of them each time."""

from collections.abc import Callable
from typing import Any

from quorate.core.requests import Done
from quorate.core.scripts import Evaluated, Pin, Script, Step
from quorate.core.statements import Failed, Result, Statement, Token
from quorate.wire.answers import read_script

PIN = Pin(1_700_000_000_000_000, 42)


class OpenTransaction:
    """`execute` runs a script and gives its encoded outcome."""

    def __init__(self, execute: Callable[[Script], bytes]) -> None:
        self._execute = execute
        self.steps: tuple[Step, ...] = ()
        self.escalate = ""

    def run(self, sql: str, *parameters: object) -> Result | Failed:
        """One more statement: what it gave. A Failed of SerializationFailure is the end of the transaction."""
        step = Step(Statement(sql, (parameters,)), pin=PIN)  # type: ignore[arg-type]
        found = read_script(self._execute(Script("main", (*self.steps, step))))
        if not isinstance(found, Evaluated):
            assert isinstance(found, Failed)
            return found
        self.steps = (*self.steps, Step(step.statement, found.digests[0], found.pins[0]))
        self.escalate = found.escalate
        return found.outcomes[0]

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        found = self.run(sql, *parameters)
        assert isinstance(found, Result), found
        return found.rows

    def commit(self, token: str = "committed") -> Done | Failed:
        found = read_script(self._execute(Script("main", self.steps, commit=True, token=Token(token, 0))))
        assert isinstance(found, Done | Failed)
        return found
