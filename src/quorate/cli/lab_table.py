"""`quorate lab table`: every kind of fault against every replication that exists, as one page."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.output import Exit, Fail, progress

if TYPE_CHECKING:
    from quorate.lab.sim.table import Cell


def _cell(name: str, column: str, seeds: int) -> "Cell":
    from quorate.lab.sim.table import COLUMNS, ROWS, cell_of

    row = next(row for row in ROWS if row.name == name)
    return cell_of(row, COLUMNS[column], range(seeds))


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=75, show_default=True, help="Seeds for each cell.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes to run them in.")
@click.option("--only", multiple=True, help="Only this fault (may be repeated).")
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="Write the page to this file.")
def table(seeds: int, jobs: int, only: tuple[str, ...], write: Path | None) -> None:
    """Run the table of faults. Ends with 1 when any promise is broken."""
    from quorate.lab.sim.table import COLUMNS, ROWS, page

    known = [row.name for row in ROWS]
    if unknown := [name for name in only if name not in known]:
        raise click.BadParameter(f"{unknown[0]!r}: there are: {'; '.join(known)}", param_hint="--only")
    tasks = [(name, column) for name in known if not only or name in only for column in COLUMNS]
    cells: dict[tuple[str, str], Cell] = {}
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(_cell, *task, seeds) for task in tasks]
        for task, future in zip(tasks, futures, strict=True):
            cells[task] = future.result()
            progress(f"{task[0]} | {task[1]}: {cells[task].text()}")
    command = f"quorate lab table --seeds {seeds}" + "".join(f" --only {name!r}" for name in only)
    if write is not None:
        write.write_text(page(cells, f"{command} --write {write.as_posix()}"), encoding="utf-8")
    broken = [text for cell in cells.values() for text in cell.violations]
    for text in broken:
        click.echo(text)
    if broken:
        raise Fail(f"{len(broken)} violations", Exit.FAILED)
    click.echo(f"{sum(cell.seeds for cell in cells.values())} seeds, no promise was broken")
