"""Mutants of writes that take long: which go on for ever, stand in everybody's way, or are forgotten."""

from typing import Any

import msgspec

from quorate.core import entries
from quorate.core.proposals import NOBODY_ASKED, Proposal
from quorate.core.single_leader import long_writes, settling
from quorate.core.single_leader.state import Group
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.storage.data.data_files import DataFiles
from quorate.storage.log.long_logs import LongLog


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
        batch = group.writes.batch
        if batch is not None and batch.number == event.batch:
            group.reply(batch.requests[event.position].id, long_writes.refusal(0, for_all=False))
        original(group, now, event)

    return on_stopped


def _nothing(_original: Any) -> Any:
    return lambda *_arguments: None


def _refused_though_logged(original: Any) -> Any:
    def on_caller_left(group: Group, now: Any, event: Any) -> None:
        for batch in group.writes.flight:
            if batch.alone and batch.requests[0].id == event.id and not batch.told:
                group.answer_all(batch.requests, long_writes.LEFT)
                batch.told = True
        original(group, now, event)

    return on_caller_left


def _not_rolled_back(group: Group) -> None:  # noqa: ARG001 - as the original
    return None


def _left_open(original: Any) -> Any:
    """The transaction of what ran for him stays open."""

    def on_caller_left(group: Group, now: Any, event: Any) -> None:
        roll_back, settling.roll_back = settling.roll_back, _not_rolled_back
        try:
            original(group, now, event)
        finally:
            settling.roll_back = roll_back

    return on_caller_left


def _refused_and_kept(original: Any) -> Any:
    """What is refused keeps its place, and gets a little more time."""

    def refuse_late(group: Group, now: Any) -> None:
        before = list(group.writes.queue)
        original(group, now)
        node: Any = group.host
        for place, waiting in enumerate(before):
            if waiting not in group.writes.queue:
                node.proposal_count += 1
                node.proposals[-node.proposal_count] = Proposal(NOBODY_ASKED)
                kept = msgspec.structs.replace(waiting, id=-node.proposal_count, until_us=waiting.until_us + 300_000)
                group.writes.queue.insert(place, kept)

    return refuse_late


def _told_at_once(_original: Any) -> Any:
    def lend(log: LongLog, work: Any, done: Any) -> None:
        log._run_aside(work, lambda _found: None)
        done(None)

    return lend


def _never_busy(_original: Any) -> Any:
    return lambda _writes, _busy_us, _now_us: 0


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
    Mutant(
        "left-write-goes-on",
        "a write whose caller has left goes on, and the others wait for it",
        "PostgreSQL before 14 (client_connection_check_interval): a query of a client that is gone runs to its end",
        "long",
        (Swap(long_writes, "on_caller_left", _nothing),),
        ("work for nobody",),
    ),
    Mutant(
        "left-write-stays-open",
        "what was executed for a caller who has left is not undone, and the next batch runs on top of it",
        "no case known",
        "long",
        (Swap(long_writes, "on_caller_left", _left_open),),
        ("store", "replicas equal", "true answer", "exactly once", "work for nobody"),
    ),
    Mutant(
        "left-though-logged",
        "a caller who leaves is told that his write is not done when it is logged already",
        "no case known; a certain refusal must be certain",
        "long",
        (Swap(long_writes, "on_caller_left", _refused_though_logged),),
        ("true answer",),
    ),
    Mutant(
        "waits-untold",
        "who waits behind a write without end is told nothing before his time is over",
        "no case known; what he would be left with is MaybeDone",
        "long",
        (Swap(long_writes, "refuse_late", _nothing),),
        ("told in time",),
    ),
    Mutant(
        "refused-late-and-run",
        "who waits behind a write without end is told that his is not done, and it is run when that one has ended",
        "no case known; the duty of whoever refuses a request",
        "long",
        (Swap(long_writes, "refuse_late", _refused_and_kept),),
        ("true answer", "exactly once", "linearizability", "same answer"),
    ),
    Mutant(
        "large-entry-told-before-it-is-kept",
        "a large entry is acknowledged when its way to the disk begins",
        "no case known; a thread beside the loop whose end nobody awaits",
        "long",
        (Swap(LongLog, "lend", _told_at_once),),
        ("durable majority", "durable log", "node", "leader completeness"),
    ),
    Mutant(
        "forgotten-behind-a-large-entry",
        "what is asked of storage while a large entry is written is never done",
        "no case known; the duty of whoever has effects wait",
        "long",
        (Swap(LongLog, "later", _nothing),),
        ("liveness", "one reply"),
    ),
    Mutant(
        "large-entries-taken-for-a-hang",
        "a leader whose disk writes large entries is taken for one whose disk hangs",
        "no case known; `hung-disk-leads` is the other side of it",
        "bulky",
        (Swap(entries, "log_busy_us", _never_busy),),
        ("stability",),
    ),
)
