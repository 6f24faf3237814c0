"""What a database of one leader promises with each choice of acks, failover and read level: on what conditions, at what
cost, and what it loses. This is the one place: `quorate explain` and docs/promises.md are made from it.
"""

from collections.abc import Iterator

from msgspec import Struct

from quorate.core.ack_policy import ASYNC, AUTO, ETCD, KINDS, MAJORITY, MANUAL, SEMI_SYNC, SYNC, AckPolicy
from quorate.core.options import SINGLE_LEADER, SingleLeaderOptions
from quorate.core.own_writes import WAYS
from quorate.core.promises import ALWAYS, ONCE_AND_TRUE, READS, SERIAL, Explanation, Promise, Promises
from quorate.core.read_levels import LEVELS, LINEARIZABLE, READ_LEVELS, SESSION, offered
from quorate.core.settings import Settings

KEPT = Promise(
    "kept",
    "a write that was acknowledged is on every later leader, unless somebody accepts the loss of it",
    "acknowledged write lost",
)
SAVED = Promise(
    "lost within its lag, and saved",
    "a failover loses at most the writes that had not reached the new leader; each that a live node still holds is"
    " saved there, committed, and can be replayed",
    "lost tail",
)
EVERY = (KEPT, SAVED, *ALWAYS, SERIAL, *READS.values())


class Acks(Struct, frozen=True):
    """One ack policy, in words."""

    kind: str
    counts: str
    """When a write is committed."""
    promise: Promise
    condition: str
    cost: str
    loses: str
    """What, and when."""


ACKS: dict[str, Acks] = {
    ASYNC: Acks(
        ASYNC,
        "when the leader's own disk holds it",
        SAVED,
        "the leader that acknowledged it goes on leading, or its disk comes back",
        "one fsync; no round trip to another node",
        "writes that the old leader acknowledged and the new one had not received, at each failover; what a node that"
        " comes back still holds of them is saved there, what was on one that never does is listed as unknown",
    ),
    SEMI_SYNC: Acks(
        SEMI_SYNC,
        "when the disks of the leader and of K followers hold it",
        KEPT,
        "nobody accepts a loss: failovers need n - K votes or a majority, whichever is more",
        "the fsync and round trip of the K quickest followers; more votes for a failover where K + 1 is no majority",
        "nothing at a failover; everything that was only on the K + 1 disks, when all of them are lost",
    ),
    SYNC: Acks(
        SYNC,
        "when the disk of every replica holds it",
        KEPT,
        "one replica's disk survives",
        "the slowest follower's fsync and round trip; no write while any replica is away",
        "nothing while one disk survives; a failover happens with a majority and no write is taken until all are back",
    ),
    MAJORITY: Acks(
        MAJORITY,
        "when the disks of a majority of the replicas hold it",
        KEPT,
        "no majority of the disks is lost",
        "the fsync and round trip of the quicker half of the followers",
        "nothing while less than a majority of the disks is lost",
    ),
}  # fmt: skip


class Failover(Struct, frozen=True):
    """Who decides that another replica leads, in words."""

    kind: str
    decides: str
    dies: str
    """What happens when the leader dies."""
    cut_off: str
    """What a leader does that is cut off from the others."""
    cost: str


FAILOVERS: dict[str, Failover] = {
    AUTO: Failover(
        AUTO,
        "the replicas, by votes",
        "another is elected within about a second, when there are enough votes",
        "it steps down after `suspect`, for others may lead by then",
        "a network that is slow for long may cost an election that nobody needed",
    ),
    MANUAL: Failover(
        MANUAL,
        "a person: `quorate failover DATABASE --to NODE`; the node needs the same votes",
        "nobody leads, and writes wait, until a node is named; also when the old leader is started again",
        "it goes on leading, and acknowledges what its acks allow; whoever was named meanwhile leads a later epoch",
        "writes wait for a person at every death of a leader",
    ),
    ETCD: Failover(
        ETCD,
        "the replicas, by votes, and an etcd that permits one at a time to stand",
        "the old leader's permit runs out in about two seconds, then another is elected; not while etcd is away",
        "it steps down after `suspect`, as with `auto`, and gives its permit back",
        "an etcd to look after: while it is away nobody new is elected, and leaders go on",
    ),
}


HOLD_LASTS = f"{Settings().hold_us // 1_000_000} s"
HOLD_IDLES = f"{Settings().hold_idle_us // 1_000} ms"

