"""`quorate audit`: who changed what of a cluster."""

import datetime as dt
from typing import Any

import click
import msgspec

import quorate
from quorate.cli.output import aligned, cluster_option, find_cluster, json_option, print_json


@click.command()
@click.option("--after", type=click.IntRange(0), default=0, help="Only what was recorded behind this number.")
@cluster_option
@json_option
def audit(after: int, cluster: str | None, as_json: bool) -> None:
    """Show who changed what of the cluster.

    Oldest first, with the time and the address. The record begins with the first user.
    """
    changes: list[Any] = []
    with quorate.Cluster(find_cluster(cluster)) as found:
        while page := found.users.audit(after=after):
            changes += page
            after = page[-1].number
    if as_json:
        print_json(changes)
        return
    rows = [("number", "time", "who", "from", "what")]
    for each in changes:
        when = dt.datetime.fromtimestamp(each.at, dt.UTC).isoformat(timespec="seconds")
        what = msgspec.json.encode(each.what).decode()
        rows.append((str(each.number), when, each.who or "-", each.origin or "-", what))
    for line in aligned(rows):
        click.echo(line)
