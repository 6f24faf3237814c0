"""`quorate lab mutants`: break our own code in every known way, and see that the laboratory notices."""

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.output import Exit, Fail, json_option, print_json, progress

if TYPE_CHECKING:
    from quorate.lab.mutants.known import Known

Task = tuple[str, bool]
"""A mutant's name, and whether the judges that look inside keep silent."""


def _hunt(name: str, silenced: bool, known: int, seeds: int) -> tuple[int, str]:
    from quorate.lab.mutants import find
    from quorate.lab.mutants.known import hunt

    return hunt(find(name), known, seeds, silenced=silenced)


def _scenario(name: str, silenced: bool) -> str:
    from quorate.lab.mutants import find

    mutant = find(name)
    return (mutant.outer_scenario if silenced else "") or mutant.scenario


def _hunts(tasks: list[Task], known: "dict[str, Known]", seeds: int, jobs: int) -> dict[Task, tuple[int, str]]:
    """Every task and what came of it."""
    from quorate.lab.mutants.known import Known

    found: dict[Task, tuple[int, str]] = {}
    with ProcessPoolExecutor(jobs) as pool:
        futures = []
        for name, silenced in tasks:
            before = known.get(name, Known())
            futures.append(pool.submit(_hunt, name, silenced, before.outer_seed if silenced else before.seed, seeds))
        for task, future in zip(tasks, futures, strict=True):
            found[task] = seed, judge = future.result()
            where = f"seed {seed}" if seed >= 0 else f"{seeds} seeds"
            silence = " (inner judges silenced)" if task[1] else ""
            progress(f"{task[0]}{silence}: {where} of {_scenario(*task)}: {judge}")
    return found


def _learned(known: "dict[str, Known]", found: dict[Task, tuple[int, str]]) -> "dict[str, Known]":
    """What is known now. Of mutants that nobody caught the old seed stays, and the judge's name goes."""
    import msgspec

    from quorate.lab.mutants.known import Known

    known = dict(known)
    for (name, silenced), (seed, judge) in found.items():
        before = known.get(name, Known())
        fields: dict[str, Any] = {"seed": seed, "judge": judge} if seed >= 0 else {"judge": ""}
        if silenced:
            fields = {f"outer_{key}": value for key, value in fields.items()}
        known[name] = msgspec.structs.replace(before, **fields)
    return known


def _write(path: Path, chosen: Iterable[str], known: "dict[str, Known]") -> None:
    """The page, and the known seeds in the source."""
    from quorate.lab.mutants import MUTANTS
    from quorate.lab.mutants.known import dump, page

    names = {mutant.name for mutant in MUTANTS}
    known = {name: each for name, each in known.items() if name in names or name in chosen}
    try:
        path.write_text(page(MUTANTS, known), encoding="utf-8")
        dump(known)
    except OSError as error:
        raise Fail(f"{error.filename} cannot be written: {error.strerror}", Exit.USAGE) from error


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=200, show_default=True, help="How many seeds each may need.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes to run them in.")
@click.option("--only", multiple=True, help="Only this mutant (may be repeated).")
@click.option("--anew", is_flag=True, help="Count seeds from 0 instead of beginning with the one that is known.")
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path),
              help="Write the table to this file, and the known seeds where the tests read them.")  # fmt: skip
@json_option
def mutants(seeds: int, jobs: int, only: tuple[str, ...], anew: bool, write: Path | None, as_json: bool) -> None:
    """Sabotage our own code, one known bug at a time. Ends with 1 when any of them survives."""
    from quorate.lab.mutants import MUTANTS
    from quorate.lab.mutants.known import load

    names = [mutant.name for mutant in MUTANTS]
    if unknown := [name for name in only if name not in names]:
        raise click.BadParameter(f"{unknown[0]}: there are: {', '.join(names)}", param_hint="--only")
    known = load()
    chosen = [mutant for mutant in MUTANTS if not only or mutant.name in only]
    tasks = [(mutant.name, silenced) for mutant in chosen for silenced in ((False, True) if mutant.inner else (False,))]
    found = _hunts(tasks, {} if anew else known, seeds, jobs)
    survivors = sorted({name for (name, _), (seed, _) in found.items() if seed < 0})
    if write is not None:
        _write(write, [mutant.name for mutant in chosen], _learned(known, found))
    if as_json:
        print_json([{"mutant": name, "scenario": _scenario(name, silenced), "seed": seed, "judge": judge,
                     "silenced": silenced} for (name, silenced), (seed, judge) in found.items()])  # fmt: skip
    else:
        click.echo(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants were caught")
    if survivors:
        raise Fail(f"survived {seeds} seeds: {', '.join(survivors)}", Exit.FAILED)
