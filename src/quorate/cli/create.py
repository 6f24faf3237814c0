"""`quorate create`: a new database in a cluster."""

import click

import quorate
from quorate.cli.output import (
    Exit,
    Fail,
    cluster_option,
    find_cluster,
    json_option,
    print_json,
    progress,
    usage_errors,
)
from quorate.client.pieces import check_options

_REPLICAS = 3


def usual_replicas(cluster: quorate.Cluster) -> int:
    """How many replicas a database gets when nobody says: three, or as many as there are nodes. Raises Unavailable."""
    members = max(len(report.members) for report in cluster.status())
    return min(_REPLICAS, members or _REPLICAS)


@click.command()
@click.argument("name")
@click.option("--acks", help="How many replicas hold a write before it counts. Default: majority.")
@click.option("--failover", help="auto, manual or etcd: who decides that another leads. Default: auto.")
@click.option(
    "--replicas", type=click.IntRange(1), help="How many nodes hold it. Default 3, or all when there are fewer."
)
@click.option("--exists-ok", is_flag=True, help="Succeed when a database of this name exists already.")
@cluster_option
@json_option
def create(
    name: str,
    acks: str | None,
    failover: str | None,
    replicas: int | None,
    exists_ok: bool,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Create the database NAME.

    With --exists-ok a database that is there already is left as it is; options that it does not have are refused.
    """
    asked = {"acks": acks, "failover": failover, "replicas": replicas}
    with quorate.Cluster(find_cluster(cluster)) as found:
        replicas = replicas or usual_replicas(found)
        with usage_errors():
            check_options("single-leader", acks or "majority", failover or "auto", replicas)
        existed = exists_ok and any(each.name == name for each in found.databases())
        found.create(name, acks=acks or "majority", failover=failover or "auto", replicas=replicas, exists_ok=exists_ok)
        made = next(each for each in found.databases() if each.name == name)
    there = {"replication": made.replication, "acks": made.acks, "failover": made.failover, "replicas": made.replicas}
    told = ", ".join([made.replication, f"acks {made.acks}", *_by_hand(made.failover), f"{made.replicas} replicas"])
    other = [f"{key} {value}" for key, value in asked.items() if value not in (None, there[key])]
    if other and existed:
        hint = f"quorate alter {name} changes acks and failover"
        raise Fail(f"{name} exists and is {told}, not {', '.join(other)}; nothing was changed", Exit.REFUSED, hint)
    if as_json:
        print_json({"database": name} | there)
    else:
        progress(f"{name} exists: {told}" if existed else f"created {name}: {told}")


def _by_hand(failover: str) -> list[str]:
    return [] if failover == "auto" else [f"failover {failover}"]
