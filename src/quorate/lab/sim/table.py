"""The table of faults survived: each row one kind of fault, each column a replication that exists.

A cell is many seeds of one cluster that suffers this fault and no other, under the same load, and is judged by what
`core.promises` says of its acks. A cell in which the fault never struck, or in which hardly anything was done, proves
nothing and is a failure. How the page is written stands in `lab.sim.table_page`.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from quorate.core import promises
from quorate.core.acks_rule import ASYNC, AUTO, ETCD, MAJORITY, MANUAL, SYNC, AcksRule, parse
from quorate.core.node import Node
from quorate.core.settings import Settings
from quorate.lab.sim.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.drawn import COMPARED
from quorate.lab.sim.ledger import ACKNOWLEDGED_LOST
from quorate.lab.sim.report import Report
from quorate.lab.sim.run import Plan
from quorate.lab.sim.scenarios import FILES, dials_of, execute
from quorate.lab.sim.store import BadStore
from quorate.lab.sim.tails import LOST_TAIL, LOST_UNDER_ASYNC

EVERY_US = 1_500 * MILLISECOND
OPERATIONS_LEAST = 20
"""For each seed; a cell with fewer says nothing. Where `sync` waits for a node that is away, fewer are enough."""
CHUNK = 10
"""So many seeds of a cell are run, and kept, together."""

CALM = Dials(
    clients=4,
    safety_us=8 * SECOND,
    leave_dead=0.0,
    hints=0.8,
    think_us=60 * MILLISECOND,
    schema=0,
    leaders_first=0.5,
    settings=Settings(answer_timeout_us=SECOND, suspect_us=400 * MILLISECOND, election_us=100 * MILLISECOND),
)


class Mode(Struct, frozen=True):
    """One column: a replication, and how many nodes."""

    name: str
    nodes: int
    acks: str = MAJORITY
    dials: dict[str, Any] = {}
    """What else is different: another way to fail over, say."""
    settings: dict[str, Any] = {}
    """The same of the nodes' settings."""
    storage: str = ""
    """What keeps the data; empty: as the seed says."""
    mark: str = ""
    """What must have happened in every cell, besides its fault."""

    @property
    def rule(self) -> AcksRule:
        return parse(self.acks)

    @property
    def promises(self) -> tuple[str, ...]:
        """By name, as `quorate explain` has them; each names its judge."""
        return tuple(each.name for each in promises.row(self.rule.kind, promises.strongest_read(self.rule)).promises)

    @property
    def decides(self) -> str:
        """Who decides that another node leads."""
        return str(self.dials.get("decides", AUTO))

    @property
    def spares_one(self) -> bool:
        """Whether writes go on without any one node."""
        return max(self.rule.holders(self.nodes), self.rule.votes(self.nodes)) < self.nodes


DRAWN: dict[str, Any] = {
    "drawn": 16, "reads": 2, "writes": 2, "compares": 0, "counters": 1, "pairs": 0, "failing": 0, "journals": 0,
    "weak_reads": 0,
}  # fmt: skip
"""Most operations are drawn, as their tables are; the rest ask whether registers are linearizable."""

MODES = (
    Mode("majority, 3 nodes", 3),
    Mode("majority, 5 nodes", 5),
    Mode("async, 3 nodes", 3, ASYNC),
    Mode("semi-sync:1, 3 nodes", 3, "semi-sync:1"),
    Mode("semi-sync:1, 5 nodes", 5, "semi-sync:1"),
    Mode("sync, 3 nodes", 3, SYNC),
    Mode("majority, 3 nodes, failover by hand", 3, dials={"decides": MANUAL, "failover_us": 200 * MILLISECOND}),
    Mode("majority, 3 nodes, failover by etcd", 3, dials={"decides": ETCD}, settings={"has_etcd": True}),
    Mode("majority, 3 nodes, real files", 3, storage=FILES),
    Mode("majority, 3 nodes, drawn schemas", 3, dials=DRAWN, mark=COMPARED),
    Mode("majority, 3 nodes, drawn schemas, real files", 3, dials=DRAWN, storage=FILES, mark=COMPARED),
)


class Row(Struct, frozen=True):
    """One kind of fault."""

    name: str
    mark: str
    """What must have happened."""
    dials: dict[str, Any] = {}
    spare: bool = False
    """A node is as good as gone while it lasts: only where writes go on without it."""
    only: tuple[str, ...] = ()
    """Only for these kinds of acks."""
    stored: bool = True
    """Also where the data is kept in real files."""
    filed: bool = False
    """Only there."""
    decides: tuple[str, ...] = ()
    """Only where one of these decides about failovers."""

    def applies(self, mode: Mode) -> bool:
        """Whether the row makes sense there."""
        if self.spare and not mode.spares_one:
            return False
        if mode.decides == MANUAL and "lasting" in self.dials:
            return False  # what lasts asks whether the cluster helps itself
        if mode.decides != AUTO and "upgrade_us" in self.dials:
            return False  # an old format has no other failover
        if self.decides and mode.decides not in self.decides:
            return False
        if (self.filed and mode.storage != FILES) or (not self.stored and mode.storage == FILES):
            return False
        return not self.only or mode.rule.kind in self.only


