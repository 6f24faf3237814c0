"""`quorate databases`: what there is in a cluster."""

import click

import quorate
from quorate.cli.output import aligned, cluster_option, find_cluster, json_option, print_json
from quorate.core.options import describe


@click.command()
@cluster_option
@json_option
def databases(cluster: str | None, as_json: bool) -> None:
    """List the databases of a cluster."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        known = found.databases()
    if as_json:
        print_json(known)
        return
    rows = [("database", "replication", "options", "replicas")]
    rows += [(each.name, each.replication, describe(each.options), str(each.replicas)) for each in known]
    for line in aligned(rows):
        click.echo(line)
