"""The file of results: what was measured, where, and how. The page is drawn from it and from nothing else."""

from pathlib import Path

import msgspec
from msgspec import Struct

from bench.figures import median, ratios, significant

FORMAT = 1
QUORATE, POSTGRESQL, ETCD, APSW, DISK = "quorate", "postgresql", "etcd", "apsw", "disk"


class Sample(Struct, frozen=True, omit_defaults=True):
    """One round. 0 stands for what was not measured."""

    per_s: float = 0.0
    """Operations that ended in the measuring window, per second."""
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    load_cpu_share: float = 0.0
    """CPU seconds per second of the load generator; 1 is one core."""
    load_cpu_us: float = 0.0
    """The generator's CPU time per operation."""
    server_cpu_share: float = 0.0
    server_cpu_us: float = 0.0
    """CPU time per operation of all processes of the system that is measured."""
    memory_mb: float = 0.0
    """Proportional set size of all its processes at the end of the round, in MiB."""
    peak_mb: float = 0.0
    """The most resident memory that its processes ever had, added up."""
    descriptors: int = 0
    retries: float = 0.0
    """How often a transaction was run again, on average."""
    failures: dict[str, int] = {}


class Measure(Struct, frozen=True, omit_defaults=True):
    """One point: a part of the benchmark, a system, a way of using it, and a value on the axis."""

    part: str
    system: str
    variant: str
    x: int
    """Clients, rows, databases, bytes, followers...: what the part varies."""
    rounds: tuple[Sample, ...]

    def middle(self, field: str) -> float:
        """The median of a field over the rounds."""
        return median([float(getattr(each, field)) for each in self.rounds])


class Ratio(Struct, frozen=True):
    """Throughput of Quorate ÷ throughput of a peer (or of Quorate used in another way), from rounds that were run in
    turn."""

    part: str
    variant: str
    peer: str
    peer_variant: str
    x: int
    median: float
    low: float
    high: float
    rounds: int


class Machine(Struct, frozen=True):
    processor: str
    cores: int
    memory_mb: int
    kernel: str
    filesystem: str
    fdatasync_p50_us: float
    fdatasync_p99_us: float
    versions: dict[str, str]


class Plan(Struct, frozen=True):
    """How long and how often."""

    seconds: float
    """One round's measuring window."""
    warm_up: float
    rounds: int
    rows: int
    value_bytes: int
    clients: tuple[int, ...]
    shared: tuple[int, ...]
    """Requests in flight on one shared connection."""
    sizes: tuple[int, ...]
    """Rows of a table, as it grows."""
    idle: tuple[int, ...]
    """Databases that nobody uses."""
    idle_s: float
    """How long their cost is watched."""
    active: tuple[int, ...]
    values: tuple[int, ...]
    """Bytes of a value, as it grows."""
    followers: tuple[int, ...]
    kills: int
    """Leaders killed for the failover figures."""
    quick: bool = False


class Check(Struct, frozen=True):
    """One of the ways to see that the load generator was not the bottleneck."""

    what: str
    system: str
    value: float
    unit: str


class Results(Struct, frozen=True, omit_defaults=True):
    format: int
    started: str
    """UTC, ISO 8601."""
    commit: str
    plan: Plan
    machine: Machine
    measures: tuple[Measure, ...] = ()
    ratios: tuple[Ratio, ...] = ()
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    """What went otherwise than planned; nothing that failed is left out silently."""


COMPARED: tuple[tuple[str, str, str, str], ...] = (
    ("update", "own connections", POSTGRESQL, "own connections"),
    ("update", "own connections", ETCD, "own connections"),
    ("select", "eventual", POSTGRESQL, "primary"),
    ("select", "eventual over 3 nodes", POSTGRESQL, "primary"),
    ("select", "leader", POSTGRESQL, "primary"),
    ("select", "linearizable", POSTGRESQL, "primary"),
    ("select", "linearizable", ETCD, "linearizable"),
    ("select", "eventual", ETCD, "serializable"),
    ("orm", "read, then write, raw frames", POSTGRESQL, "transaction"),
    ("orm", "read, then batch, client library", POSTGRESQL, "transaction"),
    ("transactions", "different rows", POSTGRESQL, "different rows"),
    ("transactions", "one row", POSTGRESQL, "one row"),
    ("transactions", "insert, then its child", POSTGRESQL, "insert, then its child"),
    ("transactions", "a page of 20 SELECTs", POSTGRESQL, "a page of 20 SELECTs"),
    ("transactions", "different rows, one asleep in a transaction", QUORATE, "different rows, none asleep"),
    ("embedded commits", "embedded", APSW, "plain"),
    ("embedded reads", "embedded", APSW, "plain"),
)
"""Part, our variant, the peer and its variant: what is set against what."""


def reckon(measures: tuple[Measure, ...]) -> tuple[Ratio, ...]:
    """Every comparison for which both sides were measured."""
    found = {(each.part, each.system, each.variant, each.x): each for each in measures}
    out = []
    for part, variant, peer, peer_variant in COMPARED:
        for ours in measures:
            if (ours.part, ours.system, ours.variant) != (part, QUORATE, variant):
                continue
            theirs = found.get((part, peer, peer_variant, ours.x))
            if theirs is None:
                continue
            each = ratios([one.per_s for one in ours.rounds], [one.per_s for one in theirs.rounds])
            if each:
                middle, low, high = (significant(value) for value in (median(each), min(each), max(each)))
                out.append(Ratio(part, variant, peer, peer_variant, ours.x, middle, low, high, len(each)))
    return tuple(out)


def read(path: Path) -> Results:
    return msgspec.json.decode(path.read_bytes(), type=Results)


def write(path: Path, results: Results) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
