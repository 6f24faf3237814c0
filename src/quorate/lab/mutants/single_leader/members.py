"""Mutants of who belongs to a group: joint consensus, learners, and those who are out."""

from collections.abc import Iterable
from typing import Any

from quorate.core import membership
from quorate.core.bounds import NodeId
from quorate.core.entries import Entry
from quorate.core.membership import Configuration, Membership, Wanted
from quorate.core.quorum import committed_index, joint_committed_index
from quorate.core.single_leader import commit, members
from quorate.core.single_leader.roles import LEADER
from quorate.core.single_leader.state import Group
from quorate.lab.mutants.sabotage import INSIDE, SEEN, Mutant, Swap

SPLIT = (
    "configuration", "election safety", "leader completeness", "state machine safety", "log matching",
    "durable majority", "linearizability", "acknowledged write lost", "committed entries stay", "node",
)  # fmt: skip


def _overlapping(_original: Any) -> Any:
    def may_change(group: Group) -> bool:
        return group.leads_ready and group.writes.batch is None and group.handover.transfer is None

    return may_change


def _before_noop(_original: Any) -> Any:
    def may_change(group: Group) -> bool:
        at_rest = (
            group.writes.batch is None
            and not group.settling.stack
            and group.handover.transfer is None
            and not group.handover.to
        )
        return group.election.role == LEADER and group.apply.opened and not group.membership.coming and at_rest

    return may_change


def _in_one_step(original: Any) -> Any:
    def next_step(now: Configuration, wanted: Wanted, caught_up: Any, alive: Any) -> Configuration | None:
        step: Configuration | None = original(now, wanted, caught_up, alive)
        if step is not None and step.joint:
            return Configuration(step.following, step.learners, change=step.change)
        return step

    return next_step


def _nothing(_original: Any) -> Any:
    return lambda *_arguments: None


def _learners_count(_original: Any) -> Any:
    def index_of(group: Group, matched: dict[NodeId, int], holders: Any) -> int:
        known = group.configuration
        voters = (*known.voters, *known.learners)
        return joint_committed_index(voters, known.following, matched, holders)

    return index_of


def _new_alone(_original: Any) -> Any:
    def index_of(group: Group, matched: dict[NodeId, int], holders: Any) -> int:
        voters = group.configuration.sets[-1]
        return committed_index(voters, matched, holders(len(voters)))

    return index_of


def _keeps_its_own(original: Any) -> Any:
    def replaced(known: Membership, controls: Iterable[Entry]) -> None:
        if hasattr(known, "committed"):  # not at the start of a life
            named = Membership((), controls).since
            known.coming = [each for each in known.coming if each[0] > named]
        else:
            original(known, controls)

    return replaced


def _when_committed(original: Any) -> Any:
    def configure(group: Group) -> None:
        coming = group.membership.coming
        if group.election.role != LEADER:
            group.membership.coming = []
        try:
            original(group)
        finally:
            group.membership.coming = coming

    return configure


def _counts_and_configures(original: Any) -> Any:
    def count(group: Group, index: int) -> None:
        original(group, index)
        group.configure()

    return count


def _by_newest_alone(_original: Any) -> Any:
    return lambda group, node: group.configuration.includes(node)


def _votes_by_newest_alone(_original: Any) -> Any:
    return lambda group: group.me in group.voters and not group.election.outside


MUTANTS = (
    Mutant(
        "overlapping-changes",
        "a leader begins the next change of members before the last one is committed",
        "the bug of single-server changes that Ongaro found in 2015; hashicorp/raft before it waited for the first",
        "members",
        (Swap(members, "may_change", _overlapping),),
        SPLIT,
        inner=INSIDE,
        outer=SEEN,
        outer_scenario="newcomers",
    ),
    Mutant(
        "changes-before-no-op",
        "a new leader changes members before its own epoch has committed anything",
        "Raft's single-server changes as first published (raft-dev, Ongaro 2015)",
        "members",
        (Swap(members, "may_change", _before_noop),),
        SPLIT,
    ),
    Mutant(
        "no-joint-step",
        "any number of voters are exchanged by one entry",
        "etcd before 3.4 allowed it through several proposals at once; RethinkDB 2.1 (Jepsen, 2016)",
        "members",
        (Swap(membership, "next_step", _in_one_step),),
        SPLIT,
        inner=INSIDE,
        outer=SEEN,
        outer_scenario="newcomers",
    ),
    Mutant(
        "joint-by-the-new-alone",
        "while voters are exchanged, a majority of the new ones is enough for an entry",
        "no case known; the half of joint consensus that is easily forgotten",
        "members",
        (Swap(Group, "_index_of", _new_alone),),
        SPLIT,
        inner=INSIDE,
        outer=SEEN,
        outer_scenario="newcomers",
    ),
    Mutant(
        "learners-count",
        "the disk of a learner counts as that of a voter",
        "etcd's learners were introduced because new members counted before they had anything (3.3 and before)",
        "members",
        (Swap(Group, "_index_of", _learners_count),),
        SPLIT,
    ),
    Mutant(
        "removed-leader-serves",
        "a leader that was changed out of its group goes on leading",
        "hashicorp/raft before ShutdownOnRemove; rqlite's advice to remove followers only",
        "members",
        (Swap(members, "_leave", _nothing),),
        ("liveness",),
    ),
    Mutant(
        "left-out-before-it-counts",
        "a replica that an entry leaves out neither stands nor votes for itself, though the entry may not count yet",
        "Ongaro 2014, section 4.2.2, lets such a server stand for this reason; our own code once did not",
        "departures",
        (Swap(Group, "_may_be_member", _by_newest_alone), Swap(Group, "votes_here", _votes_by_newest_alone)),
        ("liveness",),
    ),
    Mutant(
        "configuration-survives-truncation",
        "a configuration whose entry was overwritten stays in force",
        "etcd applies changes when they are committed to be spared this; braft and others had to roll back",
        "members",
        (Swap(Membership, "truncated", _nothing),),
        SPLIT,
    ),
    Mutant(
        "snapshot-without-configuration",
        "who installs a copy keeps the members that it knew",
        "no case known; why Raft's InstallSnapshot carries the configuration",
        "members",
        (Swap(Membership, "replaced", _keeps_its_own),),
        ("configuration", "liveness", *SPLIT),
    ),
    Mutant(
        "followers-change-when-committed",
        "followers vote by the last committed configuration, not by the last in their log",
        "etcd and its like do so on purpose, with single steps only; jointly it lets two majorities decide",
        "members",
        (Swap(Group, "configure", _when_committed), Swap(commit, "commit_to", _counts_and_configures)),
        SPLIT,
    ),
)
