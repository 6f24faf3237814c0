"""`quorate lost`: what failovers of asynchronous databases lost, and applying it again."""

import time
from pathlib import Path
from typing import Any

import click

import quorate
from quorate.cli.data.embedded import FolderLost, is_embedded
from quorate.cli.data.target import embedded_folder
from quorate.cli.output import Exit, Fail, cluster_option, find_cluster, json_option, print_json
from quorate.client.lost import Lost, LostWrite
from quorate.core.statements import BOUND


@click.group(short_help="List, show and replay what asynchronous failovers lost.")
def lost() -> None:
    """What failovers lost of databases with acks = async: list it, look at it, apply it again."""


@lost.command("list", short_help="List what the nodes keep of lost writes.")
@click.argument("database", default="")
@cluster_option
@json_option
def list_(database: str, cluster: str | None, as_json: bool) -> None:
    """List what the nodes keep of lost tails, of DATABASE or of all, and what nobody knows. A path such as ./shop names
    the folder of an embedded database."""
    folder = embedded_folder(database, cluster)
    with _keeper(folder, cluster) as found:
        kept = found.lost("" if folder is not None else database)
    if as_json:
        print_json(kept)
        return
    for line in lines(kept):
        click.echo(line)


def _keeper(folder: Path | None, cluster: str | None) -> quorate.Cluster | FolderLost:
    """Who keeps what was lost: an embedded folder, or the cluster that is meant."""
    return FolderLost(folder) if folder is not None else quorate.Cluster(find_cluster(cluster))


def lines(kept: Lost) -> list[str]:
    """The list for people."""
    told = []
    for write in kept.writes:
        many = "1 write" if write.writes == 1 else f"{write.writes} writes"
        where = ", ".join(write.nodes)
        told.append(f"{write.name}  {write.database}  {moment(write.wall_us)}  {many}  {write.state}  on {where}")
    for group, database, first, last in kept.gaps:
        told.append(f"gap  {database}  entries {first} to {last} of group {group} were lost and could not be read")
    for each in kept.unknown:
        who = each.name or f"node {each.node}"
        what = f"what {who} committed as leader of epoch {each.epoch} from entry {each.first} on"
        told.append(f"unknown  {each.database}  {what}: it has not come back")
    return told or ["nothing is known to be lost"]


def moment(wall_us: int) -> str:
    """A leader's wall clock as text, in UTC."""
    seconds, rest = divmod(wall_us, 1_000_000)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(seconds))}.{rest // 1000:03}Z"


def chosen(kept: Lost, names: tuple[str, ...], database: str) -> list[LostWrite]:
    """The writes of these names; with none, all of the database that were not replayed. Raises Fail."""
    by_name = {write.name: write for write in kept.writes}
    for name in names:
        if name not in by_name:
            raise Fail(f"{name} is not among what is kept", Exit.USAGE, "see quorate lost list")
    if names:
        return [by_name[name] for name in names]
    return [write for write in kept.writes if write.database == database and write.state != "replayed"]


@lost.command(short_help="Show what a lost entry changed.")
@click.argument("name", metavar="ENTRY")
@cluster_option
@json_option
def show(name: str, cluster: str | None, as_json: bool) -> None:
    """Show what ENTRY (as `lost list` names it) changed, row by row, and whose writes it carries. Of an embedded
    database: --cluster with the path of its folder."""
    from quorate.storage.rows.describing import describe
    from quorate.storage.rows.payload import decode_batch, decode_outcome, decode_records

    folder = Path(cluster) if cluster is not None and is_embedded(cluster) else None
    with _keeper(folder, cluster) as found:
        write = chosen(found.lost(), (name,), "")[0]
        batch = decode_batch(found.lost_payload(write))
    changes = describe(batch)
    records = decode_records(bytes(batch.records))
    told = [(token, decode_outcome(outcome)) for token, outcome in records if BOUND not in token]
    if as_json:
        writes = [{"token": token, "outcome": outcome} for token, outcome in told]
        print_json({"entry": write, "changes": changes, "writes": writes})
        return
    click.echo(f"{write.name} of {write.database}, {moment(write.wall_us)}")
    for table, operation, key, values in changes:
        click.echo(f"  {operation} {table} {key}: {values}" if table else f"  {operation} {values}")
    for token, outcome in told:
        click.echo(f"  told {token}: {type(outcome).__name__.lower()}")


@lost.command(short_help="Apply lost writes again.")
@click.argument("database")
@click.argument("names", metavar="[ENTRY]...", nargs=-1)
@cluster_option
@json_option
def replay(database: str, names: tuple[str, ...], cluster: str | None, as_json: bool) -> None:
    """Apply what was lost of DATABASE again, oldest first, or only the entries named. A path such as ./shop names the
    folder of an embedded database.

    What no longer fits (another write changed the row since, or took its key) is left alone and reported. Doing it
    again changes nothing. Ends with 1 when something was left alone.
    """
    told: list[dict[str, Any]] = []
    folder = embedded_folder(database, cluster)
    database = "main" if folder is not None else database
    with _keeper(folder, cluster) as found:
        for write in chosen(found.lost(database), names, database):
            done = found.replay(write)
            told.append({"entry": write.name, "applied": done.applied, "unfit": done.unfit})
            if not as_json:
                click.echo(f"{write.name}: {done.applied} rows applied, {len(done.unfit)} left alone")
                for table, key, why in done.unfit:
                    click.echo(f"  {table} {key}: {why}")
    if as_json:
        print_json({"database": database, "replayed": told})
    elif not told:
        click.echo("nothing is left to replay")
    left = sum(len(each["unfit"]) for each in told)
    if left:
        raise Fail(f"{left} changes were left alone; quorate lost show says what they were")
