"""`quorate failover`: another node leads a database from now on."""

import click

import quorate
from quorate.cli.output import cluster_option, find_cluster, json_option, print_json, progress


@click.command()
@click.argument("name", metavar="DATABASE")
@click.option("--to", metavar="NODE", help="Who is to lead, by name. Default: the live follower that has most.")
@click.option("--timeout", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Seconds to wait.")
@cluster_option
@json_option
def failover(name: str, to: str | None, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Let another node lead DATABASE. Writes wait for a moment meanwhile, and none fails.

    Returns when the other leads. If it does not take over in time, the old leader goes on, and the exit code is 4.
    """
    with quorate.Cluster(find_cluster(cluster)) as found:
        report = found.failover(name, to=to, timeout=timeout)
    if as_json:
        print_json(report)
    elif report.leader == report.was:
        progress(f"{name}: {report.leader} leads already (epoch {report.epoch})")
    else:
        progress(f"{name}: {report.leader} leads from here on (epoch {report.epoch}); it was {report.was}")
