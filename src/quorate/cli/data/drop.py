"""`quorate drop`: delete a database of a cluster."""

import sys

import click

import quorate
from quorate.cli.data.target import folder_of
from quorate.cli.output import Exit, Fail, Seconds, cluster_option, find_cluster, json_option, print_json, progress


@click.command(short_help="Delete a database, with all that is in it.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--if-exists", is_flag=True, help="Succeed when there is no database of this name.")
@click.option("--timeout", type=Seconds(0.1), default=10.0, show_default=True, help="Seconds to wait.")
@cluster_option
@json_option
def drop(name: str, yes: bool, if_exists: bool, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Delete the database NAME of a cluster, with all that is in it.

    Returns when nothing can be read from it or written to it any more. Nodes that are away delete their files when they
    come back. The name can be used again.
    """
    folder = folder_of(name, cluster)
    if folder is not None:
        hint = f"close it everywhere, then delete the folder {folder}"
        raise Fail(f"{name} is the folder of an embedded database, which is one database", Exit.REFUSED, hint)
    with quorate.Cluster(find_cluster(cluster)) as found:
        there = any(each.name == name for each in found.databases(timeout=timeout))
        if there and not yes:
            if as_json or not sys.stdin.isatty():
                raise Fail("nothing was dropped", Exit.USAGE, "say --yes if that is what you want")
            click.confirm(f"Delete {name} and all that is in it?", abort=True)
        found.drop(name, if_exists=if_exists, timeout=timeout)
    if as_json:
        print_json({"database": name, "dropped": there})
    else:
        progress(f"dropped {name}" if there else f"there is no database {name}")
