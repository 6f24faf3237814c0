"""Mutants of who leads: votes, epochs, pre-vote, check-quorum, the no-op."""

from typing import Any

from quorate.core import liveness, quorum
from quorate.core.bounds import NodeId
from quorate.core.entries import WriteHardState
from quorate.core.kernel import Now
from quorate.core.node import Node
from quorate.core.single_leader import commit, election, shipping
from quorate.core.single_leader.owned import NOBODY
from quorate.core.single_leader.progress import Progress
from quorate.core.single_leader.roles import CANDIDATE, FOLLOWER, LEADER, PRE_CANDIDATE
from quorate.core.single_leader.state import Group, Pending
from quorate.lab.mutants.sabotage import Mutant, Swap

SPLIT = ("election safety", "log matching", "leader completeness", "state machine safety", "node")


def _forgets_vote(_original: Any) -> Any:
    def persist_hard_state(group: Group) -> Pending:
        pending = group.persist(WriteHardState(group.group, group.election.epoch, NOBODY))
        pending.hard_state = True
        return pending

    return persist_hard_state


def _votes_before_disk(original: Any) -> Any:
    def persist_hard_state(group: Group) -> Pending:
        pending: Pending = original(group)
        pending.hard_state = False
        return _Hasty(group, pending)  # type: ignore[return-value]

    return persist_hard_state


class _Hasty:
    """A `Pending` whose messages leave at once."""

    def __init__(self, group: Group, pending: Pending) -> None:
        self._group, self._pending = group, pending
        self.release = self

    def append(self, effect: Any) -> None:
        self._group.host.emit(effect)

    def extend(self, effects: Any) -> None:
        for effect in effects:
            self._group.host.emit(effect)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "campaign":
            self._pending.campaign = value
        else:
            object.__setattr__(self, name, value)


def _votes_twice(original: Any) -> Any:
    def on_vote(group: Group, now: Now, sender: NodeId, message: Any) -> None:
        if message.epoch == group.election.epoch and group.election.role == FOLLOWER:
            group.election.vote = NOBODY
        original(group, now, sender, message)

    return on_vote


def _always(_original: Any) -> Any:
    return lambda *_arguments: True


def _never(_original: Any) -> Any:
    return lambda *_arguments: False


def _nothing(_original: Any) -> Any:
    return lambda *_arguments: None


