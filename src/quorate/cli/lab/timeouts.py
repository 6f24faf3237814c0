"""`quorate lab timeouts`: what times that are too short and too long do, beside those that are measured."""

from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import click

from quorate.cli.output import progress

if TYPE_CHECKING:
    from quorate.lab.sim.campaigns.timeouts import Cell


def _cell(network: str, times: str, seeds: int) -> "Cell":
    from quorate.lab.sim.campaigns.timeouts import NETWORKS, TIMES, cell_of

    return cell_of(next(each for each in NETWORKS if each.name == network), TIMES[times], seeds)


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=3, show_default=True, help="Seeds for each cell.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes to run them in.")
@click.option("--only", multiple=True, help="Only networks whose name begins like this (may be repeated).")
def timeouts(seeds: int, jobs: int, only: tuple[str, ...]) -> None:
    """Sweep networks and time-outs on virtual time, and print a table.

    A cell says: needless elections a minute / the part of that minute in which nothing succeeded for more than a
    second / how long nothing succeeded after the leader was stopped. docs/timeouts.md tells how to read it.
    """
    from quorate.lab.sim.campaigns.timeouts import NETWORKS, TIMES, Cell, lines

    names = [each.name for each in NETWORKS if not only or each.name.startswith(only)]
    if not names:
        raise click.BadParameter(f"there are: {'; '.join(each.name for each in NETWORKS)}", param_hint="--only")
    tasks = [(network, times) for network in names for times in TIMES]
    cells: dict[tuple[str, str], Cell] = {}
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(_cell, *task, seeds) for task in tasks]
        for task, future in zip(tasks, futures, strict=True):
            cells[task] = future.result()
            progress(f"{task[0]} | {task[1]}: {cells[task].text()}")
    for line in lines(cells):
        click.echo(line)
