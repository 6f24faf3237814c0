"""`quorate nemesis`: the failover campaign on real processes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from quorate.cli.output import Exit, Fail, json_option, print_json, progress

T = TypeVar("T")


@click.command(short_help="Inject faults into a local cluster under load.")
@click.option("--rounds", default=50, show_default=True, type=click.IntRange(1), help="How many faults.")
@click.option("--transfers", type=click.IntRange(1), help="Inject no faults: hand leadership over, so many times.")
@click.option("--replacements", type=click.IntRange(1), help="Put new nodes in the place of others, so many times.")
@click.option("--etcd-outages", type=click.IntRange(1), help="With failover = etcd: so many rounds in which etcd goes.")
@click.option("--tls", is_flag=True, help="Encrypt everything; for the campaign of faults.")
@click.option("--nodes", default=3, show_default=True, type=click.IntRange(3), help="How many nodes.")
@click.option("--seed", default=None, type=int, help="Chooses nodes, faults and orders; default: a fresh one.")
@click.option("--dir", "folder", default=None, type=click.Path(path_type=Path), help="Work here, and keep it.")
@click.option("--page", default=None, type=click.Path(dir_okay=False, path_type=Path), help="Write the results there.")
@json_option
def nemesis(
    rounds: int,
    transfers: int | None,
    replacements: int | None,
    etcd_outages: int | None,
    tls: bool,
    nodes: int,
    seed: int | None,
    folder: Path | None,
    page: Path | None,
    as_json: bool,
) -> None:
    """Inject faults into a cluster under load, again and again, and measure what they cost.

    Each round sends `kill -9` or SIGSTOP to a node of a local cluster, the leader more often than not, and
    measures the time to the first new acknowledged write. At the end every acknowledged write must be there
    once, on every replica. Exits with 1 when anything is missing, 3 when the cluster did not recover.

    With --transfers there are no faults: leadership is handed to another node each round, and no request may end in an
    error. With --replacements a node goes for good each round, and a new one with an empty folder takes its place. With
    --etcd-outages an etcd, which must be installed, is killed and stopped, and leaders with and without it.
    """
    import secrets

    from quorate.lab.nemesis.campaign import run_campaign

    if sum(each is not None for each in (transfers, replacements, etcd_outages)) > 1:
        raise Fail("give one of --transfers, --replacements and --etcd-outages", Exit.USAGE)
    if page is not None and replacements is None and etcd_outages is None:
        raise Fail("--page is for --replacements and --etcd-outages", Exit.USAGE)
    if tls and any(each is not None for each in (transfers, replacements, etcd_outages)):
        raise Fail("--tls is for the campaign of faults", Exit.USAGE)
    seed = secrets.randbits(32) if seed is None else seed
    if replacements or etcd_outages:
        from quorate.cli.lab.nemesis_outages import replace, take_etcd

        if replacements:
            replace(replacements, nodes, seed, folder, page, as_json=as_json)
        elif etcd_outages:
            take_etcd(etcd_outages, nodes, seed, folder, page, as_json=as_json)
        return
    if transfers:
        hand_about(transfers, nodes, seed, folder, as_json)
        return
    progress(f"{rounds} rounds on {nodes} nodes, seed {seed}")
    progress(f"{'round':>5}  {'fault':<8} {'node':<5} {'':<7} {'first write':>11} {'caught up':>11}")
    report = conducted(lambda: run_campaign(rounds, nodes, seed, tell, folder, tls=tls))
    if as_json:
        print_json(report)
    else:
        for line in summary(report):
            click.echo(line)
    if not report.passed:
        raise Fail("a promise was broken: see above")


def conducted(campaign: Callable[[], T]) -> T:
    """What a campaign came to. Raises Fail when it cannot go on."""
    from quorate.errors import Error
    from quorate.lab.nemesis.trial import TrialFailed
    from quorate.runtime.cluster import NotReady

    try:
        return campaign()
    except (TrialFailed, NotReady, Error) as error:
        raise Fail(f"the campaign cannot go on: {error}", Exit.UNAVAILABLE) from error


def hand_about(count: int, nodes: int, seed: int, folder: Path | None, as_json: bool) -> None:
    """The campaign of planned transfers."""
    from quorate.lab.nemesis.transfers import run_transfers

    progress(f"{count} transfers between {nodes} nodes, seed {seed}")
    progress(f"{'round':>5}  {'to':<5} {'took':>11} {'longest silence':>17}")

    def tell_transfer(done: Any) -> None:
        progress(f"{done.number:>5}  {done.node:<5} {done.catch_up_ms:>8.0f} ms {done.first_write_ms:>14.0f} ms")

    report = conducted(lambda: run_transfers(count, nodes, seed, tell_transfer, folder))
    if as_json:
        print_json(report)
    else:
        click.echo(times(f"transfers, {report.transfers}", report.took_ms))
        click.echo(times("  longest silence of orders", report.silence_ms))
        click.echo(f"requests that failed {report.failed_requests}")
        for line in account(report.account):
            click.echo(line)
    if not report.passed:
        raise Fail("a promise was broken: see above")


def tell(done: Any) -> None:
    """One line for each round."""
    role = "leader" if done.led else ""
    progress(
        f"{done.number:>5}  {done.fault:<8} {done.node:<5} {role:<7} {done.first_write_ms:>8.0f} ms"
        f" {done.catch_up_ms:>8.0f} ms"
    )


def times(name: str, spread: Any) -> str:
    """Measured times, as a line."""
    return f"{name:<28} p50 {spread.p50:.0f} ms · p99 {spread.p99:.0f} ms · worst {spread.worst:.0f} ms"


def middle_and_worst(spread: Any) -> str:
    """Measured times, as a cell of a table; empty where nothing was measured."""
    return f"{spread.p50:,.0f} / {spread.worst:,.0f}" if spread.count else ""


def summary(report: Any) -> list[str]:
    """The failover campaign, as lines."""
    return [
        times(f"first write, {len(report.rounds)} rounds", report.first_write_ms),
        times(f"  of them leaders, {report.first_write_after_leader_ms.count}", report.first_write_after_leader_ms),
        *account(report),
    ]


def account(report: Any) -> list[str]:
    """What became of every order, read and register, as lines."""
    orders = f"acknowledged {report.acknowledged} · lost {report.lost} · duplicated {report.duplicated}"
    reads = f"linearizable reads {report.reads}, went back {report.reads_went_back}"
    return [
        f"{orders} · invented {report.invented} · maybe {report.maybe}, all settled",
        f"stock agrees: {yes(report.stock_agrees)} · replicas equal: {yes(report.replicas_equal)}",
        f"{reads} · registers: {report.register_operations} operations, {report.registers}",
        f"{'passed' if report.passed else 'FAILED'} in {report.seconds:.0f} s, seed {report.seed}",
    ]


def yes(value: bool) -> str:
    return "yes" if value else "NO"
