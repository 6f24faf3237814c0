"""`quorate adopt`: go on with a data file as it is, where no other node could give a copy."""

import sys
from pathlib import Path

import click

from quorate.cli.output import Exit, Fail, json_option, print_json
from quorate.runtime.embedded.adopting import adopt_folder, losses_of
from quorate.storage.data.adopting import Loss
from quorate.storage.folder import is_node


@click.command(short_help="Go on with a data file as it is.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--database", default="", help="Only this one, where the data files of several cannot be used.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@json_option
def adopt(folder: Path, database: str, yes: bool, as_json: bool) -> None:
    """Accept the data files in FOLDER as they are, when they cannot be brought to the end of the log, or somebody
    changed them.

    For an embedded database, or a cluster of one node that is stopped. Says first what is lost; the entries that are
    dropped are kept, and quorate lost list FOLDER shows them.
    """
    if not is_node(folder):
        raise Fail(f"no node lives in {folder}", Exit.USAGE, "name the folder of an embedded database")
    losses = [each for each in losses_of(folder) if database in ("", each.database)]
    if not losses:
        if as_json:
            print_json({"folder": str(folder), "adopted": []})
        else:
            click.echo(f"nothing to adopt: every data file in {folder} is as its log says")
        return
    if not as_json:
        for loss in losses:
            _show(loss)
    if any(loss.refused for loss in losses):
        raise Fail("nothing was adopted", Exit.REFUSED, "restore the file from a copy, or name another --database")
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise Fail("nothing was adopted", Exit.USAGE, "say --yes if that is what you want")
        click.confirm("Go on with that?", abort=True)
    done = adopt_folder(folder, database)
    if as_json:
        print_json({"folder": str(folder), "adopted": done})
        return
    for loss in done:
        click.echo(f"{loss.database}: adopted")


def _show(loss: Loss) -> None:
    click.echo(f"{loss.database}: {loss.reason}")
    click.echo(f"  {loss.text}")
