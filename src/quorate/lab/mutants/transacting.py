"""Mutants of interactive transactions: what is compared, what is undone, what is remembered, and when it is told."""

from typing import Any

import msgspec
from msgspec import structs

from quorate.client.transactions import Keeper
from quorate.core.requests import Done, ScriptOutcome
from quorate.core.scripts import Evaluated
from quorate.core.statements import Failed
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.sql.classify import is_read
from quorate.sql.control import ROLLBACK_TO
from quorate.storage.data import reader
from quorate.storage.data.connection import INTERNAL
from quorate.storage.execution import scripts
from quorate.storage.execution.execution import Execution
from quorate.storage.execution.transactions import Transactions
from quorate.storage.rows.payload import encode

_SERIALIZABLE = "strict serializability"
_OWN, _INVARIANT = "own writes", "invariant of transactions"
_DONE = encode(Done(()))
_outcome: msgspec.msgpack.Decoder[ScriptOutcome] = msgspec.msgpack.Decoder(ScriptOutcome)


def blank(steps: Any) -> tuple[Any, ...]:
    return tuple(structs.replace(step, digest=b"") for step in steps)


def news(found: Any, steps: Any) -> Any:
    """Of what all steps gave, what the caller has asked for."""
    if isinstance(found, Failed):
        return found
    new = [place for place, step in enumerate(steps) if not step.digest]
    fields = ("results", "failures", "digests", "pins")
    return structs.replace(found, **{name: tuple(getattr(found, name)[place] for place in new) for name in fields})


def _compares_nothing(original: Any) -> Any:
    return lambda steps, run, _known=None: news(original(blank(steps), run), steps)


def _compares_at_commit(original: Any) -> Any:
    def script(execution: Transactions, position: int, asked: Any) -> Any:
        if asked.commit:
            return original(execution, position, asked)
        outcome, kept = original(execution, position, structs.replace(asked, steps=blank(asked.steps)))
        found = _outcome.decode(outcome)
        return (encode(news(found, asked.steps)) if isinstance(found, Evaluated) else outcome), kept

    return script


def _compares_no_reads(original: Any) -> Any:
    def read_steps(steps: Any, read: Any, failed_of: Any, _known: Any) -> Any:
        return news(original(blank(steps), read, failed_of), steps)

    return read_steps


def _without_rows(_original: Any) -> Any:
    def digest_of(_statement: Any, gave: Any) -> bytes:
        return encode(gave.error if isinstance(gave, Failed) else [*gave.columns, gave.rowcount])

    return digest_of


def _remembers_nothing(original: Any) -> Any:
    return lambda execution, position, asked: (original(execution, position, asked)[0], None)


def _keeps_evaluations(original: Any) -> Any:
    def back(execution: Execution, savepoint: str, mark: Any, facts: Any) -> None:
        if savepoint == "quorate_request":
            execution._cursor.execute(f"RELEASE {savepoint}", prepare_flags=INTERNAL)
        else:
            original(execution, savepoint, mark, facts)

    return back


def _told_of_nothing(original: Any) -> Any:
    def script(execution: Transactions, position: int, asked: Any) -> Any:
        told = original(execution, position, structs.replace(asked, commit=False))
        if asked.commit and isinstance(_outcome.decode(told[0]), Evaluated):
            return _DONE, _DONE
        return told

    return script


def _undoes_no_savepoint(original: Any) -> Any:
    def savepoint(execution: Execution, word: str, name: str) -> None:
        if word != ROLLBACK_TO:
            original(execution, word, name)

    return savepoint


def _knows_for_ever(original: Any) -> Any:
    known: dict[Any, set[bytes]] = {}

    def run_reads(runner: Any, *given: Any, **_others: Any) -> Any:
        return original(runner, *given, known=known.setdefault(runner, set()))

    return run_reads


