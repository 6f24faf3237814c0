"""`quorate lab nemesis`: period after period of faults on real processes, and the page with its results."""

from pathlib import Path
from typing import Any

import click

from quorate.cli.lab.nemesis import conducted, middle_and_worst, yes
from quorate.cli.output import Fail, Seconds, aligned, json_option, marked, print_json, progress


@click.command(short_help="Inject faults into a real cluster, and judge histories.")
@click.option("--minutes", default=20.0, show_default=True, type=Seconds(0.1), help="How long to go on.")
@click.option("--nodes", default=3, show_default=True, type=click.IntRange(3), help="How many nodes.")
@click.option("--seed", default=None, type=int, help="Chooses faults, nodes and calls; default: a fresh one.")
@click.option("--dir", "folder", default=None, type=click.Path(path_type=Path), help="Work here, and keep it.")
@click.option("--page", default=None, type=click.Path(dir_okay=False, path_type=Path), help="Write the results there.")
@json_option
def nemesis(
    minutes: float, nodes: int, seed: int | None, folder: Path | None, page: Path | None, as_json: bool
) -> None:
    """Inject one fault after the other into a real cluster under load, and judge what callers saw.

    Processes are killed and stopped, links between nodes run through proxies that delay, hold back, refuse and
    break them, a disk fills, clocks are shifted; a quarter of the periods is calm. Exits with 1 when a promise was
    broken or the campaign has shown nothing, 3 when the cluster did not recover.
    """
    import secrets

    from quorate.lab.nemesis.periods import run_campaign

    seed = secrets.randbits(32) if seed is None else seed
    progress(f"{minutes:g} minutes on {nodes} nodes, seed {seed}")
    progress(f"{'period':>6}  {'fault':<26} {'node':<5} {'':<7} {'orders':>7} {'silence':>11} {'recovery':>11}")
    result = conducted(lambda: run_campaign(minutes, nodes, seed, tell, folder))
    if page is not None:
        page.write_text(results_page(result, minutes), encoding="utf-8")
    if as_json:
        print_json(result)
    else:
        for line in [*table(result), "", *account(result)]:
            click.echo(line)
    if not result.passed:
        raise Fail("; ".join([*result.account.wrong(), *result.vacuous]))


def tell(period: Any) -> None:
    """One line for each period."""
    role = "leader" if period.led and period.node else ""
    progress(
        f"{period.number:>6}  {period.fault:<26} {period.node:<5} {role:<7} {period.acknowledged:>7}"
        f" {period.silence_ms:>8.0f} ms {period.recovery_ms:>8.0f} ms"
    )


COLUMNS = ("fault", "periods", "leaders", "evidence", "orders", "silence p50 / worst, ms", "recovery p50 / worst, ms")


def cells(row: Any) -> tuple[str, ...]:
    """One row of the table."""
    silence, recovery = row.silence_ms, row.recovery_ms
    return (
        row.fault, str(row.periods), str(row.leaders), str(row.evidence), f"{row.acknowledged:,}",
        middle_and_worst(silence), middle_and_worst(recovery),
    )  # fmt: skip


def table(result: Any) -> list[str]:
    """The faults, as lines."""
    return aligned([COLUMNS, *(cells(row) for row in result.rows)])


def account(result: Any) -> list[str]:
    """What became of everything, as lines."""
    told = result.account
    verdicts = ", ".join(f"{name}: {verdict} ({told.judged[name]:,} calls)" for name, verdict in told.verdicts.items())
    orders = f"orders acknowledged {told.orders:,} · lost {told.lost} · duplicated {told.duplicated}"
    sums = f"increments {told.increments:,}, each once: {yes(told.counter_agrees)}"
    tables = f"stock agrees: {yes(told.stock_agrees)} · replicas equal: {yes(told.replicas_equal)}"
    lines = [
        f"{orders} · invented {told.invented} · answers lost {told.maybe}, all settled",
        f"{sums} · bank's total kept: {yes(told.bank_agrees)} · {tables}",
        f"linearizable reads {told.reads:,}, went back {told.reads_went_back}",
        f"judges: {verdicts}",
        f"epochs {result.epochs} · changes of leader seen {result.leader_changes} · periods {len(result.periods)}",
    ]
    lines += [f"skipped: {fault}: {why}" for fault, why in result.skipped.items()]
    lines += [f"shown nothing: {why}" for why in result.vacuous]
    return [*lines, f"{'passed' if result.passed else 'FAILED'} in {result.seconds:.0f} s, seed {result.seed}"]


def results_page(result: Any, minutes: float) -> str:
    """The page in docs/, which this command writes."""
    command = (
        f"quorate lab nemesis --minutes {minutes:g} --nodes {result.nodes} --seed {result.seed} --page docs/nemesis.md"
    )
    lines = [
        "# The nemesis on real processes",
        "",
        "Node processes on one machine, five kinds of clients, and one fault after the other; how it is done stands in",
        "`lab/nemesis/`. This page was written by",
        "",
        "```",
        command,
        "```",
        "",
        f"in {result.seconds / 60:.1f} minutes on {result.machine}. The seed chooses faults, nodes and calls; it",
        "does not make two runs alike, for time is real. What it has shown, it has shown for so long on one machine.",
        "",
        *marked([COLUMNS, *(cells(row) for row in result.rows)]),
        "",
        "*Leaders*: how often the leader suffered. *Evidence*: how often there was proof that the fault struck:",
        "processes gone or stopped, pieces held back or delayed, connections broken, a disk without room. *Silence*:",
        "the longest time without an acknowledged order, from the fault's beginning to the recovery from it.",
        "*Recovery*: from the fault's end until a new order was acknowledged and every replica had caught up.",
        "",
        *(f"- {line}" for line in account(result)),
        "",
    ]
    return "\n".join(lines)
