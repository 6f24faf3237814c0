"""`quorate explain`: what a database promises, in sentences."""

import click

import quorate
from quorate.cli.output import cluster_option, find_cluster, json_option, print_json


@click.command()
@click.argument("name", metavar="DATABASE")
@cluster_option
@json_option
def explain(name: str, cluster: str | None, as_json: bool) -> None:
    """Say what DATABASE promises: when a write counts, how many nodes may be away, what is lost and when."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        said = found.explain(name)
    if as_json:
        print_json(said)
        return
    click.echo(f"{name}: {said.replication}, acks {said.acks}, failover {said.failover}, {said.replicas} replicas")
    for sentence in said.sentences:
        click.echo(f"- {sentence}")
