"""The campaigns of `quorate nemesis --replacements` and `--etcd-outages`: their tables and their pages in docs/."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

import click

from quorate.cli.lab.nemesis import account, conducted, middle_and_worst
from quorate.cli.output import Fail, aligned, marked, print_json, progress

WIDE = 120

REPLACED = (
    "the old node", "rounds", "of them by a copy", "command p50 / worst, ms", "in all p50 / worst, ms",
    "silence p50 / worst, ms", "orders", "not done",
)  # fmt: skip
AWAY = (
    "what happened", "etcd", "rounds", "leaders killed", "orders while away", "silence p50 / worst, ms",
    "first write p50 / worst, ms",
)  # fmt: skip


def replace(count: int, nodes: int, seed: int, folder: Path | None, page: Path | None, *, as_json: bool) -> None:
    """The campaign of replacements. Raises Fail."""
    from quorate.lab.nemesis.replacements import run_replacements

    progress(f"{count} replacements on {nodes} nodes, seed {seed}")
    progress(f"{'round':>5}  {'the old node':<20} {'':<7} {'command':>10} {'silence':>10}")
    report = conducted(lambda: run_replacements(count, nodes, seed, tell_replacement, folder))
    lines = [*aligned(replaced(report)), "", *summary(report), f"founders left {report.founders_left}"]
    _end(report, lines, as_json=as_json)
    if page is not None:
        page.write_text(replacements_page(report, count), encoding="utf-8")
    _judge(report)


def take_etcd(count: int, nodes: int, seed: int, folder: Path | None, page: Path | None, *, as_json: bool) -> None:
    """The campaign of outages of etcd. Raises Fail."""
    from quorate.lab.nemesis.outages import run_outages

    progress(f"{count} rounds on {nodes} nodes and an etcd, seed {seed}")
    progress(f"{'round':>5}  {'what':<42} {'etcd':<8} {'away':>10} {'first write':>11}")
    report = conducted(lambda: run_outages(count, nodes, seed, tell_outage, folder))
    _end(report, [*aligned(away(report)), "", *summary(report)], as_json=as_json)
    if page is not None:
        page.write_text(outages_page(report, count), encoding="utf-8")
    _judge(report)


def _end(report: Any, lines: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json(report)
        return
    for line in lines:
        click.echo(line)


def _judge(report: Any) -> None:
    if not report.passed:
        raise Fail("; ".join([*report.wrong, *(f"shown nothing: {why}" for why in report.vacuous)]))


def tell_replacement(done: Any) -> None:
    """One line for each round."""
    role = "leader" if done.led else ""
    progress(f"{done.number:>5}  {done.how:<20} {role:<7} {done.took_ms:>7.0f} ms {done.silence_ms:>7.0f} ms")


def tell_outage(done: Any) -> None:
    """One line for each round."""
    progress(f"{done.number:>5}  {done.what:<42} {done.harm:<8} {done.away_ms:>7.0f} ms {done.first_write_ms:>8.0f} ms")


def replaced(report: Any) -> list[tuple[str, ...]]:
    """The table of replacements."""
    rows: list[tuple[str, ...]] = [REPLACED]
    for row in report.rows:
        what = f"{row.how}{', led' if row.led else ''}"
        spreads = (middle_and_worst(each) for each in (row.took_ms, row.whole_ms, row.silence_ms))
        rows.append((what, str(row.rounds), str(row.copied), *spreads, f"{row.orders:,}", str(row.not_done)))
    return rows


def away(report: Any) -> list[tuple[str, ...]]:
    """The table of outages."""
    rows: list[tuple[str, ...]] = [AWAY]
    for row in report.rows:
        what = (row.what, row.harm or "up", str(row.rounds), str(row.leaders_killed), f"{row.orders_away:,}")
        rows.append((*what, middle_and_worst(row.silence_ms), middle_and_worst(row.first_write_ms)))
    return rows


def summary(report: Any) -> list[str]:
    """What became of everything, as lines."""
    *told, end = account(report.account)
    leaders = f"asked {report.looks:,} times who leads: {'; '.join(report.two_leaders) or 'never two in one epoch'}"
    broken = [f"not as promised: {each}" for each in report.unlike_promised]
    nothing = [f"shown nothing: {why}" for why in report.vacuous]
    failed = f"requests that failed {report.account.failed_requests}"
    seconds = end.partition(" in ")[2]
    return [failed, *told, leaders, *broken, *nothing, f"{'passed' if report.passed else 'FAILED'} in {seconds}"]


def _page(title: str, question: str, text: str, command: str, report: Any, table: list[str], legend: str) -> str:
    made = (
        f"on {report.machine}. The seed chooses nodes, times and orders; it does not make two runs alike, for time is "
        "real. What it has shown, it has shown for so long on one machine."
    )
    told = [f"- {line}" for line in summary(report)]
    head = [f"# {title}", "", f"*{question}*", "", *wrap(text.strip(), WIDE), "", "```", command, "```", ""]
    return "\n".join([*head, *wrap(made, WIDE), "", *table, "", *wrap(legend.strip(), WIDE), "", *told, ""])


REPLACING = """
Real processes on one machine, and clients that never rest. Each round a node goes for good and a new one with an empty
folder takes its place, as [members.md](members.md) describes. Half of those that go are killed with `kill -9` and lose
their folder; the others live until they are out. Half of them lead. This page was written by
"""

REPLACED_LEGEND = """
*By a copy*: the log had lost its beginning, so that the newcomer fetched a copy of the data file and the log behind it.
*Command*: from `member replace` to its answer, when the newcomer has what was committed and votes, and the old node is
out. *In all*: the same from the kill, or from the making of the new folder; the start of the process is in it.
*Silence*: the longest time without an acknowledged order in that time. *Not done*: orders that were refused, or whose
answer was lost. The clients had been told of the founders only, of whom {left} of {nodes} were left at the end.
"""

TAKING_ETCD = """
Real processes, a real etcd, and clients that never rest. [failover.md](failover.md) says what is promised: while etcd
is away leaders go on, and writes with them, and elections wait. This page was written by
"""

AWAY_LEGEND = """
*Orders while away*: acknowledged while etcd was away; where the leader was killed meanwhile, only those that began
after its death, and there may be none. *Silence*: the longest time without one while etcd was away and the leader
lived. *First write*: from the leader's death, or from etcd's return where it was away then, to the first
acknowledgement of an order that began after that. The dead leader's permit lasts two seconds and must run out first;
an etcd that was killed starts in one second and lets the permit begin anew. *Made anew*: killed, its data deleted, and
started again; its revisions are then below the group's epoch.
"""


def replacements_page(report: Any, count: int) -> str:
    """docs/nemesis-members.md, which this command writes."""
    return _page(
        "Nodes replaced under load",
        "What does it cost to replace a node while everybody works?",
        REPLACING,
        f"{_command('replacements', count, report)} --page docs/nemesis-members.md",
        report,
        marked(replaced(report)),
        REPLACED_LEGEND.format(left=report.founders_left, nodes=report.nodes),
    )


def outages_page(report: Any, count: int) -> str:
    """docs/nemesis-etcd.md, which this command writes."""
    return _page(
        "Outages of etcd under load",
        "My database has `failover = etcd`. What happens when etcd is away, and when a leader dies meanwhile?",
        TAKING_ETCD,
        f"{_command('etcd-outages', count, report)} --page docs/nemesis-etcd.md",
        report,
        marked(away(report)),
        AWAY_LEGEND,
    )


def _command(option: str, count: int, report: Any) -> str:
    return f"quorate nemesis --{option} {count} --nodes {report.nodes} --seed {report.account.seed}"
