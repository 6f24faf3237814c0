"""Mutants of transactions that hold the writer: when a hold ends, and what is left of it."""

from typing import Any

from msgspec import structs

from quorate.core.requests import Outcome
from quorate.core.single_leader import holding, long_writes, settling
from quorate.core.single_leader.owned import Holding as Record
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.lab.mutants.transacting import blank, news
from quorate.storage.data.holding import HoldingWriter
from quorate.storage.data.writer import Writer
from quorate.storage.execution.holding import Holding

_SERIALIZABLE, _OWN, _INVARIANT = "strict serializability", "own writes", "invariant of transactions"
_ONCE = "exactly once"


def _one_ticket(original: Any) -> Any:
    def begins(group: Any, request: Any, number: int) -> Any:
        found = original(group, request, number)
        hold = structs.replace(found.body.hold, next=found.body.hold.name)
        return structs.replace(found, body=structs.replace(found.body, hold=hold))

    return begins


def _does_not_undo(original: Any) -> Any:
    def roll_back(group: Any) -> None:
        if group.holding.name and group.writes.batch is None:
            group.holding.end(group.host.now_us)
        else:
            original(group)

    return roll_back


def _goes_on_top(original: Any) -> Any:
    def execute(writer: Any, requests: Any, timestamp_us: int) -> Any:
        if getattr(requests[0], "hold", None) is None and type(requests[0]) is not Outcome:
            return Writer._execute(writer, requests, timestamp_us)
        return original(writer, requests, timestamp_us)

    return execute


def _does_not_compare(original: Any) -> Any:
    return lambda execution, steps: news(original(execution, blank(steps)), steps)


def _remembers_its_holder(_original: Any) -> Any:
    return lambda _record, _now_us: None


MUTANTS = (
    Mutant(
        "one-ticket-for-all",
        "a request of a transaction that holds the writer runs again when it is sent twice, or comes late",
        "MongoDB, whose statements of a transaction have numbers for this reason; no issue known",
        "holds",
        (Swap(holding, "begins", _one_ticket),),
        (_SERIALIZABLE, _OWN, _INVARIANT, _ONCE),
        storage="sqlite",
    ),
    Mutant(
        "hold-left-beneath",
        "what a transaction did that held the writer is not undone when that ends: it is in the next batch's entry",
        "no case known; the opposite of a transaction that is idle and aborted",
        "holds",
        (Swap(settling, "roll_back", _does_not_undo), Swap(HoldingWriter, "_execute", _goes_on_top)),
        (_SERIALIZABLE, _OWN, _INVARIANT, _ONCE, "sound disk", "store"),
        storage="sqlite",
    ),
    Mutant(
        "hold-not-compared",
        "a transaction comes to hold the writer though what it has seen has changed",
        "upgrading a read lock without validation (lost updates: Berenson and others, 1995)",
        "holds",
        (Swap(Holding, "_evaluate", _does_not_compare),),
        (_SERIALIZABLE, _OWN, _INVARIANT),
        storage="sqlite",
    ),
    Mutant(
        "holds-for-ever",
        "a caller that holds the writer and stalls keeps all others waiting for as long as it likes",
        "PostgreSQL without idle_in_transaction_session_timeout",
        "holds",
        (Swap(holding, "_others_wait", lambda _original: lambda _group: False),),
        ("liveness",),
    ),
    Mutant(
        "hold-on-what-is-open",
        "a transaction comes to hold the writer on top of what others have written and is not committed",
        "no case known",
        "holds",
        (Swap(long_writes, "may_begin", lambda _original: lambda _group: True),),
        ("node",),
    ),
    Mutant(
        "hold-outlives-its-leader",
        "a leader that steps down still takes its writer for held",
        "locks that a primary takes with it into its next life as a replica; no issue known",
        "holds",
        (Swap(Record, "end", _remembers_its_holder),),
        ("node", "liveness"),
    ),
)