VIEW_LASTS = f"{Settings().view_us // 60_000_000} minutes"
VIEW_IDLES = f"{Settings().view_idle_us // 1_000_000} s"
VIEW_WAL = f"{Settings().view_wal_bytes >> 20} MiB"


class Beginning(Struct, frozen=True):
    """One way to begin a transaction, in words."""

    begin: str
    says: str
    limits: str
    """What it does not promise."""
    cost: str


BEGINNINGS = (
    Beginning(
        "deferred",
        "it holds nothing between its statements: a client that stalls in it delays nobody",
        "that what it was shown stays so until COMMIT: others may change it, and it ends with SerializationFailure",
        "each statement runs the earlier ones again, until it is long or changes the schema: then it holds the writer",
    ),
    Beginning(
        "immediate",
        "it holds the leader's writer: nobody else writes to the database, each statement runs once, and as long as it"
        " holds it does not end with SerializationFailure",
        "that it holds until COMMIT: another leader, a lost answer and a change of acks or members end the hold; while"
        f" others wait to write, so do {HOLD_LASTS} in all and {HOLD_IDLES} without a statement. It goes on as a"
        " deferred one then",
        "other writes to the database wait meanwhile; where many transactions hold one after the other, at most half of"
        " the time",
    ),
    Beginning(
        "read_only=True",
        "all its statements, and all pieces of a `stream`, read one state, the one that its first read saw at its"
        " level; each runs once, and others write meanwhile",
        f"that the state is kept: one node keeps it, for {VIEW_LASTS} at the most, {VIEW_IDLES} without a statement,"
        f" and while the database's write-ahead log has at most {VIEW_WAL}; then it is SnapshotExpired",
        f"a connection to the data file; a node keeps {Settings().views_max} at a time, and the statements of other"
        " such transactions run again each time, as those of a deferred one do",
    ),
)


class Row(Struct, frozen=True):
    """One choice and what comes with it."""

    replication: str
    acks: str
    """A kind: `semi-sync` stands for every K."""
    read: str
    promises: tuple[Promise, ...]
    """Empty: the read level is refused."""
    conditions: tuple[str, ...]
    cost: str
    loses: str


def row(acks: str, read: str) -> Row:
    """The row of the table for a kind of acks and a read level. Raises KeyError."""
    policy, level = ACKS[acks], LEVELS[read]
    if not offered(acks, read):
        why = "refused: a new leader may lack what was acknowledged, so that no read could be sure to see it"
        return Row(SINGLE_LEADER, acks, read, (), (why,), "", "")
    serial = (SERIAL,) if offered(acks, LINEARIZABLE) else ()
    return Row(
        SINGLE_LEADER, acks, read, (policy.promise, *ALWAYS, *serial, READS[read]), (policy.condition,),
        f"writes: {policy.cost}; reads: {level.cost}", policy.loses,
    )  # fmt: skip


def table() -> Iterator[Row]:
    """Every row."""
    for kind in KINDS:
        for read in READ_LEVELS:
            yield row(kind, read)


def strongest_read(rule: AckPolicy) -> str:
    """The read level of callers who name none: the strongest that the database promises."""
    return next(level for level in READ_LEVELS if offered(rule.kind, level))


def judges(rule: AckPolicy) -> frozenset[str]:
    """The judges of the laboratory that a database with these acks is answerable to."""
    held = [level for level in READ_LEVELS if not (LEVELS[level].lossless and rule.kind == ASYNC)]
    return frozenset(promise.judge for level in held for promise in row(rule.kind, level).promises)


# ---- in sentences -----------------------------------------------------------------------------------------

TRANSACTIONS = (
    "Transactions that write are strict serializable: they happen as if one after the other, in an order that agrees"
    " with real time{}."
)
BOTH = (
    "The first two are strict serializable, with `async` among what survives a failover ([how](transactions.md)); so is"
    " the third at `linearizable`."
)
HOLDS = (
    "A transaction that begins immediate, or takes long, holds the leader's writer: others who write to the database"
    " wait, and it does not end with SerializationFailure meanwhile. A hold is a lease: it ends with its leader, and"
    f" while others wait after {HOLD_LASTS}, or {HOLD_IDLES} without a statement; then the transaction goes on as one"
    " that began deferred."
)
SNAPSHOTS = (
    "A transaction with read_only=True, and a stream, read one state, which one node keeps for them while others write:"
    f" for {VIEW_LASTS} at the most, {VIEW_IDLES} when nobody reads, and while the write-ahead log has at most"
    f" {VIEW_WAL}. Then, and when the node is lost, they end with SnapshotExpired."
)
OWN_WRITES = (
    "At eventual a connection may miss its own writes, unless it has one of these: "
    + "; ".join(f"read_your_writes={way.spelling} ({way.says})" for way in WAYS.values())
    + "."
)


