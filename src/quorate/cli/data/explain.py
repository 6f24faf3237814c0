"""`quorate explain`: what a database promises, in sentences."""

import click
import msgspec

import quorate
from quorate.cli.cluster.status import combine
from quorate.cli.output import cluster_option, find_cluster, json_option, print_json
from quorate.core.options import LEADERLESS, describe


@click.command(short_help="Say what a database promises.")
@click.argument("name", metavar="DATABASE")
@cluster_option
@json_option
def explain(name: str, cluster: str | None, as_json: bool) -> None:
    """Say what DATABASE promises: when a write is committed, how many nodes may be away, what is lost and when."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        said = found.explain(name)
        view = combine({report.name: report for report in found.status()})
    group = next((each for each in view.groups if each.database == name), None)
    voters, learners, change = (group.voters, group.learners, group.change) if group else ((), (), "")
    if as_json:
        placed = {"voters": voters, "learners": learners, "change": change}
        print_json({**msgspec.structs.asdict(said), **placed})
        return
    click.echo(f"{name}: {said.replication}, {describe(said.options)}, {said.replicas} replicas")
    for sentence in said.sentences:
        click.echo(f"- {sentence}")
    if voters:
        members = "replicas" if said.replication == LEADERLESS else "voters"
        click.echo(
            f"- its {members} are {', '.join(voters)}" + (f"; learning: {', '.join(learners)}" if learners else "")
        )
    if change:
        click.echo(f"- its members are being changed: {change}")
