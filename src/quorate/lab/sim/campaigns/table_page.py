"""docs/fault-table.md: an overview with a column for each mode, and what each mode's cells came to."""

from quorate.lab.sim.campaigns.table import MODES, ROWS, Cell, Cells, Mode, violations

HEAD = """# Faults survived

Whole clusters on virtual time, with the real node and a model of network, disks and clocks. Each row is one kind of
fault and nothing else, except the last. Every run is judged by what its acks promise ([promises.md](promises.md)), and
by the invariants of the protocol. A cell whose fault never struck, or with hardly any operation, counts as a violation;
where there is none, the row makes no sense (an upgrade from format 1, which has neither other acks nor other ways to
fail over; `sync` while a node stays away; a harmed etcd where none decides).

What no configuration here can survive, and what is therefore never drawn (the fault budget): harm to the disks of more
than one node of a run (a log without its end, bit flips, a lost disk), for two of three replicas may be all that hold a
committed write; and, in the liveness phase, more than one dead node. Crashes, power failures, partitions, pauses and
full or slow disks have no budget: they may strike all nodes at once.
"""
OVERVIEW = """## Overview

Violations / seeds, and for how long nothing succeeded: the longest gap of a run, in milliseconds, the median and the
99th percentile over the seeds.
"""
DETAILS = """## Mode by mode

How operations ended (*maybe*: the caller was not told, and found out later), how often the fault struck, how many
promises were broken, how many acknowledged writes were lost, and the longest gaps again. With `async` a write that was
acknowledged may be lost by a failover: each was committed, and every replica that dropped such entries had kept them
(*saved*) before.
"""


def _seeds_of(mode: Mode, cells: Cells) -> int:
    return sum(len(cell.seeds) for cell in cells.values() if cell.mode == mode.name)


def page(cells: Cells, command: str) -> str:
    """The page, of whatever cells there are."""
    modes = [mode for mode in MODES if any(each == mode.name for _, each in cells)]
    seeds, steps = sum(len(cell.seeds) for cell in cells.values()), sum(cell.steps for cell in cells.values())
    columns = "; ".join(f"{mode.name}: {_seeds_of(mode, cells):,}" for mode in modes)
    broken = violations(cells)
    commits = sorted({commit for cell in cells.values() for commit in cell.commits})
    with_code = f" with {', '.join(commits)}" if commits else ""
    lines = [
        HEAD,
        f"Written by `{command}`{with_code}: {seeds:,} seeds, {steps:,} node steps, {len(broken)} violations.",
        "",
        f"Seeds of each column: {columns}.",
    ]
    lines += [
        "",
        OVERVIEW,
        "| fault | " + " | ".join(mode.name for mode in modes) + " |",
        "|---" * (1 + len(modes)) + "|",
    ]
    for row in ROWS:
        row_cells = [cells.get((row.name, mode.name)) for mode in modes]
        if any(row_cells):
            lines.append(f"| {row.name} | " + " | ".join(map(_short, row_cells)) + " |")
    lines += ["", DETAILS.rstrip()]
    for mode in modes:
        lines += _section(mode, cells)
    if broken:
        lines += ["", "## Violations", "", *(f"- {text}" for text in broken)]
    return "\n".join(lines) + "\n"


def _short(cell: Cell | None) -> str:
    if cell is None:
        return ""
    return f"{len(cell.violations)} / {len(cell.seeds)} · {cell.percentile_ms(50)} / {cell.percentile_ms(99)}"


def _section(mode: Mode, cells: Cells) -> list[str]:
    """One mode: what it promises, and its cells."""
    lost = "lost (entries saved)" if mode.rule.kind == "async" else "lost"
    heads = ("fault", "seeds", "ok", "maybe", "failed", "fired", "violations", lost, "gap p50 / p99, ms")
    lines = ["", f"### {mode.name}", "", f"Promised: {', '.join(mode.promises)}.", ""]
    lines += ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in ROWS:
        cell = cells.get((row.name, mode.name))
        if cell is not None:
            gone = f"{cell.lost:,} ({cell.saved:,})" if mode.rule.kind == "async" else f"{cell.lost:,}"
            numbers = f"{len(cell.seeds)} | {cell.ok:,} | {cell.maybe:,} | {cell.failed:,} | {cell.fired:,}"
            gaps = f"{cell.percentile_ms(50):,} / {cell.percentile_ms(99):,}"
            lines.append(f"| {row.name} | {numbers} | {len(cell.violations)} | {gone} | {gaps} |")
    return lines