class LedExplanation(Explanation, frozen=True, kw_only=True):
    """With what the disks and the votes amount to."""

    holders: int
    """Disks that hold a write before it is committed."""
    votes: int
    """Votes that a new leader needs."""


def explain(rule: AckPolicy, replicas: int) -> LedExplanation:
    """Everything there is to say about a database of so many replicas."""
    holders, votes = rule.holders(replicas), rule.votes(replicas)
    majority = replicas // 2 + 1
    writes = replicas - max(holders, votes, majority)
    led = replicas - max(votes, majority)
    followers = replicas - max(holders, majority)
    if rule.failover == MANUAL and replicas > 1:
        writes = led = 0  # the leader may be among them
    reads = {name: led if level.led else replicas - 1 for name, level in LEVELS.items() if offered(rule.kind, name)}
    sentences = (
        f"One of {_nodes(replicas)} leads and takes the writes; the others repeat its log.",
        _counting(rule, replicas, holders),
        _writing(rule, writes, followers),
        *_reading(rule, reads),
        *([OWN_WRITES] if replicas > 1 else []),
        _electing(rule, replicas, votes),
        _losing(rule, replicas, holders),
        ONCE_AND_TRUE,
        TRANSACTIONS.format("" if offered(rule.kind, LINEARIZABLE) else ", among what survives a failover"),
        HOLDS,
        SNAPSHOTS,
    )
    return LedExplanation(
        replication=SINGLE_LEADER,
        options={"acks": str(rule), "failover": rule.failover},
        replicas=replicas,
        holders=holders,
        votes=votes,
        away_for_writes=writes,
        away_for_reads=reads,
        disks=holders - 1,
        default_read=strongest_read(rule),
        sentences=sentences,
    )


def _nodes(count: int) -> str:
    return "1 node" if count == 1 else f"{count} nodes"


def _counting(rule: AckPolicy, replicas: int, holders: int) -> str:
    where = "its leader's disk holds it" if holders == 1 else f"the disks of {holders} of {replicas} nodes hold it"
    return f"With acks = {rule} a write is acknowledged when {where}."


def _writing(rule: AckPolicy, away: int, followers: int) -> str:
    """`followers`: how many may be away as long as the leader is not among them."""
    if rule.failover == MANUAL and followers:
        may = f"any {_nodes(followers)} of the others {'is' if followers == 1 else 'are'} away"
        return f"Writes go on while {may}, as long as the leader is there; without it they wait for you."
    if away:
        more = f", and while {followers} followers are as long as the leader stays" if followers > away else ""
        return f"Writes go on while any {_nodes(away)} {'is' if away == 1 else 'are'} away{more}."
    late = (
        " Those that wait too long end with MaybeDone, and new ones are refused as not done."
        if rule.kind == SYNC
        else ""
    )
    return f"No node may be away for writes to go on.{late}"


def _reading(rule: AckPolicy, away: dict[str, int]) -> Iterator[str]:
    for level, count in away.items():
        may = f"any {_nodes(count)} may be away" if count else "no node may be away"
        if level == SESSION and count:
            may += ", as long as one is there that has reached the session's bookmark"
        default = ", the default" if level == strongest_read(rule) else ""
        yield f"Reads at {LEVELS[level].spelling}{default}: {LEVELS[level].says}; {may}."
    if not offered(rule.kind, LINEARIZABLE):
        yield (
            "Reads at linearizable are refused: a new leader may lack what was acknowledged, so that no read could be"
            " sure to see it."
        )


