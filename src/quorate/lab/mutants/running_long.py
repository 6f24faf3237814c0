"""Mutants of writes that take long: which go on for ever, stand in everybody's way, or are forgotten."""

from typing import Any

from quorate.core.single_leader import long_writes
from quorate.core.single_leader.state import Group
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.storage.data_files import DataFiles


def _without_end(_original: Any) -> Any:
    return lambda *_arguments: 0


def _at_once(_original: Any) -> Any:
    return lambda _group: True


def _undone(_original: Any) -> Any:
    def put_aside(store: DataFiles, group: int) -> None:
        replica = store.replicas.get(group)
        if replica is not None:
            replica.rollback()

    return put_aside


def _answered_and_kept(original: Any) -> Any:
    def on_stopped(group: Group, now: Any, event: Any) -> None:
        batch = group.batch
        if batch is not None and batch.number == event.batch:
            group.reply(batch.requests[event.position].id, long_writes.refusal(0, for_all=False))
        original(group, now, event)

    return on_stopped


MUTANTS = (
    Mutant(
        "deadline-dropped",
        "the time of a write's caller is lost on the way to storage: it goes on when nobody waits for it",
        "our own: an endless INSERT with a time-out of 3 s took a cluster down for half a minute",
        "long",
        (Swap(long_writes, "ends_us", _without_end),),
        ("deadline",),
    ),
    Mutant(
        "long-beside-open-batches",
        "a write that takes long begins on top of batches that are not committed, and whoever reads them waits for it",
        "no case known; the reason for committing first",
        "long",
        (Swap(long_writes, "may_begin", _at_once),),
        ("node",),
    ),
    Mutant(
        "stop-undoes-others",
        "stopping a write undoes the batches that were executed before it",
        "SQLite rolls the whole transaction back when a write in it is interrupted (sqlite3_interrupt)",
        "long",
        (Swap(DataFiles, "put_aside", _undone),),
        ("store",),
    ),
    Mutant(
        "long-write-answered-and-run",
        "a write that takes long is refused, and run all the same",
        "no case known; the duty of whoever holds a request",
        "long",
        (Swap(long_writes, "on_stopped", _answered_and_kept),),
        ("one reply",),
    ),
)
