"""The table of faults survived: each row one kind of fault, each column a replication that exists.

A cell is many seeds of one cluster that suffers this fault and no other, under the same load, and is judged by what
its replication promises with these acks. A cell in which the fault never struck, or in which hardly anything was done,
proves nothing and is a failure. How the page is written stands in `lab.sim.table_page`.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from quorate.core.ack_policy import ASYNC, AUTO, ETCD, MAJORITY, MANUAL, SYNC, AckPolicy, parse
from quorate.core.node import Node
from quorate.core.options import SINGLE_LEADER
from quorate.core.replication import REPLICATIONS
from quorate.lab.sim.campaigns.report import Report
from quorate.lab.sim.campaigns.rows import CALM, EVERY_US, Row
from quorate.lab.sim.faults.registry import ROWS as FAULT_ROWS
from quorate.lab.sim.replications.registry import PROBES
from quorate.lab.sim.run import Plan
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.lab.sim.scenarios.named import dials_of, execute
from quorate.lab.sim.stores.keeps import FILES
from quorate.lab.sim.stores.store import BadStore
from quorate.lab.sim.workloads.drawn import COMPARED

OPERATIONS_LEAST = 20
"""For each seed; a cell with fewer says nothing. Where `sync` waits for a node that is away, fewer are enough."""
CHUNK = 10
"""So many seeds of a cell are run, and kept, together."""


class Mode(Struct, frozen=True):
    """One column: a replication, and how many nodes."""

    name: str
    nodes: int
    acks: str = MAJORITY
    replication: str = SINGLE_LEADER
    dials: dict[str, Any] = {}
    """What else is different: another way to fail over, say."""
    settings: dict[str, Any] = {}
    """The same of the nodes' settings."""
    storage: str = ""
    """What keeps the data; empty: as the seed says."""
    mark: str = ""
    """What must have happened in every cell, besides its fault."""

    @property
    def rule(self) -> AckPolicy:
        return parse(self.acks)

    @property
    def promises(self) -> tuple[str, ...]:
        """By name, as `quorate explain` has them; each names its judge."""
        of = REPLICATIONS[self.replication]
        return tuple(each.name for each in of.promises.made(of.options(acks=self.acks)))

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


def applies(row: Row, mode: Mode) -> bool:
    """Whether the row makes sense there."""
    if row.spare and not mode.spares_one:
        return False
    if mode.decides == MANUAL and "lasting" in row.dials:
        return False  # what lasts asks whether the cluster helps itself
    if mode.decides != AUTO and "upgrade_us" in row.dials:
        return False  # an old format has no other failover
    if row.decides and mode.decides not in row.decides:
        return False
    if (row.filed and mode.storage != FILES) or (not row.stored and mode.storage == FILES):
        return False
    return not row.only or mode.rule.kind in row.only


SHORT_LOG = msgspec.structs.replace(CALM.settings, log_keep_entries=0, checkpoint_entries=2)
EVERYTHING = "everything at once"

ROWS = (
    Row("none", "ok"),
    *FAULT_ROWS,
    Row("snapshots all the time, and crashes", "note: snapshot_installed", {"crash_us": SECOND, "settings": SHORT_LOG}),
    Row("schema changes and crashes", "schema: ok", {"schema": 2, "crash_us": EVERY_US}),
    Row(EVERYTHING, "crash"),
)
"""Those of the faults (`sim.faults`), and what is no fault of its own."""


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
    cell.lost += sum(probe.lost(report) for probe in PROBES.values())
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
        if applies(row, mode) and (not rows or row.name in rows) and (not modes or mode.name in modes)
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