def _electing(rule: AckPolicy, replicas: int, votes: int) -> str:
    if replicas == 1:
        return "There is no failover: there is no other node."
    text = f"When the leader falls silent, {votes} of {replicas} nodes elect another by themselves"
    if rule.failover == ETCD:
        text = (
            "When the leader falls silent and etcd permits it (not while etcd is away; the leader goes on then),"
            f" {votes} of {replicas} nodes elect another by themselves"
        )
    if rule.failover == MANUAL:
        text = (
            "When the leader dies, or its node is started again, nobody leads until you say who: `quorate failover"
            f" DATABASE --to NODE`. {votes} of {replicas} nodes must vote for it"
        )
    if not rule.intersects(replicas):
        return f"{text}; what it had not received of the old leader's writes is lost with the failover."
    some = "one of them" if rule.holders(replicas) + votes == replicas + 1 else "some of them"
    sure = f"{text}; {some} hold{'s' if some == 'one of them' else ''} every acknowledged write, and so does who wins."
    if rule.is_narrow(replicas):
        sure += (
            f" With fewer nobody is elected, unless you accept the loss of what only the others have: `--accept-loss`"
            f" is content with {replicas // 2 + 1}."
        )
    return sure


def _losing(rule: AckPolicy, replicas: int, holders: int) -> str:
    if not rule.intersects(replicas):
        return (
            "What a failover loses is at most the followers' lag. When the old leader comes back, what it alone held is"
            " saved on its disk before its replica is rebuilt: see `quorate lost list`. What was on a node that never"
            " comes back is listed as unknown."
        )
    if holders == 1:
        return "Acknowledged writes are lost when its one disk is lost."
    return f"Acknowledged writes are lost only when {holders} disks are lost before others have caught up."


# ---- docs/promises.md -------------------------------------------------------------------------------------

NUMBERS_BEGIN = (
    "How many nodes, whichever they are, may be away while writes go on, and how many disks may be lost without losing"
    " an acknowledged write:"
)


def document() -> list[str]:
    """This replication's part of the page."""
    lines = [
        "## Acks of `single-leader`: when a write is committed",
        "",
        "| acks | a write is committed | condition | cost | what is lost, and when |",
        "|---|---|---|---|---|",
    ]
    spelt = {SEMI_SYNC: "semi-sync:K"}
    for policy in ACKS.values():
        name = spelt.get(policy.kind, policy.kind)
        lines.append(f"| `{name}` | {policy.counts} | {policy.condition} | {policy.cost} | {policy.loses} |")
    lines += ["", "## Failover of `single-leader`: who decides", ""]
    lines += [
        "| failover | decides | when the leader dies | a leader that is cut off | cost |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{each.kind}` | {each.decides} | {each.dies} | {each.cut_off} | {each.cost} |"
        for each in FAILOVERS.values()
    ]
    lines += ["", "## Transactions of `single-leader`: how they begin", ""]
    lines += ["| begin | promises | does not promise | cost |", "|---|---|---|---|"]
    lines += [f"| `{each.begin}` | {each.says} | {each.limits} | {each.cost} |" for each in BEGINNINGS]
    lines += ["", BOTH]
    lines += ["", "## Every choice of `single-leader`", ""]
    lines += [
        "| replication | acks | read | promises |",
        "|---|---|---|---|",
    ]
    for each in table():
        promised = ", ".join(promise.name for promise in each.promises) or each.conditions[0]
        acks, read = spelt.get(each.acks, each.acks), LEVELS[each.read].spelling
        lines.append(f"| {each.replication} | `{acks}` | `{read}` | {promised} |")
    return [*lines, "", "## Numbers of `single-leader`", "", *_numbers()]


def _numbers() -> list[str]:
    """How many nodes may be away, for the usual sizes."""
    lines = [
        NUMBERS_BEGIN,
        "",
        "| acks | replicas | disks that hold a write | votes to lead | away for writes | disks |",
        "|---|---|---|---|---|---|",
    ]
    for replicas in (1, 2, 3, 5):
        rules = [
            AckPolicy(ASYNC),
            AckPolicy(SEMI_SYNC, 1),
            AckPolicy(SEMI_SYNC, 2),
            AckPolicy(SYNC),
            AckPolicy(MAJORITY),
        ]
        for rule in rules:
            if rule.kind == SEMI_SYNC and rule.followers >= replicas:
                continue
            said = explain(rule, replicas)
            numbers = f"{said.holders} | {said.votes} | {said.away_for_writes} | {said.disks}"
            lines.append(f"| `{rule}` | {replicas} | {numbers} |")
    return lines


def _explain(options: SingleLeaderOptions, replicas: int) -> LedExplanation:
    return explain(options.rule, replicas)


def _made(options: SingleLeaderOptions) -> tuple[Promise, ...]:
    return row(options.rule.kind, strongest_read(options.rule)).promises


def _judges(options: SingleLeaderOptions) -> frozenset[str]:
    return judges(options.rule)


PROMISES = Promises(_explain, _made, _judges, EVERY, document)
