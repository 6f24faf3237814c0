"""The table of faults survived: each row one kind of fault, each column a replication that exists.

A cell is many seeds of one cluster that suffers this fault and no other, under the same load. A cell in which the
fault never struck, or in which hardly anything was done, proves nothing and is a failure.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct

from quorate.core.node import Node
from quorate.core.settings import Settings
from quorate.lab.sim.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.ledger import ACKNOWLEDGED_LOST
from quorate.lab.sim.report import Report
from quorate.lab.sim.run import Plan
from quorate.lab.sim.scenarios import dials_of, execute
from quorate.lab.sim.store import BadStore

PROMISE = "linearizable; nothing acknowledged is lost; retries happen once"
EVERY_US = 1_500 * MILLISECOND
OPERATIONS_LEAST = 20
"""For each seed; a cell with fewer says nothing."""

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


class Row(Struct, frozen=True):
    """One kind of fault."""

    name: str
    mark: str
    """What must have happened."""
    dials: dict[str, Any] = {}


SHORT_LOG = msgspec.structs.replace(CALM.settings, log_keep_entries=0, checkpoint_entries=2)

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
    Row("partial connectivity that stays", "lasting: partial", {"lasting": "partial", "safety_us": 9 * SECOND}),
    Row("deaf leader that stays", "lasting: deaf leader", {"lasting": "deaf leader", "safety_us": 9 * SECOND}),
    Row("swizzle-clog", "swizzle", {"swizzle_us": EVERY_US}),
    Row("loss of 20 %", "dropped", {"loss": 0.2}),
    Row("delay with a long tail (mean 50 ms)", "timed out", {"tail_us": 50 * MILLISECOND, "patience_us": 150_000}),
    Row("repetition of 20 %, half of it seconds late", "duplicated", {"duplicate": 0.2, "late": 0.5}),
    Row("corrupted frames, 5 %", "corrupted", {"corrupt": 0.05}),
    Row("wall clock jumps by up to 300 s", "clock jump", {"clock_jump_us": EVERY_US}),
    Row("wall clock to and fro", "clock strobe", {"strobe_us": EVERY_US}),
    Row("clocks that drift by up to 2 %, 100 s apart", "ok", {"drift_ppm": 20_000, "wall_offset_us": 100 * SECOND}),
    Row("fsync fails once", "fsync error", {"fsync_error_us": EVERY_US}),
    Row("read error", "read error", {"read_error_us": EVERY_US}),
    Row("disk full, then room", "disk full", {"full_disk_us": EVERY_US}),
    Row("leader's disk full that stays", "lasting: full disk", {"lasting": "full disk", "safety_us": 9 * SECOND}),
    Row("slow disk, 5 to 10,000 times", "slow disk", {"slow_disk_us": EVERY_US}),
    Row("a log write that never returns", "lasting: hung disk", {"lasting": "hung disk", "safety_us": 9 * SECOND}),
    Row("a log loses its end (one node)", "damage", {"damage": 1.0, "crash_us": SECOND, "torn_step": 0.0}),
    Row("bit flips in a log (one node)", "flip in the log", {"flip_log_us": SECOND, "crash_us": 2 * SECOND}),
    Row("bit flips in data files (one node)", "flip in a data file", {"flip_data_us": SECOND, "crash_us": 2 * SECOND}),
    Row(
        "a data file edited by hand while replicas are compared (one node)", "note: divergent",
        {"edit_us": SECOND, "verify_us": 500 * MILLISECOND, "crash_us": 2 * SECOND},
    ),
    Row("a disk is lost for good (one node)", "lost disk", {"lost_disk": 1.0}),
    Row("rolling upgrade, back and forth, and crashes", "upgrade", {"upgrade_us": 300_000, "crash_us": 2 * SECOND}),
    Row("drain", "drain", {"drain_us": EVERY_US}),
    Row("snapshots all the time, and crashes", "note: snapshot_installed", {"crash_us": SECOND, "settings": SHORT_LOG}),
    Row("schema changes and crashes", "schema: ok", {"schema": 2, "crash_us": EVERY_US}),
    Row("callers die after sending", "client crash", {"client_crash": 0.2}),
    Row("requests that linger for seconds", "lingered", {"client_late": 0.2}),
    Row("writes repeated long after their answer", "repetitions answered", {"repeat": 0.6, "crash_us": EVERY_US}),
    Row("everything at once", "crash"),
)  # fmt: skip

COLUMNS = {"single-leader, majority, 3 nodes": 3, "single-leader, majority, 5 nodes": 5}


def cell_run(row: Row, nodes: int, seed: int) -> Report:
    """One seed of one cell."""
    if row.name == "everything at once":
        dials = msgspec.structs.replace(dials_of("mixed", seed), nodes=nodes)
    else:
        dials = msgspec.structs.replace(CALM, nodes=nodes, **row.dials)
    return execute(seed, dials, Plan(f"table/{row.name}/{nodes}", Node, BadStore))


class Cell(Struct):
    """What many seeds of one fault came to."""

    seeds: int = 0
    ok: int = 0
    maybe: int = 0
    failed: int = 0
    fired: int = 0
    lost: int = 0
    steps: int = 0
    violations: tuple[str, ...] = ()
    gaps_us: list[int] = []
    """For each seed the longest time in which no write or read succeeded."""

    def percentile_ms(self, part: int) -> int:
        """A percentile of the gaps, in milliseconds (nearest rank)."""
        gaps = sorted(self.gaps_us)
        return gaps[max(0, -(-len(gaps) * part // 100) - 1)] // MILLISECOND if gaps else 0

    def text(self) -> str:
        """The cell, as it stands in the page."""
        return (
            f"{self.seeds} seeds; {self.ok:,} ok, {self.maybe:,} maybe, {self.failed:,} failed; fired {self.fired:,};"
            f" {len(self.violations)} violations; {self.lost} lost; {self.percentile_ms(50)} / {self.percentile_ms(99)}"
        )


def cell_of(row: Row, nodes: int, seeds: Iterable[int]) -> Cell:
    """Run a cell."""
    cell = Cell()
    for seed in seeds:
        add(cell, row, cell_run(row, nodes, seed))
    vacuous = not cell.fired or cell.ok < OPERATIONS_LEAST * cell.seeds
    if vacuous and row.name != "everything at once":
        text = (
            f"{row.name}: the fault struck {cell.fired} times and {cell.ok} operations succeeded: this proves nothing"
        )
        cell.violations = (*cell.violations, text)
    return cell


def add(cell: Cell, row: Row, report: Report) -> None:
    """Count one run."""
    marks = report.marks
    cell.seeds += 1
    cell.ok += marks.get("ok", 0)
    cell.maybe += marks.get("unsure", 0) + marks.get("client crash", 0)
    cell.failed += marks.get("failed", 0) + marks.get("cancelled", 0) + marks.get("told not done", 0)
    cell.fired += marks.get(row.mark, 0)
    cell.steps += report.steps
    cell.gaps_us.append(report.unavailable_us)
    if not report.ok:
        cell.lost += report.judge == ACKNOWLEDGED_LOST
        message = report.message.splitlines()[0]
        cell.violations = (*cell.violations, f"{row.name}, seed {report.seed}: {report.judge}: {message}")


HEAD = f"""# Faults survived

