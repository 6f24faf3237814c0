"""`quorate create`: a new database in a cluster."""

import click

from quorate.cli.output import cluster_option, find_cluster, json_option, print_json, progress


@click.command()
@click.argument("name")
@click.option("--acks", default="majority", show_default=True, help="How many replicas hold a write before it counts.")
@click.option("--replicas", type=click.IntRange(1), default=3, show_default=True, help="How many nodes hold it.")
@click.option("--exists-ok", is_flag=True, help="Succeed when a database of this name exists already.")
@cluster_option
@json_option
def create(name: str, acks: str, replicas: int, exists_ok: bool, cluster: str | None, as_json: bool) -> None:
    """Create the database NAME."""
    import quorate

    with quorate.Cluster(find_cluster(cluster)) as found:
        found.create(name, acks=acks, replicas=replicas, exists_ok=exists_ok)
    if as_json:
        print_json({"database": name, "replication": "single-leader", "acks": acks, "replicas": replicas})
    else:
        progress(f"created {name}: single-leader, acks {acks}, {replicas} replicas")
