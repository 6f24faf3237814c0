"""`quorate alter`: change a database while it is in use."""

import click

import quorate
from quorate.cli.output import Seconds, cluster_option, find_cluster, json_option, print_json, progress, usage_errors
from quorate.client.pieces import check_change


@click.command(short_help="Change a database's acks or failover while it is in use.")
@click.argument("name", metavar="DATABASE")
@click.option("--acks", help="async, semi-sync:K, sync or majority: who must hold a write.")
@click.option("--failover", help="auto, manual or etcd: who decides that another node leads.")
@click.option("--timeout", type=Seconds(0.1), default=10.0, show_default=True, help="Seconds to wait.")
@cluster_option
@json_option
def alter(
    name: str, acks: str | None, failover: str | None, timeout: float, cluster: str | None, as_json: bool
) -> None:
    """Change what DATABASE asks of a write before it counts, or who decides about its failovers. Returns when the
    change is in force."""
    with usage_errors():
        check_change(acks, failover)
    with quorate.Cluster(find_cluster(cluster)) as found:
        found.alter(name, acks=acks, failover=failover, timeout=timeout)
    changed = {"acks": acks, "failover": failover}
    if as_json:
        print_json({"database": name} | {key: value for key, value in changed.items() if value})
    else:
        told = ", ".join(f"{key} {value}" for key, value in changed.items() if value)
        progress(f"{name}: {told} from here on")
