"""`quorate failover`: another node leads a database from now on."""

import click

import quorate
from quorate.cli.output import Seconds, cluster_option, find_cluster, json_option, print_json, progress


@click.command()
@click.argument("name", metavar="DATABASE")
@click.option("--to", metavar="NODE", help="Who is to lead, by name. Default: the live one that has most.")
@click.option(
    "--accept-loss", is_flag=True, help="Where nobody leads: a majority of votes is enough, though writes may be lost."
)
@click.option("--timeout", type=Seconds(0.1), default=10.0, show_default=True, help="Seconds to wait.")
@cluster_option
@json_option
def failover(name: str, to: str | None, accept_loss: bool, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Let another node lead DATABASE. Where one leads, writes wait for a moment meanwhile, and none fails; where nobody
    does, the node stands for election.

    Returns when the other leads. If it cannot, the old leader goes on, and the exit code is 4; with 5 it was told to
    and has not in time, and may still: `quorate status` shows who leads.
    --accept-loss elects it without those who may have had more; `quorate lost list` says what is lost.
    """
    with quorate.Cluster(find_cluster(cluster)) as found:
        report = found.failover(name, to=to, accept_loss=accept_loss, timeout=timeout)
    if as_json:
        print_json(report)
    elif report.leader == report.was:
        progress(f"{name}: {report.leader} leads already (epoch {report.epoch})")
    else:
        before = f"it was {report.was}" if report.was else "nobody did"
        progress(f"{name}: {report.leader} leads from here on (epoch {report.epoch}); {before}")
