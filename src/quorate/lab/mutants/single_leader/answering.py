"""Mutants of what a leader commits to its data file, and of whom it answers, and when."""

from typing import Any

from msgspec import Raw

from quorate.core.kernel import Commit, Now
from quorate.core.requests import Answer
from quorate.core.single_leader import closing, evaluating, reads, settling
from quorate.core.single_leader.records import Known, Read
from quorate.core.single_leader.state import Group
from quorate.lab.mutants.sabotage import Mutant, Swap


def _ahead_of_the_log(original: Any) -> Any:
    def settle(group: Group) -> None:
        persisted, group.commit.persisted = group.commit.persisted, group.log.last.index
        try:
            original(group)
        finally:
            group.commit.persisted = persisted

    return settle


def _commits_twice(original: Any) -> Any:
    def settle(group: Group) -> None:
        stack = tuple(group.settling.stack)
        original(group)
        if stack and not group.settling.stack:
            group.host.emit(Commit(group.group, group.log.position_at(group.apply.applying), stack))

    return settle


def _unconfirmed(_original: Any) -> Any:
    def wait(group: Any, request: Any, outcome: bytes) -> None:
        read = Read(request.id, Known(outcome), request.since_us, until_us=request.until_us)
        read.index = group.log.last.index
        group.reading.applying.append(read)
        group.host.make_ready(group.group)
        group.host.keep_busy(group.group)

    return wait


def _tells_at_once(_original: Any) -> Any:
    def wait(group: Any, request: Any, outcome: bytes) -> None:
        group.reply(request.id, Answer(Raw(outcome), group.log.last.index))

    return wait


def _sends_nobody_away(_original: Any) -> Any:
    return lambda _group, _now: None


def _no_deadline(_original: Any) -> Any:
    return lambda _until_us, _now_us: 0


def _by_hearing(_original: Any) -> Any:
    def known(group: Group, now: Now) -> Any:
        hears = group.leads_ready or group.leader_is_alive(now)
        return (now.mono_us, 0, 0) if hears else None

    return known


MUTANTS = (
    Mutant(
        "data-ahead-of-log",
        "a leader commits what a majority has and its own log has not",
        "RATIS-2507 (a snapshot ahead of the log, found at the start)",
        "power",
        (Swap(settling, "settle", _ahead_of_the_log),),
        ("node", "store", "sound disk"),
    ),
    Mutant(
        "commits-twice",
        "the same batch is committed twice",
        "no case known; a duty of drivers that storage must check",
        "calm",
        (Swap(settling, "settle", _commits_twice),),
        ("store",),
    ),
    Mutant(
        "evaluation-told-at-once",
        "what a statement has read of writes that are not committed yet is told before they are",
        "dirty reads: VoltDB 6.3 (Jepsen, 2016), whose leader answered reads from what was not yet replicated",
        "transactions",
        (Swap(evaluating, "_wait", _tells_at_once),),
        ("strict serializability",),
        storage="sqlite",
    ),
    Mutant(
        "evaluation-unconfirmed",
        "a leader that was deposed unawares tells what a statement gives in its old state",
        "etcd's and Consul's stale reads, where nobody asked for confirmation",
        "transactions",
        (Swap(evaluating, "_wait", _unconfirmed),),
        ("strict serializability",),
        storage="sqlite",
    ),
    Mutant(
        "callers-left-waiting",
        "whoever waits for a database that is dropped is never answered",
        "no case known",
        "drops",
        (Swap(closing, "close", _sends_nobody_away),),
        ("liveness",),
    ),
    Mutant(
        "deadline-dropped-on-the-way",
        "reads reach storage without the deadline of their callers",
        "gRPC servers that do not pass on the deadline of a call (its guide on deadlines warns of it)",
        "endless",
        (Swap(reads, "ends_us", _no_deadline),),
        ("work for nobody",),
    ),
    Mutant(
        "heard-is-current",
        "a node that hears its leader takes what it knows of users for new, whether it has applied it or not",
        "our own: found by the scenario, after a restart with an older state of the catalog",
        "users",
        (Swap(Group, "known", _by_hearing),),
        ("users",),
    ),
)
