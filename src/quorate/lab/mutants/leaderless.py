"""Mutants of databases without a leader: quorums that do not meet, versions that are minted twice, replicas that
promise what is not durable, and differences that nobody finds."""

from typing import Any

from msgspec import structs

from quorate.core.kernel import Send
from quorate.core.leaderless import writes
from quorate.core.leaderless.gathering import Gathering, States
from quorate.core.leaderless.messages import Stored
from quorate.core.leaderless.reads import Reads
from quorate.core.leaderless.replica import Leaderless
from quorate.core.leaderless.spreading import Spreading
from quorate.core.leaderless.writes import Writes
from quorate.core.requests import Refused
from quorate.core.row_requests import ADD
from quorate.core.versions.clock import HybridClock
from quorate.core.versions.encoding import decode_row
from quorate.core.versions.row import Row, empty
from quorate.lab.mutants.sabotage import Mutant, Swap
from quorate.storage.versions.keyed import StoredRows

_REGULAR, _ORDERED, _MONOTONIC = "regular register", "ordered versions", "monotonic reads"
_COUNTED, _CONVERGES, _DURABLE, _GONE = "counters", "convergence", "durable rows", "no resurrection"
_LIVENESS, _TRUE = "liveness", "true answer"


def _mints_again(original: Any) -> Any:
    def submit(each: Writes, write: Any) -> None:
        if write.body.minted and write.body.change != ADD:
            write = structs.replace(write, body=structs.replace(write.body, minted=b""))
        original(each, write)

    return submit


def _adds_again(original: Any) -> Any:
    def submit(each: Writes, write: Any) -> None:
        if write.body.minted and write.body.change == ADD:
            write = structs.replace(write, body=structs.replace(write.body, minted=b""))
        original(each, write)

    return submit


def _votes(_original: Any) -> Any:
    def merged(states: States) -> Row:
        held = list(states.values())
        most = max(held, key=lambda state: (held.count(state), state))
        return decode_row(most) if most else empty()

    return merged


def _asks_fewer(original: Any) -> Any:
    def ask(each: Gathering, number: int, key: Any, needed: int, *rest: Any, **how: Any) -> None:
        original(each, number, key, max(1, needed - 1), *rest, **how)

    return ask


def _writes_blindly(original: Any) -> Any:
    def ask(each: Gathering, number: int, key: Any, needed: int, *rest: Any, clocked: bool = False) -> None:
        original(each, number, key, 1 if clocked else needed, *rest, clocked=clocked)

    return ask


def _counts_itself(original: Any) -> Any:
    def send(each: Spreading, number: int, row: Any, holders: Any, waits: Any, kept: Any = lambda: None) -> None:
        if each._host.me not in holders:
            each._keeper.keep((row,), kept)
        original(each, number, row, (*holders, each._host.me), waits)

    return send


def _promises_early(original: Any) -> Any:
    def on_store(each: Leaderless, sender: int, message: Any) -> None:
        each.host.emit(Send(sender, Stored(each.group, message.number)))
        original(each, sender, message)

    return on_store


def _same_origin(original: Any) -> Any:
    def make(each: Writes, host: Any, *rest: Any) -> None:
        original(each, host, *rest)
        each.origin = host.me

    return make


def _ends_lines_early(original: Any) -> Any:
    def spread(each: Writes, key: Any, state: bytes, some: Any, kept: Any = lambda: None) -> None:
        original(each, key, state, some)
        kept()

    return spread


def _answers_before_repair(_original: Any) -> Any:
    def repair(each: Reads, row: Any, _states: Any, lacking: Any, answer: Any, *_rest: Any) -> None:
        answer()
        each._repair_aside(row, lacking)

    return repair


def _observes_nothing(_original: Any) -> Any:
    def observe(_clock: HybridClock, _stamp: int, _now_ms: int) -> bool:
        return True

    return observe


def _says_failed(_original: Any) -> Any:
    def unsure(each: Writes, write: Any) -> Any:
        refused = Refused("Unavailable", "not done: too few replicas have answered", retryable=True)
        return lambda: each._host.reply(write.id, refused)

    return unsure


def _leaves_nothing(_original: Any) -> Any:
    def delete(_row: Row, _spec: Any, _dot: Any) -> Row:
        return empty()

    return delete


def _keeps_the_last(_original: Any) -> Any:
    def merged(_rows: StoredRows, _mine: bytes, theirs: bytes) -> bytes:
        return theirs

    return merged


def _keeps_no_tree(_original: Any) -> Any:
    def settle(rows: StoredRows) -> None:
        rows.forget()

    return settle


def _mutant(
    name: str, bug: str, where: str, swap: Swap, judges: tuple[str, ...], scenario: str = "quorums", storage: str = ""
) -> Mutant:
    return Mutant(name, bug, where, scenario, (swap,), judges, storage=storage)


