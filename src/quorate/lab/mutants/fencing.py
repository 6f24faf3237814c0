"""Mutants of calls that commit once: what is remembered of their attempts, which of them may commit, and what each call
returns."""

from collections.abc import Callable
from typing import Any

from quorate import errors
from quorate.client.transactions_aio import Transaction
from quorate.core.requests import Outcome, Write
from quorate.core.scripts import BeginAttempt, Script
from quorate.core.statements import Failed
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.storage.data import writer
from quorate.storage.data.data_file import remembered
from quorate.storage.data.window import name_of
from quorate.storage.execution import runs
from quorate.storage.execution.attempt import Attempt
from quorate.storage.execution.runs import OPEN, committed_by, next_attempt
from quorate.storage.rows.payload import CANCELLED, decode_outcome

_FENCING, _SAME, _ONCE, _TRUE = "fencing", "same answer", "exactly once", "true answer"


def _bars_nobody(original: Any) -> Any:
    def barred(request: Write, known: bytes) -> bytes | None:
        return None if isinstance(request, Script) and request.run else original(request, known)

    return barred


def _logs_no_beginning(original: Any) -> Any:
    def remember(attempt: Attempt, token: Any, name: str, kept: bytes) -> None:
        original(attempt, token, name, kept)
        if kept.startswith(OPEN):
            attempt.records.pop()

    return remember


def _forgets_beginnings(original: Any) -> Any:
    def load_window(connection: Any, floor: int) -> Any:
        window = original(connection, floor)
        begun = [
            token for token, entry in window._index.items() if remembered(connection, entry, token).startswith(OPEN)
        ]
        for token in begun:
            del window._index[token]
        return window

    return load_window


def _remembers_failures(original: Any) -> Any:
    def script(attempt: Attempt, position: int, asked: Script, lost: Any) -> None:
        original(attempt, position, asked, lost)
        told = attempt.outcomes[-1]
        found = decode_outcome(told) if asked.commit and asked.token else None
        if asked.token and isinstance(found, Failed) and found.error == errors.SerializationFailure.__name__:
            attempt._remember(asked.token, name_of(asked.token.id), told)

    return script


def _instead(answers: Callable[[Attempt, Any, bytes | None], bytes | None]) -> Callable[[Any], Any]:
    """A swap of `Attempt._run`: what is answered to a request by what is known of its token; None: what it ought to
    be."""

    def make(original: Any) -> Any:
        def run(attempt: Attempt, position: int, request: Any, lost: Any) -> None:
            token = request.token
            name = name_of(token.id) if token is not None else ""
            known = (attempt.fresh.get(name) or attempt._known(name, token.seen)) if name else None
            told = answers(attempt, request, known) if name else None
            if told is None:
                original(attempt, position, request, lost)
            else:
                attempt._execution.end_together()
                attempt.outcomes.append(told)

        return run

    return make


def _begins_again(attempt: Attempt, request: Any, known: bytes | None) -> bytes | None:
    if type(request) is not BeginAttempt or known is None or known.startswith(OPEN):
        return None
    told = next_attempt(None)
    attempt._remember(request.token, request.token.id, told)
    return told


def _ends_no_run(_attempt: Attempt, request: Any, known: bytes | None) -> bytes | None:
    return CANCELLED if type(request) is Outcome and known is not None and known.startswith(OPEN) else None


def _own_number(_attempt: Attempt, request: Any, known: bytes | None) -> bytes | None:
    if type(request) is not Script or request.run is None or known is None or known.startswith((OPEN, CANCELLED)):
        return None
    return committed_by(request.run.attempt)


def _own_value(original: Any) -> Any:
    async def commit(transaction: Transaction) -> None:
        await original(transaction)
        transaction.winner = 0

    return commit


def _fences_nothing(_original: Any) -> Any:
    return lambda _transaction, _token, _attempt: None


def _mutant(
    name: str, bug: str, where: str, owner: Any, function: str, make: Any, judges: tuple[str, ...] = (_FENCING,)
) -> Mutant:
    return Mutant(name, bug, where, "runs", (Swap(owner, function, make),), judges, storage="sqlite")


_NO_CASE = "no case known"
MUTANTS = (
    _mutant(
        "late-attempt-commits",
        "the COMMIT of an attempt is done though a higher one has begun",
        "the client of a lock that goes on after a pause (Kleppmann, 2016: fencing tokens)",
        runs, "barred", _bars_nobody,
    ),
    _mutant(
        "beginning-not-in-the-log",
        "that an attempt has begun is known to the leader alone, until it has committed the batch",
        "fences that a failover forgets; no case known of a database",
        Attempt, "_remember", _logs_no_beginning, (_FENCING, _TRUE),
    ),
    _mutant(
        "beginnings-forgotten-on-open",
        "a replica that opens its data file, or gets a copy, remembers what was committed, and not what has begun",
        _NO_CASE,
        writer, "load_window", _forgets_beginnings, (_FENCING, _TRUE, "replicas equal"),
    ),
    _mutant(
        "failure-remembered",
        "that a COMMIT failed to serialize is remembered under its token",
        "FoundationDB's and others' idempotent retries, where an error that may go away was cached; no issue known",
        Attempt, "_script", _remembers_failures, (_TRUE, _FENCING),
    ),
    _mutant(
        "run-begins-after-its-end",
        "another attempt begins though one has been committed",
        "retries that do not ask what became of the last one (MongoDB 4.2.6, Jepsen, 2020)",
        Attempt, "_run", _instead(_begins_again), (_FENCING, _SAME, _ONCE),
    ),
    _mutant(
        "asked-and-not-ended",
        "who asks what became of a run is told that it never will be done, and nothing remembers that",
        _NO_CASE,
        Attempt, "_run", _instead(_ends_no_run), (_FENCING, _SAME, _ONCE, _TRUE),
    ),
    _mutant(
        "every-attempt-has-won",
        "a COMMIT that comes after another attempt's is told that it was done itself",
        _NO_CASE,
        Attempt, "_run", _instead(_own_number), (_SAME, _FENCING, _TRUE),
    ),
    _mutant(
        "another-attempts-value",
        "a call returns what its function gave last, though an earlier attempt was committed, or another call's",
        _NO_CASE,
        Transaction, "commit", _own_value, (_SAME,),
    ),
    _mutant(
        "attempts-without-fence",
        "each attempt commits under a token of its own",
        "what everybody does who retries by hand: the effect is there twice when an answer was lost",
        Transaction, "fence", _fences_nothing, (_ONCE, _SAME, _FENCING, _TRUE),
    ),
)  # fmt: skip
