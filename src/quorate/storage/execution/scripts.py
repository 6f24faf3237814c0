"""Running a transaction's statements as a client sends them: again, in order, and compared with what they gave before.

What a statement gave is known by a digest, so that a client need not send it back. A writer that runs a script undoes
it, or keeps it if the transaction is to be committed; a reader runs one that only reads, in one snapshot.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from msgspec import structs

from quorate.core.scripts import Evaluated, Pin, Script, Step
from quorate.core.statements import Failed, Result, Statement
from quorate.sql.classify import READ, shape_of
from quorate.sql.control import ROLLBACK_TO, SAVEPOINT, savepoint_of
from quorate.storage.execution.running import NOTHING
from quorate.storage.failures import RefusedError
from quorate.storage.rows.payload import encode, encode_failed

DIGEST_BYTES = 16
STEPS = 100
"""So many statements are run again for each one that comes; a transaction with more is to hold the writer."""
TAKES_US = 20_000
"""The same where they take so long."""
_KNOWN_MAX = 10_000
_KNOWN_BYTES_MAX = 2048
"""How many steps are known at a time, and how large one may be."""


def digest_of(statement: Statement, gave: Result | Failed) -> bytes:
    """What the same statement must give again. What PRAGMA and EXPLAIN tell of a connection, a file or a plan may
    differ between replicas: of them, only whether they failed."""
    known: object = (gave.error, gave.sqlite_errorname) if isinstance(gave, Failed) else _tells(statement.sql) or gave
    return sha256(encode(known)).digest()[:DIGEST_BYTES]


def _tells(sql: str) -> str:
    shape = shape_of(sql)
    word = shape.sql.lstrip()[:7].upper()
    return word if shape.kind == READ and word in ("PRAGMA ", "EXPLAIN") else ""


def changed(place: int) -> Failed:
    """The outcome of a script whose statement at this place gave something else."""
    message = f"statement {place + 1} of the transaction would give something else by now: others have changed its data"
    return Failed("SerializationFailure", message, "nothing was done; begin the transaction anew", "", place)


def evaluate(
    steps: Sequence[Step],
    run: Callable[[Step], tuple[Result | Failed, Pin | None]],
    known: set[bytes] | None = None,
) -> Evaluated | Failed:
    """Run the steps in order, and compare. `run` gives what a step gave, and its pin. `known` are reads that give what
    they say in the state that is read, and need not run again; what runs is added."""
    results: list[Result | None] = []
    failures: list[Failed | None] = []
    digests: list[bytes] = []
    pins: list[Pin | None] = []
    for place, step in enumerate(steps):
        if known and step.digest and encode(step) in known:
            continue
        gave, pin = run(step)
        digest = digest_of(step.statement, gave)
        if known is not None and isinstance(gave, Result) and gave is not NOTHING:
            _note(known, Step(step.statement, digest, pin))
        if not step.digest:
            failed = isinstance(gave, Failed)
            results.append(None if failed else gave)  # type: ignore[arg-type]
            failures.append(gave if failed else None)  # type: ignore[arg-type]
            digests.append(digest)
            pins.append(pin)
        elif step.digest != digest:
            return changed(place)
    return Evaluated(tuple(results), tuple(failures), tuple(digests), tuple(pins))


def _note(known: set[bytes], step: Step) -> None:
    found = encode(step)
    if len(found) <= _KNOWN_BYTES_MAX:
        if len(known) >= _KNOWN_MAX:
            known.clear()
        known.add(found)


class Savepoints:
    """The names of a transaction's savepoints that are open, oldest first."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def do(self, word: str, name: str) -> int:
        """Note what a step does to them: the depth of the savepoint it is about. Raises RefusedError."""
        if word == SAVEPOINT:
            self.names.append(name)
            return len(self.names) - 1
        for depth in range(len(self.names) - 1, -1, -1):
            if self.names[depth] == name:
                del self.names[depth + (word == ROLLBACK_TO) :]
                return depth
        raise RefusedError("ProgrammingError", f"no such savepoint: {name}")


def read_steps(
    steps: Sequence[Step],
    read: Callable[[Step], Result],
    failed_of: Callable[[Exception], Failed],
    known: set[bytes] | None = None,
) -> Evaluated | Failed:
    """Run a script that only reads; `known` as `evaluate` has it. Raises what `failed_of` raises."""
    savepoints = Savepoints()

    def run(step: Step) -> tuple[Result | Failed, Pin | None]:
        found = savepoint_of(step.statement.sql)
        try:
            if found is not None:
                savepoints.do(*found)
                return NOTHING, step.pin
            return read(step), step.pin
        except Exception as error:  # noqa: BLE001 - whatever apsw raises is told, or raised again
            return failed_of(error), step.pin

    return evaluate(steps, run, known)


def as_outcome(found: Evaluated | Failed) -> bytes:
    """The encoded outcome."""
    return encode_failed(found) if isinstance(found, Failed) else encode(found)


def escalating(found: Evaluated, script: Script, took_us: int, *, schema: bool) -> Evaluated:
    """The same, and why the transaction is to hold the writer, if it is."""
    if schema:
        why = "it changes the schema"
    elif len(script.steps) > STEPS:
        why = f"it has more than {STEPS} statements"
    elif took_us > TAKES_US:
        why = f"its statements take longer than {TAKES_US // 1000} ms"
    else:
        return found
    return structs.replace(found, escalate=found.escalate or why)
