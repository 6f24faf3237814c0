"""`quorate member`: who belongs to the cluster, and changing that while it runs."""

from typing import Any

import click

import quorate
from quorate.cli.output import (
    Seconds,
    aligned,
    cluster_folder,
    cluster_option,
    find_cluster,
    json_option,
    print_json,
    progress,
)
from quorate.client.membership import find
from quorate.runtime.founding import forget, read_cluster_file


@click.group(short_help="List, add, remove and replace nodes.")
def member() -> None:
    """List, add, remove and replace the nodes of a cluster, while it is in use."""


def _timeout(command: Any) -> Any:
    seconds = Seconds(0.1)
    return click.option("--timeout", type=seconds, default=60.0, show_default=True, help="Seconds to wait.")(command)


@member.command("list")
@cluster_option
@json_option
def list_(cluster: str | None, as_json: bool) -> None:
    """Show every member, whether it can be heard, and what it holds."""
    with quorate.Cluster(find_cluster(cluster)) as found:
        members = found.members()
    if as_json:
        print_json(members)
        return
    rows = [("node", "address", "state", "catalog", "databases")]
    for each in members:
        held = ", ".join([*each.databases, *(f"{name} (learning)" for name in each.learning)])
        rows.append((each.name, each.address, "up" if each.alive else "away", each.catalog, held))
    for line in aligned(rows):
        click.echo(line)


@member.command()
@click.argument("address", metavar="HOST:PORT")
@click.option("--database", "databases", metavar="NAME", multiple=True, help="Give it a replica of NAME; repeat it.")
@_timeout
@cluster_option
@json_option
def add(address: str, databases: tuple[str, ...], timeout: float, cluster: str | None, as_json: bool) -> None:
    """Take in the node that runs at HOST:PORT. Make its folder with `quorate init --join`, and start it first.

    Returns when it has caught up. Databases that are created later are placed on it as on the others.
    """
    with quorate.Cluster(find_cluster(cluster)) as found:
        new = found.add_member(address, databases=databases, timeout=timeout)
    if as_json:
        print_json(new)
    else:
        progress(f"{new.name} is a member" + (f" and votes in {', '.join(new.databases)}" if new.databases else ""))


@member.command()
@click.argument("name", metavar="NODE")
@_timeout
@cluster_option
@json_option
def remove(name: str, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Take NODE out for good, dead or alive. Returns when no database needs it any more: then stop it.

    Its replicas go to members that have none of that database; where there are none, the database has one less.
    """
    with quorate.Cluster(find_cluster(cluster)) as found:
        old = find(found.members(), name)
        found.remove_member(name, timeout=timeout)
    if as_json:
        print_json({"removed": old.name})
    else:
        progress(f"{old.name} is out; {_what_is_left(old.name, cluster)}")
    _strike(old.name, cluster)


@member.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@_timeout
@cluster_option
@json_option
def replace(old: str, new: str, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Put NEW in the place of OLD, which may be dead. NEW is a member, or the address of a node to be taken in first.

    NEW fetches everything that OLD had before anything changes; then each database goes over in one step.
    """
    with quorate.Cluster(find_cluster(cluster)) as found:
        gone = find(found.members(), old)
        fresh = found.replace_member(old, new, timeout=timeout)
    if as_json:
        print_json({"removed": gone.name, "member": fresh})
    else:
        left = _what_is_left(gone.name, cluster)
        progress(f"{fresh.name} has the place of {gone.name}, which is out; {left}")
    _strike(gone.name, cluster)


def _what_is_left(name: str, cluster: str | None) -> str:
    """What is left to do about a node that is out."""
    folder = cluster_folder(cluster)
    place = next((each for each in read_cluster_file(folder).nodes if each.name == name), None) if folder else None
    pid = f" (pid {place.pid})" if place is not None and place.pid else ""
    return f"stop it{pid}, and delete its folder"


def _strike(name: str, cluster: str | None) -> None:
    """`quorate up` starts what stands in cluster.json."""
    folder = cluster_folder(cluster)
    if folder is not None:
        forget(folder, name)
