"""`quorate create`: a new database in a cluster."""

from typing import Any

import click

import quorate
from quorate.cli.data.options import option_flags
from quorate.cli.data.target import cluster_url
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
from quorate.client.options import check_options
from quorate.core.options import MULTI_LEADER, SINGLE_LEADER, describe
from quorate.core.replication import REPLICATIONS

_REPLICAS = 3


def usual_replicas(cluster: quorate.Cluster) -> int:
    """How many replicas a database gets when nobody says: three, or as many as there are nodes. Raises Unavailable."""
    members = max(len(report.members) for report in cluster.status())
    return min(_REPLICAS, members or _REPLICAS)


CHOOSE = 'INSERT OR REPLACE INTO quorate_resolvers("table", "column", resolver) VALUES (?, ?, ?)'


def parsed(text: str) -> tuple[str, str, str]:
    """Table, column and resolver. Raises Fail."""
    place, _, resolver = text.partition("=")
    table, _, column = place.rpartition(".")
    if not (table and column and resolver):
        hint = "for example --resolver pages.body=merge:concat; see docs/versions.md"
        raise Fail(f"{text!r} is not TABLE.COLUMN=RESOLVER", Exit.USAGE, hint)
    return table, column, resolver


def _choose(url: str, wanted: list[tuple[str, str, str]]) -> None:
    with quorate.connect(url, lazy=True) as database:
        database.executemany(CHOOSE, wanted)


@click.command()
@click.argument("name")
@click.option("--replication", default=SINGLE_LEADER, show_default=True, help=f"One of {', '.join(REPLICATIONS)}.")
@option_flags(defaults=True)
@click.option(
    "--replicas", type=click.IntRange(1), help="How many nodes hold it. Default 3, or all when there are fewer."
)
@click.option(
    "--resolver",
    "resolvers",
    multiple=True,
    metavar="TABLE.COLUMN=RESOLVER",
    help="With several leaders: how concurrent writes of a column are resolved. Repeatable.",
)
@click.option("--exists-ok", is_flag=True, help="Succeed when a database of this name exists already.")
@cluster_option
@json_option
def create(
    name: str,
    replication: str,
    replicas: int | None,
    exists_ok: bool,
    resolvers: tuple[str, ...],
    cluster: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Create the database NAME.

    With --exists-ok a database that is there already is left as it is; options that it does not have are refused.
    """
    wanted = [parsed(each) for each in resolvers]
    if wanted and replication != MULTI_LEADER:
        raise Fail("only a database of several leaders has resolvers", Exit.USAGE, f"--replication {MULTI_LEADER}")
    asked = {"replication": replication} | options | {"replicas": replicas}
    with quorate.Cluster(find_cluster(cluster)) as found:
        replicas = replicas or usual_replicas(found)
        with usage_errors():
            check_options(replication, options, replicas)
        existed = exists_ok and any(each.name == name for each in found.databases())
        found.create(name, replication=replication, replicas=replicas, exists_ok=exists_ok, **options)
        if wanted:
            _choose(cluster_url(name, cluster), wanted)
        made = next(each for each in found.databases() if each.name == name)
    there = {"replication": made.replication} | made.options | {"replicas": made.replicas}
    told = f"{made.replication}, {describe(made.options)}, {made.replicas} replicas"
    other = [f"{key} {value}" for key, value in asked.items() if value not in (None, there.get(key))]
    if other and existed:
        hint = f"quorate alter {name} changes its options"
        raise Fail(f"{name} exists and is {told}, not {', '.join(other)}; nothing was changed", Exit.REFUSED, hint)
    if as_json:
        print_json(
            {"database": name, "replication": made.replication, "options": made.options, "replicas": made.replicas}
        )
    else:
        progress(f"{name} exists: {told}" if existed else f"created {name}: {told}")