def _half_is_enough(_original: Any) -> Any:
    return lambda voters: max(1, voters // 2)


def _no_noop(_original: Any) -> Any:
    def become_leader(group: Group, now: Now) -> None:
        group.election.become(LEADER)
        group.election.leader = group.me
        group.election.led_since_us = now.mono_us
        group.host.cancel_timer(group.election_timer)
        following = group.log.last.index + 1
        group.progress = {peer: Progress(next=following) for peer in group.others}
        group.reading.confirmed = {}
        group.election.noop = max(1, group.log.last.index)
        group.note("became_leader", last=following)
        for peer, progress in group.progress.items():
            shipping.send_more(group, now, peer, progress)
        group.host.mention(group.group)
        group.host.keep_busy(group.group)
        commit.advance(group)

    return become_leader


def _late_votes_count(_original: Any) -> Any:
    def on_vote_reply(group: Group, now: Now, sender: NodeId, message: Any) -> None:
        if message.epoch > group.election.epoch:
            election.adopt_epoch(group, now, message.epoch, NOBODY)
        if group.election.role == CANDIDATE and message.granted:
            group.election.votes[sender] = True
            election._finish_vote(group, now)

    return on_vote_reply


def _stands_at_once(_original: Any) -> Any:
    def on_timer(group: Group, now: Now) -> None:
        if group.election.role != LEADER and group.may_stand():
            group.election.become(PRE_CANDIDATE)
            election.campaign(group, now)
        elif group.election.role != LEADER:
            group.set_election_timer(now)

    return on_timer


def _damaged_votes(original: Any) -> Any:
    def on_vote(group: Group, now: Now, sender: NodeId, message: Any) -> None:
        damaged, group.repair.damaged = group.repair.damaged, ""
        if damaged and group.election.vote not in (NOBODY, sender):
            group.election.vote = NOBODY
        try:
            original(group, now, sender, message)
        finally:
            group.repair.damaged = damaged

    return on_vote


def _does_not_mention(original: Any) -> Any:
    def on_pre_vote(group: Group, now: Now, sender: NodeId, message: Any) -> None:
        if group.election.role != LEADER:
            original(group, now, sender, message)

    return on_pre_vote


def _restarted_quietly(_original: Any) -> Any:
    def restarted(watch: liveness.Liveness, now: Now, node: NodeId) -> None:
        watch._lose(now, node)
        for group in watch.groups.values():
            group.on_peer_restarted(node)

    return restarted


MUTANTS = (
    Mutant(
        "voter-left-uninformed",
        "a leader does not tell a voter that restarted, or that asks for pre-votes, who leads",
        "found here: bug 3 of found-by-simulation.md",
        "idlers",
        (
            Swap(election, "on_pre_vote", _does_not_mention),
            Swap(liveness.Liveness, "_restarted", _restarted_quietly),
        ),
        ("liveness",),
    ),
    Mutant(
        "vote-not-persisted",
        "votes, and forgets by the next restart for whom",
        "PySyncObj (neither epoch nor vote is ever written); akka-raft issue 56",
        "votes",
        (Swap(Group, "persist_hard_state", _forgets_vote),),
        ("durable vote",),
        inner=("durable vote",),
        outer=SPLIT,
    ),
    Mutant(
        "vote-before-fsync",
        "a vote is sent while the disk is still writing it",
        "hashicorp/raft issue 661; raft-java issue 57",
        "votes",
        (Swap(Group, "persist_hard_state", _votes_before_disk),),
        ("durable vote", "monotone epochs", *SPLIT),
    ),
    Mutant(
        "votes-twice",
        "a second candidate of the same epoch gets a vote too",
        "CCF pull request 8094 (a vote of the same epoch is erased)",
        "votes",
        (Swap(election, "on_vote", _votes_twice),),
        ("durable vote", *SPLIT),
        inner=("durable vote",),
        outer=SPLIT,
    ),
    Mutant(
        "late-votes-count",
        "a vote given in an earlier epoch counts in this one",
        "akka-raft issue 46; little-raft issue 44",
        "crossed",
        (Swap(election, "on_vote_reply", _late_votes_count),),
        SPLIT,
    ),
    Mutant(
        "votes-for-a-short-log",
        "a voter does not ask whether the candidate's log is as complete as its own",
        "jgroups-raft issue 14",
        "handovers",
        (Swap(Group, "up_to_date", _always),),
        SPLIT,
    ),
    Mutant(
        "damaged-replica-votes",
        "a replica whose log has lost its end votes as if it were whole",
        "Protocol-aware recovery, FAST 2018; found here in review",
        "damage",
        (Swap(election, "on_vote", _damaged_votes),),
        ("damaged replica",),
    ),
    Mutant(
        "half-is-enough",
        "half of the voters count as a majority",
        "no case known; the arithmetic that every protocol rests on",
        "handovers",
        (Swap(quorum, "majority", _half_is_enough),),
        ("durable majority", *SPLIT),
    ),
    Mutant(
        "no-pre-vote",
        "a node stands without asking around first, and voters that hear their leader listen to it",
        "Cloudflare's outage of November 2020 (etcd without pre-vote); CockroachDB issue 104042",
        "lasting",
        (Swap(Group, "leader_is_alive", _never), Swap(election, "on_timer", _stands_at_once)),
        ("stability", "progress"),
    ),
    Mutant(
        "no-check-quorum",
        "a leader that hears no answers goes on leading",
        "CockroachDB issue 104042 (one-way partitions)",
        "lasting",
        (Swap(election, "check_quorum", _nothing),),
        ("progress",),
    ),
    Mutant(
        "hung-disk-leads",
        "a leader whose own disk never answers goes on leading",
        "hashicorp/raft issue 503",
        "lasting",
        (Swap(Group, "log_hangs", _never),),
        ("progress",),
    ),
    Mutant(
        "full-disk-leads",
        "a leader without room for its log goes on leading and standing, and no watch over its disk stops it",
        "hashicorp/raft issue 614",
        "lasting",
        (Swap(Node, "_on_disk_full", _nothing), Swap(Group, "log_hangs", _never)),
        ("progress",),
    ),
    Mutant(
        "no-noop",
        "a new leader does not begin its epoch with an entry of its own",
        "thesis section 3.6.2; etcd issue 7331",
        "handovers",
        (Swap(election, "become_leader", _no_noop),),
        ("liveness",),
    ),
)
