"""`quorate alter`: change a database while it is in use."""

import click

import quorate
from quorate.cli.output import cluster_option, find_cluster, json_option, print_json, progress


@click.command()
@click.argument("name", metavar="DATABASE")
@click.option("--acks", required=True, help="async, semi-sync:K, sync or majority: who must hold a write.")
@click.option("--timeout", type=click.FloatRange(0.1), default=10.0, show_default=True, help="Seconds to wait.")
@cluster_option
@json_option
def alter(name: str, acks: str, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Change what DATABASE asks of a write before it counts. Returns when the new rule is in force."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        found.alter(name, acks=acks, timeout=timeout)
    if as_json:
        print_json({"database": name, "acks": acks})
    else:
        progress(f"{name}: acks {acks} from here on")
