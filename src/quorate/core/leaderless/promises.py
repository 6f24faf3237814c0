"""What a database without a leader promises, and who judges it."""

from quorate.core.leaderless.options import BLOCKING, LeaderlessOptions
from quorate.core.options import LEADERLESS
from quorate.core.promises import TRUE, Explanation, Promise, Promises
from quorate.core.read_levels import STRONGEST

REGULAR = Promise(
    "regular reads",
    "a read returns the newest version that was acknowledged before it began, or that of a write beside it",
    "regular register",
)
ORDERED = Promise(
    "ordered versions",
    "a write has a higher version than each that was acknowledged before it began",
    "ordered versions",
)
MONOTONIC = Promise("monotonic reads", "a read returns nothing older than a read that ended before", "monotonic reads")
GONE = Promise("no resurrection", "a deleted row comes back by an INSERT only", "no resurrection")
COUNTED = Promise(
    "every increment", "an increment of a counter that was acknowledged counts, and counts once", "counters"
)
CONVERGES = Promise("convergence", "replicas that hear each other come to hold the same", "convergence")

STRICT = (REGULAR, ORDERED, GONE)
"""Where w + r > n."""
ALWAYS = (COUNTED, CONVERGES, TRUE)
EVERY = (*STRICT, MONOTONIC, *ALWAYS)
LIKELY = 3
"""The usual number of replicas, where nobody says how many there are."""


def made(options: LeaderlessOptions, replicas: int = LIKELY) -> tuple[Promise, ...]:
    """What is promised to callers who choose no w and r of their own."""
    quorums = options.quorums(replicas)
    strict = STRICT if quorums.strict else ()
    monotonic = (MONOTONIC,) if options.repair == BLOCKING and 2 * quorums.r > replicas else ()
    return (*strict, *monotonic, *ALWAYS)


def explain(options: LeaderlessOptions, replicas: int) -> Explanation:
    """All that there is to say about a database of so many replicas."""
    quorums = options.quorums(replicas)
    sees = "Reads see the newest acknowledged write" if quorums.strict else "Reads may miss acknowledged writes"
    return Explanation(
        replication=LEADERLESS,
        options=options.spelt,
        replicas=replicas,
        away_for_writes=min(quorums.write_absences, quorums.read_absences),
        away_for_reads={STRONGEST: quorums.read_absences},
        disks=quorums.w - 1,
        default_read=STRONGEST,
        sentences=(
            f"Any replica takes writes. A write succeeds when {quorums.w} of {replicas} replicas hold it on disk.",
            f"A read asks {quorums.r} of {replicas} replicas.",
            f"{sees}: w + r is {quorums.w + quorums.r}, and n is {replicas}. They are not linearizable.",
            "A statement writes one row, which it names by its full primary key. There are no transactions.",
            "execute(..., w=, r=) chooses for one call. A read may miss a write if r and the write's w make n at most.",
            "A write that fewer replicas acknowledged in time may have happened all the same (MaybeDone).",
        ),
    )


def _section() -> list[str]:
    """What docs/promises.md says of it."""
    return [
        "## `leaderless`: what quorums promise",
        "",
        "`n` is the number of replicas. Which promises are made follows from `w` and `r` (docs/leaderless.md):",
        "",
        "| promise | when |",
        "|---|---|",
        *[f"| {each.name} | w + r > n |" for each in STRICT],
        f"| {MONOTONIC.name} | `repair` is `{BLOCKING}`, and 2r > n; for reads of one row by its key |",
        *[f"| {each.name} | always |" for each in ALWAYS],
        "",
        "No read is linearizable: one beside a write may return the new value, and a later one the old.",
    ]


def _judges(options: LeaderlessOptions) -> frozenset[str]:
    return frozenset({each.judge for each in made(options)})


PROMISES = Promises(explain, made, _judges, EVERY, _section)