def _without_writes(original: Any) -> Any:
    def request(keeper: Keeper, *, writes: bool) -> Any:
        script = original(keeper, writes=writes)
        if script.steps and is_read(script.steps[-1].statement.sql):
            steps = tuple(step for step in script.steps if is_read(step.statement.sql))
            return structs.replace(script, steps=steps)
        return script

    return request


def _without_reads(original: Any) -> Any:
    def commit(keeper: Keeper) -> Any:
        script = original(keeper)
        if script is None:
            return None
        reads = [step for step in script.steps if step.statement.sql.startswith("SELECT")]
        return structs.replace(script, steps=tuple(step for step in script.steps if step not in reads))

    return commit


def _mutant(
    name: str, bug: str, where: str, owner: Any, function: str, make: Any, judges: tuple[str, ...] = (_SERIALIZABLE,)
) -> Mutant:
    return Mutant(name, bug, where, "transactions", (Swap(owner, function, make),), judges, storage="sqlite")


MUTANTS = (
    _mutant(
        "stale-digest-accepted",
        "a transaction is committed though its statements give something else by now",
        "what snapshot isolation does (Berenson and others, 1995: write skew); Galera, issue 438: lost updates",
        scripts, "evaluate", _compares_nothing, (_SERIALIZABLE, _INVARIANT, _OWN),
    ),
    _mutant(
        "compared-at-commit-alone",
        "a statement of a transaction runs though earlier ones give something else by now, which COMMIT finds out",
        "optimistic transactions that are checked at their end only (opacity: Guerraoui and Kapalka, 2008)",
        Transactions, "script", _compares_at_commit, (_SERIALIZABLE, _INVARIANT, _OWN),
    ),
    _mutant(
        "reads-not-compared",
        "what a transaction has read is not compared while it only reads",
        "read committed: each statement sees another state",
        scripts, "read_steps", _compares_no_reads, (_SERIALIZABLE, _INVARIANT),
    ),
    _mutant(
        "digest-without-rows",
        "the digest of a statement leaves out its rows",
        "no case known",
        scripts, "digest_of", _without_rows, (_SERIALIZABLE, _INVARIANT),
    ),
    _mutant(
        "commit-not-remembered",
        "a COMMIT that is sent again runs again",
        "MongoDB 4.2.6 (Jepsen, 2020: effects of transactions that were retried appear twice)",
        Transactions, "script", _remembers_nothing, (_SERIALIZABLE, "same answer", "exactly once", "true answer"),
    ),
    _mutant(
        "savepoint-leaks",
        "ROLLBACK TO undoes nothing",
        "no case known",
        Execution, "_savepoint", _undoes_no_savepoint, (_OWN, _SERIALIZABLE),
    ),
    _mutant(
        "evaluation-kept",
        "the savepoint of an evaluation is released, and what it did stays",
        "no case known",
        Execution, "_back_to", _keeps_evaluations, (_INVARIANT, _SERIALIZABLE, _OWN),
    ),
    _mutant(
        "commit-undone",
        "a transaction is undone, and its caller is told that it was committed",
        "no case known; the opposite of evaluation-kept",
        Transactions, "script", _told_of_nothing, ("exactly once", _SERIALIZABLE, _INVARIANT),
    ),
    _mutant(
        "own-writes-invisible",
        "a transaction's reads run without what it has written",
        "YugaByte DB 1.3.1, issue 2125; TiDB, issue 21718: reads of a transaction that miss its own writes",
        Keeper, "_request", _without_writes, (_OWN, _INVARIANT),
    ),
    _mutant(
        "known-in-another-state",
        "a read that gave the same in an earlier state is not compared with the present one",
        "no case known",
        reader, "run_reads", _knows_for_ever, (_SERIALIZABLE, _INVARIANT),
    ),
    _mutant(
        "commits-without-its-reads",
        "COMMIT repeats what wrote and not what was read",
        "write skew (Berenson and others, 1995)",
        Keeper, "commit", _without_reads, (_SERIALIZABLE, _INVARIANT),
    ),
)  # fmt: skip