SHORT_LOG = msgspec.structs.replace(CALM.settings, log_keep_entries=0, checkpoint_entries=2)
RELEARNT = msgspec.structs.replace(CALM.settings, checkpoint_entries=5, close_idle_us=100_000, close_idle_periods=1)
"""Files are read from the disk again and again. The log stays whole, so that no copy spreads what is wrong."""
STALLED = {
    "lasting": "dead leader", "safety_us": 9 * SECOND, "reads": 10, "weak_reads": 0, "attempts": 2, "give_up": 1.0,
    "patience_us": 200 * MILLISECOND, "wander": 0.3,
}  # fmt: skip

ENDLESS_READS = {
    "cpu_us": 150, "run_us": 4 * MILLISECOND, "base_load": 0.1, "spike": 0.2, "spike_us": 2 * SECOND, "repeats": 30,
    "endless_us": 200 * MILLISECOND, "safety_us": 13 * SECOND, "think_us": 200 * MILLISECOND, "patience_us": SECOND,
}  # fmt: skip

EVERYTHING = "everything at once"

ROWS = (
    Row("none", "ok"),
    Row("crash of one node, some, or all", "crash", {"crash_us": EVERY_US, "torn_step": 0.0}),
    Row("crash within a step", "torn step", {"crash_us": EVERY_US, "torn_step": 1.0}),
    Row("crash just after a vote", "crash after a vote", {"crash_us": EVERY_US, "crash_on_vote": 0.5}),
    Row(
        "power failure: unsynced writes are gone", "writes forgotten",
        {"crash_us": EVERY_US, "lose_unsynced": 1.0, "fsync_us": 10_000, "keep_pending": 0.2},
    ),
    Row("pause", "pause", {"pause_us": EVERY_US}),
    Row("partition: halves, one, ring, bridge, one-way, partial", "partition", {"partition_us": EVERY_US}),
    Row(
        "partial connectivity that stays", "lasting: partial", {"lasting": "partial", "safety_us": 9 * SECOND},
        spare=True,
    ),
    Row(
        "deaf leader that stays", "lasting: deaf leader", {"lasting": "deaf leader", "safety_us": 9 * SECOND},
        spare=True,
    ),
    Row("swizzle-clog", "swizzle", {"swizzle_us": EVERY_US}),
    Row("loss of 20 %", "dropped", {"loss": 0.2}),
    Row("delay with a long tail (mean 50 ms)", "timed out", {"tail_us": 50 * MILLISECOND, "patience_us": 150_000}),
    Row("links that carry 20,000 bytes a second", "queued", {"bandwidth": 20_000}),
    Row("repetition of 20 %, half of it seconds late", "duplicated", {"duplicate": 0.2, "late": 0.5}),
    Row("corrupted frames, 5 %", "corrupted", {"corrupt": 0.05}),
    Row("wall clock jumps by up to 300 s", "clock jump", {"clock_jump_us": EVERY_US}),
    Row("wall clock to and fro", "clock strobe", {"strobe_us": EVERY_US}),
    Row("clocks that drift by up to 2 %, 100 s apart", "ok", {"drift_ppm": 20_000, "wall_offset_us": 100 * SECOND}),
    Row("fsync fails once", "fsync error", {"fsync_error_us": EVERY_US}),
    Row("read error", "read error", {"read_error_us": EVERY_US}),
    Row("disk full, then room", "disk full", {"full_disk_us": EVERY_US}),
    Row(
        "leader's disk full that stays", "lasting: full disk", {"lasting": "full disk", "safety_us": 9 * SECOND},
        spare=True,
    ),
    Row("slow disk, 5 to 10,000 times", "slow disk", {"slow_disk_us": EVERY_US}),
    Row(
        "a log write that never returns", "lasting: hung disk", {"lasting": "hung disk", "safety_us": 9 * SECOND},
        spare=True,
    ),
    Row("a log loses its end (one node)", "damage", {"damage": 1.0, "crash_us": SECOND, "torn_step": 0.0}),
    Row("bit flips in a log (one node)", "flip in the log", {"flip_log_us": SECOND, "crash_us": 2 * SECOND}),
    Row("bit flips in data files (one node)", "flip in a data file", {"flip_data_us": SECOND, "crash_us": 2 * SECOND}),
    Row(
        "a data file edited by hand while replicas are compared (one node)", "note: divergent",
        {"edit_us": SECOND, "verify_us": 500 * MILLISECOND, "crash_us": 2 * SECOND}, stored=False,
    ),
    Row(
        "a disk that lies: writes are lost or land elsewhere (one node)", "lying disk",
        {
            "lie_us": 300 * MILLISECOND, "verify_us": 700 * MILLISECOND, "crash_us": SECOND // 2, "torn_step": 0.0,
            "settings": RELEARNT,
        },
        filed=True,
    ),
    Row(
        "a folder put back from an older copy (one node)", "folder put back",
        {"old_copy_us": SECOND // 2}, stored=False,
    ),
    Row(
        "data files that an entry cannot be applied to (all nodes but one)", "cannot be applied",
        {
            "unfit_us": SECOND, "crash_us": 2 * SECOND, "fault_lasts_us": 500 * MILLISECOND,
            "settings": msgspec.structs.replace(CALM.settings, log_keep_entries=4_096),
        },
    ),
    Row("a disk is lost for good (one node)", "lost disk", {"lost_disk": 1.0}, spare=True),
    Row("the leader dies for good: reads go on, writes wait", "writes stalled", STALLED, only=(SYNC,)),
    Row(
        "rolling upgrade, back and forth, and crashes", "upgrade", {"upgrade_us": 300_000, "crash_us": 2 * SECOND},
        only=(MAJORITY,),
    ),
    Row(
        "etcd is away, from all or from one node, and leaders die", "etcd: away when asked",
        {"etcd_outage_us": EVERY_US, "crash_us": EVERY_US, "leaders_first": 0.9}, decides=(ETCD,),
    ),
    Row(
        "a leader's permit runs out: it is paused or cut off from etcd", "etcd: a leader's permit ran out",
        {
            "etcd_outage_us": EVERY_US, "pause_us": EVERY_US // 2, "partition_us": EVERY_US, "leaders_first": 0.9,
            "fault_lasts_us": 800 * MILLISECOND,
        },
        decides=(ETCD,),
    ),
    Row(
        "etcd's answers are lost, and leaders die", "etcd: answer lost",
        {"etcd_lost_answer": 0.5, "crash_us": EVERY_US // 2, "leaders_first": 0.9}, decides=(ETCD,),
    ),
    Row("drain", "drain", {"drain_us": EVERY_US}),
    Row("snapshots all the time, and crashes", "note: snapshot_installed", {"crash_us": SECOND, "settings": SHORT_LOG}),
    Row("schema changes and crashes", "schema: ok", {"schema": 2, "crash_us": EVERY_US}),
    Row("writes that take long, or do not end", "write takes long", {"long_write": 0.1}),
    Row("reads that do not end, under load", "load: endless read", ENDLESS_READS, decides=(AUTO,)),
    Row("callers die after sending", "client crash", {"client_crash": 0.2}),
    Row("requests that linger for seconds", "lingered", {"client_late": 0.2}),
    Row("writes repeated long after their answer", "repetitions answered", {"repeat": 0.6, "crash_us": EVERY_US}),
    Row(EVERYTHING, "crash"),
)  # fmt: skip


Cells = dict[tuple[str, str], "Cell"]
"""By the names of row and mode."""


def dials_in(row: Row, mode: Mode, seed: int) -> Dials:
    """What one seed of a cell suffers."""
    if row.name == EVERYTHING:
        quiet: dict[str, Any] = {} if mode.acks == MAJORITY else {"client_late": 0.0, "lost_disk": 0.0}
        if mode.decides == ETCD:
            quiet |= {"etcd_outage_us": EVERY_US, "etcd_lost_answer": 0.1}
        dials = msgspec.structs.replace(dials_of("mixed", seed), databases=1, **quiet)
    else:
        dials = msgspec.structs.replace(CALM, **row.dials)
    settings = msgspec.structs.replace(dials.settings, **mode.settings)
    return msgspec.structs.replace(dials, nodes=mode.nodes, fixed=mode.acks, settings=settings, **mode.dials)


def cell_run(row: Row, mode: Mode, seed: int) -> Report:
    """One seed of one cell."""
    plan = Plan(f"table/{row.name}/{mode.name}", Node, BadStore, storage=mode.storage)
    return execute(seed, dials_in(row, mode, seed), plan)


class Cell(Struct):
    """What many seeds of one fault came to. `row` and `mode` by name: this is also what a file of results holds."""

    row: str
    mode: str
    seeds: list[int] = []
    ok: int = 0
    maybe: int = 0
    failed: int = 0
    fired: int = 0
    proved: int = 0
    """How often the mode's own mark was seen."""
    lost: int = 0
    """Acknowledged writes that are not there: under `async` those of failovers, elsewhere violations."""
    saved: int = 0
    """Entries that replicas dropped, each after it had kept it among its lost tails."""
    steps: int = 0
    violations: list[str] = []
    gaps_us: list[int] = []
    """For each seed the longest time in which no write or read succeeded."""
    commits: list[str] = []
    """With which code."""

    def percentile_ms(self, part: int) -> int:
        """A percentile of the gaps, in milliseconds (nearest rank)."""
        gaps = sorted(self.gaps_us)
        return gaps[max(0, -(-len(gaps) * part // 100) - 1)] // MILLISECOND if gaps else 0

    def text(self) -> str:
        """In one line."""
        return (
            f"{len(self.seeds)} seeds; {self.ok:,} ok, {self.maybe:,} maybe, {self.failed:,} failed; fired"
            f" {self.fired:,}; {len(self.violations)} violations; {self.lost} lost; {self.percentile_ms(50)} /"
            f" {self.percentile_ms(99)}"
        )


def cell_of(row: Row, mode: Mode, seeds: Iterable[int], commit: str = "") -> Cell:
    """Run some seeds of a cell."""
    cell = Cell(row.name, mode.name, commits=[commit] if commit else [])
    for seed in seeds:
        add(cell, row, cell_run(row, mode, seed), mode.mark)
    return cell


def add(cell: Cell, row: Row, report: Report, mark: str = "") -> None:
    """Count one run. `mark`: that of the mode."""
    marks = report.marks
    cell.seeds.append(report.seed)
    cell.ok += marks.get("ok", 0)
    cell.maybe += marks.get("unsure", 0) + marks.get("client crash", 0)
    cell.failed += marks.get("failed", 0) + marks.get("cancelled", 0) + marks.get("told not done", 0)
    cell.fired += marks.get(row.mark, 0)
    cell.proved += marks.get(mark, 0)
    cell.lost += marks.get(LOST_UNDER_ASYNC, 0) + (report.judge in {ACKNOWLEDGED_LOST, LOST_TAIL})
    cell.saved += marks.get("lost entries dropped", 0)
    cell.steps += report.steps
    cell.gaps_us.append(report.unavailable_us)
    if not report.ok:
        message = report.message.splitlines()[0]
        cell.violations.append(f"{row.name}, {cell.mode}, seed {report.seed}: {report.judge}: {message}")


def merge(cells: Cells, more: Cell) -> None:
    """Put what other seeds of a cell came to with what is there; seeds that are there already are left out whole."""
    known = cells.setdefault((more.row, more.mode), Cell(more.row, more.mode))
    if not set(more.seeds).isdisjoint(known.seeds):
        return
    for name in ("ok", "maybe", "failed", "fired", "proved", "lost", "saved", "steps"):
        setattr(known, name, getattr(known, name) + getattr(more, name))
    for name in ("seeds", "violations", "gaps_us"):
        getattr(known, name).extend(getattr(more, name))
    known.commits = sorted({*known.commits, *more.commits})


def proves_nothing(row: Row, cell: Cell) -> str:
    """Why a cell says nothing about its fault; empty when it does."""
    least = OPERATIONS_LEAST * len(cell.seeds) // (1 if row.name != EVERYTHING and not row.only else 4)
    mark = next((mode.mark for mode in MODES if mode.name == cell.mode), "")
    if cell.fired and cell.ok >= least and (cell.proved or not mark):
        return ""
    struck = f"the fault struck {cell.fired} times and {cell.ok} operations succeeded"
    struck += f", and {mark!r} was seen {cell.proved} times" if mark else ""
    return f"{row.name}, {cell.mode}: {struck}: this proves nothing"


def violations(cells: Cells) -> list[str]:
    """Every broken promise, and every cell that proves nothing."""
    rows = {row.name: row for row in ROWS}
    found = [text for cell in cells.values() for text in cell.violations]
    return found + [text for (row, _), cell in cells.items() if (text := proves_nothing(rows[row], cell))]


def listed(rows: Iterable[str] = (), modes: Iterable[str] = ()) -> list[tuple[Row, Mode]]:
    """The cells there are, or those of these rows and modes."""
    rows, modes = tuple(rows), tuple(modes)
    return [
        (row, mode)
        for mode in MODES
        for row in ROWS
        if row.applies(mode) and (not rows or row.name in rows) and (not modes or mode.name in modes)
    ]


def load(lines: Iterable[bytes], cells: Cells | None = None) -> Cells:
    """What a file of results holds: a cell in each line. Cells that are no more are left out. Raises MsgspecError."""
    there = {(row.name, mode.name) for row, mode in listed()}
    cells = {} if cells is None else cells
    for cell in map(partial(msgspec.json.decode, type=Cell), filter(bytes.strip, lines)):
        if (cell.row, cell.mode) in there:
            merge(cells, cell)
    return cells


def dump(cell: Cell) -> bytes:
    """A line of such a file."""
    return msgspec.json.encode(cell) + b"\n"
