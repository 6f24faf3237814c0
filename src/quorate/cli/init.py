"""`quorate init`: make the folders of a new cluster."""

from pathlib import Path

import click

from quorate.cli.output import Exit, Fail, json_option, print_json, progress
from quorate.runtime.config import ConfigError, check_listen
from quorate.runtime.founding import found, local_members


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--nodes", type=click.IntRange(1, 64), help="How many nodes, on free ports of this machine. Default 3.")
@click.option("--node", "named", metavar="NAME=HOST:PORT", multiple=True, help="One node and its address; repeat it.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address that --nodes listen on.")
@click.option("--name", "prefix", default="n", show_default=True, help="What the names of --nodes begin with.")
@json_option
def init(folder: Path, nodes: int | None, named: tuple[str, ...], host: str, prefix: str, as_json: bool) -> None:
    """Found a cluster in DIR: a folder with node.toml and node.db for each node, and cluster.json.

    Take each folder to its machine and run `quorate serve --config node.toml` there. All of them together are the
    cluster from its first moment; a folder must never be used in two places.
    """
    if named and nodes is not None:
        raise Fail("give either --nodes or --node, not both", Exit.USAGE)
    members = _named(named) if named else local_members(nodes or 3, host, prefix)
    made = found(folder, members)
    for place in made.nodes:
        progress(f"{place.name}: {place.address} in {place.folder}")
    try:
        for address in members.values():
            check_listen(address)
    except ConfigError as error:
        progress(f"Warning: {error}")
    if as_json:
        print_json(made)
    else:
        progress(f"start each node with: quorate serve --config {folder}/NAME/node.toml")


def _named(named: tuple[str, ...]) -> dict[str, str]:
    """NAME=HOST:PORT pairs. Raises Fail."""
    members: dict[str, str] = {}
    for each in named:
        name, equals, address = each.partition("=")
        if not equals or name in members:
            raise Fail(f"--node {each}: write NAME=HOST:PORT, each name once", Exit.USAGE)
        members[name] = address
    return members
