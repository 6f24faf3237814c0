"""`quorate init`: make the folders of a new cluster, or of a node that is to join one."""

from pathlib import Path

import click

import quorate
from quorate.cli.cluster.user import new_password
from quorate.cli.output import Exit, Fail, find_cluster, json_option, print_json, progress
from quorate.client.users_aio import verifier_of
from quorate.core.auth.users import valid_user
from quorate.runtime.config import FILE_NAME, ConfigError, load
from quorate.runtime.founding import found, join, local_members


@click.command(short_help="Make the folders of a new cluster, or of one more node.")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--nodes", type=click.IntRange(1, 64), help="How many nodes, on free ports of this machine. Default 3.")
@click.option("--node", "named", metavar="NAME=HOST:PORT", multiple=True, help="One node and its address; repeat it.")
@click.option("--join", "running", metavar="URL-or-DIR", help="Make one node for this running cluster.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address that --nodes listen on.")
@click.option(
    "--listen",
    "listen",
    metavar="HOST",
    default="",
    help="Where nodes listen, such as 0.0.0.0, if not at their address.",
)
@click.option("--insecure-plaintext", "plaintext", metavar="NETWORKS", help="Networks in which nothing is encrypted.")
@click.option("--name", "prefix", default="n", show_default=True, help="What the names of --nodes begin with.")
@click.option("--admin", metavar="NAME", help="The first user, an admin: everybody has to log in from the beginning.")
@click.option("--password-stdin", "from_stdin", is_flag=True, help="Read the admin's password from standard input.")
@json_option
def init(
    folder: Path,
    nodes: int | None,
    named: tuple[str, ...],
    running: str | None,
    host: str,
    listen: str,
    plaintext: str | None,
    prefix: str,
    admin: str | None,
    from_stdin: bool,
    as_json: bool,
) -> None:
    """Make a new cluster in DIR: a folder with node.toml and node.db for each node, and cluster.json.

    Take each folder to its machine and run `quorate serve --config node.toml` there. All of them together are the
    cluster from its first moment; a folder must never be used in two places.

    With --join: make DIR/NAME for one more node of a running cluster. Start it, then take it in with `quorate member
    add` or `quorate member replace`.
    """
    if named and nodes is not None:
        raise Fail("give either --nodes or --node, not both", Exit.USAGE)
    if running is not None:
        if nodes is not None or len(named) > 1:
            raise Fail("--join makes one node: give at most one --node", Exit.USAGE)
        if admin is not None:
            raise Fail("--admin is for a new cluster: the one that is joined has its users", Exit.USAGE)
        _join(folder, running, _named(named), host, prefix, _options(plaintext), listen, as_json=as_json)
        return
    members = _named(named) if named else local_members(nodes or 3, host, prefix)
    made = found(folder, members, _options(plaintext), listen=listen, admin=_admin(admin, from_stdin=from_stdin))
    for place in made.nodes:
        progress(f"{place.name}: {place.address} in {place.folder}")
    for place in made.nodes:
        _warn(Path(place.folder))
    if as_json:
        print_json(made)
    else:
        progress(f"start each node with: quorate serve --config {folder}/NAME/node.toml")


def _admin(name: str | None, *, from_stdin: bool) -> tuple[str, str] | None:
    """Their name and what is kept of the password. Raises Fail."""
    if name is None:
        return None
    if not valid_user(name):
        hint = "use letters, digits and _ - . @, beginning with a letter or a digit; 63 at most"
        raise Fail(f"{name!r:.80} cannot be the name of a user", Exit.USAGE, hint)
    return name, verifier_of(new_password(name, from_stdin=from_stdin))


def _options(plaintext: str | None) -> dict[str, str]:
    """What goes into each node.toml."""
    return {"insecure_plaintext": plaintext} if plaintext else {}


def _join(
    folder: Path,
    running: str,
    named: dict[str, str],
    host: str,
    prefix: str,
    options: dict[str, str],
    listen: str,
    *,
    as_json: bool,
) -> None:
    """One more node. Its name is the first that is free, unless it was given."""
    with quorate.Cluster(find_cluster(running)) as cluster:
        known = max(cluster.status(), key=lambda report: (not report.removed, report.changes))
    if not named:
        taken = {member.name for member in known.members}
        (address,) = local_members(1, host).values()
        free = (f"{prefix}{number}" for number in range(1, 1 << 16))
        named = {next(name for name in free if name not in taken and not (folder / name).exists()): address}
    ((name, address),) = named.items()
    place = join(folder, name, address, known, options, listen=listen)
    progress(f"{place.name}: {place.address} in {place.folder}")
    _warn(Path(place.folder))
    if as_json:
        print_json(place)
    else:
        progress(f"start it with: quorate serve --config {folder}/{name}/node.toml")
        progress(f"then take it in with: quorate member add {address}")


def _warn(place: Path) -> None:
    """Say at once what `serve` would refuse to start with."""
    try:
        load(place / FILE_NAME, {}, {})
    except ConfigError as error:
        progress(f"Warning: {error}")


def _named(named: tuple[str, ...]) -> dict[str, str]:
    """NAME=HOST:PORT pairs. Raises Fail."""
    members: dict[str, str] = {}
    for each in named:
        name, equals, address = each.partition("=")
        if not equals or name in members:
            raise Fail(f"--node {each}: write NAME=HOST:PORT, each name once", Exit.USAGE)
        members[name] = address
    return members
