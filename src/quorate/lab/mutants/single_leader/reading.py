"""Mutants of reads: whom a leader asks before it answers, and what counts as its answer."""

from typing import Any

from msgspec import structs

from quorate.core.bounds import NodeId
from quorate.core.calls import Request
from quorate.core.copies import Copies
from quorate.core.copy_requests import OpenCopy
from quorate.core.kernel import Now
from quorate.core.querying import Query
from quorate.core.read_levels import EVENTUAL, LEADER, LINEARIZABLE
from quorate.core.single_leader import reads, roles
from quorate.core.single_leader.owned import NOBODY
from quorate.core.single_leader.records import Reading
from quorate.core.single_leader.state import Group
from quorate.lab.mutants.sabotage import Mutant, Swap


def _unconfirmed(original: Any) -> Any:
    def submit(group: Group, now: Now, id: int, statements: Any, level: str, after: Any = ()) -> None:
        leads = group.election.role == roles.LEADER and level == LINEARIZABLE
        original(group, now, id, statements, LEADER if leads else level, after)

    return submit


def _follower_asks_nobody(original: Any) -> Any:
    def submit(group: Group, now: Now, id: int, statements: Any, level: str, after: Any = ()) -> None:
        follows = group.election.role != roles.LEADER and level == LINEARIZABLE and group.election.leader != NOBODY
        original(group, now, id, statements, EVENTUAL if follows else level, after)

    return submit


def _any_round(original: Any) -> Any:
    def on_confirmed(group: Group, peer: NodeId, sequence: int) -> None:
        original(group, peer, max(sequence, group.reading.round))

    return on_confirmed


def _numbers_begin_again(original: Any) -> Any:
    def init(group: Group, host: Any, found: Any) -> None:
        original(group, host, found)
        group.reading = Reading()

    return init


def _any_answer(original: Any) -> Any:
    def on_reply(group: Group, now: Now, sender: NodeId, message: Any) -> None:
        if group.reading.asked and message.read not in group.reading.asked:
            number = next(iter(group.reading.asked))
            message = type(message)(message.group, message.epoch, number, message.index)
        original(group, now, sender, message)

    return on_reply


def _before_applied(_original: Any) -> Any:
    def on_applied(group: Group) -> None:
        ready, group.reading.applying = group.reading.applying, []
        for read in ready:
            assert type(read.what) is tuple
            group.host.emit(Query(group.group, read.id, read.what))

    return on_applied


def _before_noop(_original: Any) -> Any:
    def begin_round(group: Group) -> None:
        if not group.reading.waiting or group.reading.round or group.election.role != roles.LEADER:
            return
        group.reading.confirming, group.reading.waiting = group.reading.waiting, []
        group.reading.index = group.commit.committed
        if group.majority_of((group.me,)):
            reads._finish_round(group)
        else:
            group.reading.round = group.host.start_round(group.group)

    return begin_round


def _copied_unconfirmed(original: Any) -> Any:
    def on_request(copies: Copies, now: Now, request: Request) -> None:
        if isinstance(request.body, OpenCopy):
            body = structs.replace(request.body, level=EVENTUAL, strongest=False)
            request = structs.replace(request, body=body)
        original(copies, now, request)

    return on_request


MUTANTS = (
    Mutant(
        "unconfirmed-copies",
        "a node copies what it has when somebody exports, without asking whether that is all that was acknowledged",
        "no case known as a bug; what a backup taken at any replica would mean",
        "exports",
        (Swap(Copies, "on_request", _copied_unconfirmed),),
        ("linearizability", "true answer"),
    ),
    Mutant(
        "unconfirmed-reads",
        "a deposed leader answers linearizable reads without asking whether it still leads",
        "etcd 0.4 and Consul 0.2 (Jepsen, 2014)",
        "deposed",
        (Swap(reads, "submit", _unconfirmed),),
        ("linearizability",),
    ),
    Mutant(
        "follower-reads-unasked",
        "a follower answers linearizable reads from its own data, without asking the leader how far it must be",
        "no case known as a bug; what reading at any replica would mean",
        "deposed",
        (Swap(reads, "submit", _follower_asks_nobody),),
        ("linearizability", "true answer"),
    ),
    Mutant(
        "any-round-confirms",
        "a late answer to an earlier heartbeat confirms a later round of reads",
        "etcd issue 20418 (2025)",
        "echoes",
        (Swap(reads, "on_confirmed", _any_round),),
        ("linearizability",),
    ),
    Mutant(
        "read-numbers-reused",
        "a follower's numbers for its reads begin again in its next life",
        "found here: bug 2 of found-by-simulation.md; etcd pull requests 21375 and 21399 (2025)",
        "reborn",
        (Swap(Group, "__init__", _numbers_begin_again),),
        ("linearizability",),
    ),
    Mutant(
        "any-answer-will-do",
        "a follower takes an answer about an earlier read for one about the read that waits",
        "etcd issue 20418 (2025)",
        "distant",
        (Swap(reads, "on_reply", _any_answer),),
        ("linearizability",),
    ),
    Mutant(
        "reads-before-applied",
        "a confirmed read does not wait until the data file has reached its index",
        "thesis section 6.4, step 3",
        "deposed",
        (Swap(reads, "on_applied", _before_applied),),
        ("linearizability", "true answer"),
    ),
    Mutant(
        "reads-before-noop",
        "a new leader answers reads from what it knew to be committed as a follower",
        "etcd issue 7331; thesis section 6.4, step 1",
        "handovers",
        (Swap(reads, "begin_round", _before_noop),),
        ("linearizability",),
    ),
)