_DYNAMO = "DeCandia and others 2007 (Dynamo)"
_OWN = "nowhere that is known"
_POWER, _CROWD, _HASTY = "power_quorums", "crowded_quorums", "hasty_quorums"
MUTANTS = (
    _mutant(
        "mints-a-retry-again", "a write that is asked for again gets another version",
        "Cassandra: a retry by a client under its own, later time stamp",
        Swap(Writes, "submit", _mints_again), (_REGULAR, _ORDERED),
    ),
    _mutant(
        "counts-a-retry-again", "a second coordinator adds once more what the first one has added",
        "CASSANDRA-2495: counters count a retry twice",
        Swap(Writes, "submit", _adds_again), (_COUNTED,),
    ),
    _mutant(
        "reads-vote", "a read returns what most replicas hold, and not what is newest", _OWN,
        Swap(writes, "merged", _votes), (_REGULAR, _ORDERED, _COUNTED),
    ),
    _mutant(
        "reads-ask-too-few", "a read is answered with one answer fewer than r", _OWN,
        Swap(Gathering, "ask", _asks_fewer), (_REGULAR, _ORDERED, _MONOTONIC, _COUNTED),
    ),
    _mutant(
        "writes-blindly", "a write's version is minted by the clock of its coordinator, which asks nobody before",
        "Kingsbury 2013, Jepsen: Cassandra (time stamps and clock skew)",
        Swap(Gathering, "ask", _writes_blindly), (_REGULAR, _ORDERED, _COUNTED), _CROWD,
    ),
    _mutant(
        "clock-follows-nobody", "a version need not be higher than those that its coordinator has seen",
        "Kingsbury 2013, Jepsen: Cassandra (time stamps and clock skew)",
        Swap(HybridClock, "observe", _observes_nothing), (_REGULAR, _ORDERED),
    ),
    _mutant(
        "counts-itself-before-fsync", "a coordinator counts itself before its disk holds the write", _OWN,
        Swap(Spreading, "send", _counts_itself), (_REGULAR, _ORDERED, _COUNTED, _GONE, _MONOTONIC), _POWER,
    ),
    _mutant(
        "stored-before-fsync", "a replica acknowledges a write before its disk holds it",
        "Cassandra's default: commitlog_sync periodic",
        Swap(Leaderless, "_on_store", _promises_early), (_REGULAR, _ORDERED, _COUNTED, _GONE, _MONOTONIC), _POWER,
    ),
    _mutant(
        "origin-outlives-its-disk", "a node mints under the same origin after a crash",
        "riak_kv issue 679: actors that are used again",
        Swap(Writes, "__init__", _same_origin), (_REGULAR, _COUNTED, _GONE, _CONVERGES, _DURABLE), _POWER,
    ),
    _mutant(
        "next-before-the-last-is-kept", "the next write of a row is computed before the last one is durable", _OWN,
        Swap(Writes, "_spread", _ends_lines_early), (_REGULAR, _ORDERED, _COUNTED, _CONVERGES, _DURABLE), _CROWD,
    ),
    _mutant(
        "repairs-after-the-answer", "a read answers before the replicas that lacked it hold what it returns",
        "CASSANDRA-10726: read repair that blocks or not",
        Swap(Reads, "_repair", _answers_before_repair), (_MONOTONIC,), _POWER,
    ),
    _mutant(
        "too-few-means-failed", "a write that fewer than w replicas have acknowledged is said not to be done",
        f"{_DYNAMO}; Cassandra's WriteTimeoutException taken for a failure",
        Swap(Writes, "_unsure", _says_failed), (_REGULAR, _COUNTED, _GONE, _TRUE), _HASTY,
    ),
    _mutant(
        "delete-leaves-no-tombstone", "a row that is deleted is forgotten, and whoever still has it gives it back",
        "Cassandra with gc_grace_seconds = 0; palantir/atlasdb#3513",
        Swap(writes, "delete", _leaves_nothing), (_GONE,),
    ),
    _mutant(
        "keeps-the-last-state", "a data file replaces a row's state by the one that comes, and does not merge them",
        "Cassandra's counters before 2.1: read, add, write back", Swap(StoredRows, "_merged", _keeps_the_last),
        (_REGULAR, _ORDERED, _COUNTED, _CONVERGES, _DURABLE, _GONE, _MONOTONIC), storage="sqlite",
    ),
    _mutant(
        "keeps-no-tree", "rows change and the hash tree does not: two replicas that differ find nothing", _OWN,
        Swap(StoredRows, "settle", _keeps_no_tree), (_CONVERGES,), storage="sqlite",
    ),
)  # fmt: skip
