"""A node that runs the scripts of transactions on a dictionary."""

import msgspec

from quorate.core.requests import Cancelled, Done, Outcome, RequestBody, WriteOutcome
from quorate.core.scripts import Attempted, BeginAttempt, Evaluated, Pin, Script
from quorate.core.statements import Failed, Result

CONSTRAINT = Failed("IntegrityError", "forbidden", sqlite_errorname="SQLITE_CONSTRAINT")
CHANGED = Failed("SerializationFailure", "statement 0 gave something else before")


class Node:
    """Runs scripts of `SELECT key` and `UPDATE key value` on a dictionary; 13 is a forbidden value."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.scripts: list[Script] = []
        self.remembered: dict[str, WriteOutcome] = {}

    def answer(self, body: RequestBody) -> Evaluated | WriteOutcome:
        """What a leader answers: to a script, and to the question what became of one."""
        if isinstance(body, BeginAttempt):
            before = self.remembered.get(body.token.name, Attempted(0))
            if isinstance(before, Attempted):
                before = self.remembered[body.token.name] = Attempted(before.attempt + 1)
            return before
        if isinstance(body, Outcome):
            return self.remembered.setdefault(body.token.name, Cancelled())
        assert isinstance(body, Script)
        known = self.remembered.get(body.token.name) if body.token is not None else None
        if isinstance(known, Attempted) and body.run is not None:
            late = Failed("Cancelled", f"attempt {body.run.attempt} comes too late")
            return late if body.run.attempt < known.attempt else self.run(body)
        return known or self.run(body)

    def run(self, script: Script) -> Evaluated | Done | Failed:
        self.scripts.append(msgspec.msgpack.decode(msgspec.msgpack.encode(script), type=Script))
        rows, saved = dict(self.rows), list[tuple[str, dict[str, int]]]()
        new: list[tuple[Result | Failed, bytes, Pin]] = []
        for number, step in enumerate(script.steps):
            outcome = self._step(step.statement.sql, rows, saved)
            digest = repr(outcome).encode()
            if not step.digest:
                new.append((outcome, digest, Pin(7, number)))
            elif step.digest != digest or step.pin is None:
                return CHANGED
        if script.commit:
            assert not new
            self.rows = rows
            attempt = () if script.run is None else (Result((("attempt", None),), [(script.run.attempt,)], -1),)
            if script.token is not None:
                self.remembered[script.token.name] = Done(attempt)
            return Done(attempt)
        results = tuple([None if isinstance(each[0], Failed) else each[0] for each in new])
        failures = tuple([each[0] if isinstance(each[0], Failed) else None for each in new])
        return Evaluated(results, failures, tuple([each[1] for each in new]), tuple([each[2] for each in new]))

    def _step(self, sql: str, rows: dict[str, int], saved: list[tuple[str, dict[str, int]]]) -> Result | Failed:
        verb, *words = sql.split()
        if verb in ("SAVEPOINT", "RELEASE", "ROLLBACK"):
            words = [words[-1].lower()]
        if verb == "SAVEPOINT":
            saved.append((words[0], dict(rows)))
        elif verb == "RELEASE":
            while saved.pop()[0] != words[0]:
                pass
        elif verb == "ROLLBACK":
            while saved[-1][0] != words[0]:
                saved.pop()
            rows.clear()
            rows.update(saved[-1][1])
        elif verb == "SELECT":
            return Result((("value", None),), [(rows.get(words[0]),)], -1)
        elif words[1] == "13":
            return CONSTRAINT
        else:
            rows[words[0]] = int(words[1])
            return Result((), [], 1)
        return Result((), [], -1)
