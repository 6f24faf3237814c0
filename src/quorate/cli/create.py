"""`quorate create`: a new database in a cluster."""

import click

import quorate
from quorate.cli.output import cluster_option, find_cluster, json_option, print_json, progress

_REPLICAS = 3


def usual_replicas(cluster: quorate.Cluster) -> int:
    """How many replicas a database gets when nobody says: three, or as many as there are nodes. Raises Unavailable."""
    members = max(len(report.members) for report in cluster.status())
    return min(_REPLICAS, members or _REPLICAS)


@click.command()
@click.argument("name")
@click.option("--acks", default="majority", show_default=True, help="How many replicas hold a write before it counts.")
@click.option(
    "--failover", default="auto", show_default=True, help="auto, manual or etcd: who decides that another leads."
)
@click.option(
    "--replicas", type=click.IntRange(1), help="How many nodes hold it. Default 3, or all when there are fewer."
)
@click.option("--exists-ok", is_flag=True, help="Succeed when a database of this name exists already.")
@cluster_option
@json_option
def create(
    name: str, acks: str, failover: str, replicas: int | None, exists_ok: bool, cluster: str | None, as_json: bool
) -> None:
    """Create the database NAME."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        if replicas is None:
            replicas = usual_replicas(found)
        found.create(name, acks=acks, failover=failover, replicas=replicas, exists_ok=exists_ok)
    if as_json:
        made = {"database": name, "replication": "single-leader", "acks": acks, "failover": failover}
        print_json(made | {"replicas": replicas})
    else:
        by_hand = "" if failover == "auto" else f", failover {failover}"
        progress(f"created {name}: single-leader, acks {acks}{by_hand}, {replicas} replicas")
