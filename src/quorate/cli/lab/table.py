"""`quorate lab table`: every kind of fault against every replication that exists, as one page."""

import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.lab.commit import commit
from quorate.cli.output import Exit, Fail, progress

if TYPE_CHECKING:
    from quorate.lab.sim.campaigns.table import Cell, Cells

Task = tuple[str, str, list[int]]
"""Names of row and mode, and seeds."""


def _cell(task: Task, code: str) -> "Cell":
    from quorate.lab.sim.campaigns.table import cell_of, listed

    row, mode = listed(task[:1], task[1:2])[0]
    return cell_of(row, mode, task[2], code)


def _tasks(faults: tuple[str, ...], modes: tuple[str, ...], seeds: int, cells: "Cells") -> list[Task]:
    """What is still to be run."""
    from quorate.lab.sim.campaigns.table import CHUNK, listed

    tasks: list[Task] = []
    for row, mode in listed(faults, modes):
        known = cells.get((row.name, mode.name))
        left = [seed for seed in range(seeds) if known is None or seed not in known.seeds]
        tasks += [(row.name, mode.name, left[start : start + CHUNK]) for start in range(0, len(left), CHUNK)]
    return tasks


def _run(tasks: list[Task], jobs: int, cells: "Cells", keep: Path | None) -> None:
    """Run them, and keep what each came to as soon as it is there."""
    from quorate.lab.sim.campaigns.table import dump, merge

    began, done, left = time.monotonic(), 0, sum(len(task[2]) for task in tasks)
    code = commit()
    with ProcessPoolExecutor(jobs) as pool:
        waiting: set[Future[Cell]] = {pool.submit(_cell, task, code) for task in tasks}
        while waiting:
            ready, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for cell in [future.result() for future in ready]:
                merge(cells, cell)
                if keep is not None:
                    with keep.open("ab") as file:
                        file.write(dump(cell))
                done, left = done + len(cell.seeds), left - len(cell.seeds)
                rest = f"{done} seeds, {left / done * (time.monotonic() - began) / 60:.0f} minutes to go"
                progress(f"{cell.row} | {cell.mode}: {cell.text()} ({rest})")


def _names(given: tuple[str, ...], known: list[str], option: str) -> None:
    if unknown := [name for name in given if name not in known]:
        raise click.BadParameter(f"{unknown[0]!r}: there are: {'; '.join(known)}", param_hint=option)


def _kept(keep: Path | None) -> "Cells":
    import msgspec

    from quorate.lab.sim.campaigns.table import load

    if keep is None or not keep.exists():
        return {}
    try:
        return load(keep.read_bytes().splitlines())
    except (OSError, msgspec.MsgspecError) as error:
        raise Fail(
            f"{keep} is no file of results that `quorate lab table --keep` wrote: {error}", Exit.USAGE
        ) from error


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=30, show_default=True, help="Seeds for each cell.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes to run them in.")
@click.option("--mode", "modes", multiple=True, help="Only this column (may be repeated).")
@click.option("--fault", "faults", multiple=True, help="Only this row (may be repeated).")
@click.option("--keep", type=click.Path(dir_okay=False, path_type=Path),
              help="Add results to this file as they come; what it has is not run again.")  # fmt: skip
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="Write the page to this file.")
def table(
    seeds: int, jobs: int, modes: tuple[str, ...], faults: tuple[str, ...], keep: Path | None, write: Path | None
) -> None:
    """Run the table of faults. Ends with 1 when any promise is broken.

    A long campaign can be run in parts, or be stopped: each run with --keep FILE goes on where FILE ends, and --write
    makes the page of everything in it. Files of several machines are simply put together.
    """
    from quorate.lab.sim.campaigns.table import MODES, ROWS, violations
    from quorate.lab.sim.campaigns.table_page import page

    _names(modes, [mode.name for mode in MODES], "--mode")
    _names(faults, [row.name for row in ROWS], "--fault")
    cells = _kept(keep)
    tasks = _tasks(faults, modes, seeds, cells)
    if not tasks and not cells:
        raise Fail("these rows make no sense in these columns", Exit.USAGE)
    _run(tasks, jobs, cells, keep)
    command = f"quorate lab table --seeds {seeds}" + "".join(f" --mode {name!r}" for name in modes)
    command += "".join(f" --fault {name!r}" for name in faults)
    if len({len(cell.seeds) for cell in cells.values()}) > 1:  # of a campaign in parts; each column says how many
        command = "quorate lab table --seeds ... --mode ... --keep FILE"
    if write is not None:
        write.write_text(page(cells, f"{command} --write {write.as_posix()}"), encoding="utf-8")
    broken = violations(cells)
    for text in broken:
        click.echo(text)
    if broken:
        raise Fail(f"{len(broken)} violations", Exit.FAILED)
    click.echo(f"{sum(len(cell.seeds) for cell in cells.values())} seeds, no promise was broken")