Whole clusters on virtual time, with the real node and a model of network, disks and clocks. Each row is one kind of
fault and nothing else, except the last; each cell says how many seeds were run, how operations ended (*maybe*: the
caller was not told, and found out later), how often the fault struck, how many promises were broken, how many
acknowledged writes were lost, and for how long nothing succeeded (the longest gap of a run, in milliseconds: the median
and the 99th percentile over the seeds). A cell whose fault never struck, or with hardly any operation, counts as a
violation.

The promise in every cell: {PROMISE}.

What no configuration here can survive, and what is therefore never drawn (the fault budget): harm to the disks of more
than one node of a run (a log without its end, bit flips, a lost disk), for two of three replicas may be all that hold a
counted write; and, in the liveness phase, more than one dead node. Crashes, power failures, partitions, pauses and
full or slow disks have no budget: they may strike all nodes at once.
"""


def page(cells: dict[tuple[str, str], Cell], command: str) -> str:
    """docs/fault-table.md"""
    seeds, steps = sum(cell.seeds for cell in cells.values()), sum(cell.steps for cell in cells.values())
    violations = [text for cell in cells.values() for text in cell.violations]
    lines = [HEAD, f"Written by `{command}`: {seeds:,} seeds, {steps:,} node steps, {len(violations)} violations.\n"]
    lines.append("| fault | " + " | ".join(COLUMNS) + " |")
    lines.append("|---" * (1 + len(COLUMNS)) + "|")
    for row in ROWS:
        if any((row.name, column) in cells for column in COLUMNS):
            texts = (cells[row.name, column].text() for column in COLUMNS)
            lines.append(f"| {row.name} | " + " | ".join(texts) + " |")
    if violations:
        lines += ["", "## Violations", "", *(f"- {text}" for text in violations)]
    return "\n".join(lines) + "\n"
