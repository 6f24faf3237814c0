"""What a database of several leaders promises, and what it cannot."""

from quorate.core.ack_policy import ASYNC, MAJORITY, SYNC
from quorate.core.options import ALL, EVERY, MULTI_LEADER, RING, STAR, MultiLeaderOptions
from quorate.core.promises import ALWAYS, ONCE_AND_TRUE, READS, Explanation, Promise, Promises
from quorate.core.read_levels import EVENTUAL, SESSION
from quorate.core.single_leader.promises import ACKS

CONVERGES = Promise(
    "converges",
    "leaders that have received the same writes hold the same rows, in whatever order they came",
    "replicas equal",
)
IN_FORCE = Promise(
    "in force, replaced or listed",
    "a write that was acknowledged is in force at every leader that has received it, or was replaced by a later one"
    " whose author had seen it, or is listed as the loser of a conflict",
    "acknowledged write lost",
)
CAUSAL = Promise(
    "causal order", "a leader shows no write before those that its author had been shown at his leader", "causal order"
)
MADE = (CONVERGES, IN_FORCE, CAUSAL, *ALWAYS, READS[SESSION])
EVERY_PROMISE = (*MADE, READS[EVENTUAL])

TOPOLOGIES = {
    ALL: "every leader takes the writes of every other",
    RING: "every leader takes the writes of all from the one before it; while that one is silent, from all others",
    STAR: "the first leader takes the writes of all others, they take all from it; while it is silent, all from all",
}
NOT_LINEARIZABLE = (
    "No read is linearizable: leaders accept writes without asking each other, also while they cannot, so nobody can"
    " know what another has accepted a moment ago."
)
CONFLICTS = (
    "Two leaders may change the same row before they hear of each other. Then one write, or a merge of both, is in"
    " force everywhere, by the resolver of the column; what lost is listed. Unique values may be taken twice: one row"
    " is hidden, and listed."
)
SCHEMA = (
    "Changes of the schema are made by the first leader, and wait while its group cannot write; other writes go on."
)


def _group_size(options: MultiLeaderOptions, replicas: int) -> int:
    """How many replicas the smallest group has."""
    return min(len(nodes) for nodes in options.placed(range(replicas)))


def explain(options: MultiLeaderOptions, replicas: int) -> Explanation:
    """Everything there is to say about a database of so many replicas."""
    groups = options.placed(range(replicas))
    leaders, smallest = len(groups), _group_size(options, replicas)
    holders = options.rule.holders(smallest)
    away = replicas - 1 if options.leaders == EVERY else leaders - 1 + (smallest - max(holders, smallest // 2 + 1))
    nodes = "1 node" if replicas == 1 else f"{replicas} nodes"
    each = "alone" if smallest == 1 else f"a group of {smallest} or more, each with followers of its own"
    disks = "its leader's disk holds it" if holders == 1 else f"{holders} disks of its leader's group hold it"
    return Explanation(
        replication=MULTI_LEADER,
        options=options.spelt,
        replicas=replicas,
        away_for_writes=away,
        away_for_reads={SESSION: away, EVENTUAL: replicas - 1},
        disks=holders - 1,
        default_read=SESSION,
        sentences=(
            (
                f"{leaders} of {nodes} lead{'s' if leaders == 1 else ''}, {each}; any of them takes writes at once, and"
                f" {TOPOLOGIES[options.topology]}."
            ),
            (
                f"With acks = {options.acks} a write is acknowledged when {disks}; other leaders receive it afterwards,"
                " once a majority of that group holds it."
            ),
            f"{CONVERGES.says.capitalize()}.",
            f"{CAUSAL.says.capitalize()}.",
            CONFLICTS,
            f"{IN_FORCE.says.capitalize()}.",
            NOT_LINEARIZABLE,
            (
                f"Writes go on while any {away} are away, at the leaders that are left: what is made at one that is cut"
                " off travels when it is back."
            ),
            "A write that only a lost disk had, before another leader received it, is lost with that disk.",
            SCHEMA,
            ONCE_AND_TRUE + " A token belongs to the leader that it was first sent to.",
        ),
    )


def _made(_options: MultiLeaderOptions) -> tuple[Promise, ...]:
    return MADE


def _judges(_options: MultiLeaderOptions) -> frozenset[str]:
    return frozenset(promise.judge for promise in EVERY_PROMISE)


def document() -> list[str]:
    """This replication's part of docs/promises.md."""
    lines = [
        "## `multi-leader`: what several leaders promise",
        "",
        f"{CONFLICTS} {NOT_LINEARIZABLE} {SCHEMA}",
        "",
        "| topology | who takes the writes of whom |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {says} |" for name, says in TOPOLOGIES.items()]
    lines += ["", "Acks count within the group of the leader that took the write:", ""]
    lines += ["| acks | a write is acknowledged | what is lost, and when |", "|---|---|---|"]
    lines += [f"| `{kind}` | {ACKS[kind].counts} | {ACKS[kind].loses} |" for kind in (ASYNC, MAJORITY, SYNC)]
    return lines


PROMISES = Promises(explain, _made, _judges, EVERY_PROMISE, document)
