"""`quorate lab mutants`: break our own code in every known way, and see that the laboratory notices."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.output import Exit, Fail, json_option, print_json, progress

if TYPE_CHECKING:
    from quorate.lab.sim.report import Report

HEAD = """# Mutants

Each of these breaks Quorate's own code in one way, most of them as the code of others was broken before; where no such
case is known, the page says so. Issue and pull request numbers point to reports that were read in part. All die, by
the judge named, at the first seed (counted from 0) of the scenario named. Where a judge that looks inside catches a bug
before it can do any harm, the second line says who catches its consequences when that judge is silenced.

This page is written by `quorate lab mutants --write docs/mutants.md`. One of them is looked at more closely with
`quorate lab replay SEED --scenario SCENARIO --core MUTANT`.

| mutant | what is wrong | where it happened | scenario | seed | caught by |
|---|---|---|---|---|---|
"""


class Found(tuple[str, str, int, str]):
    """(mutant, scenario, seed or -1, judge)"""

    __slots__ = ()


def _hunt(name: str, seeds: int, *, silenced: bool) -> Found:
    from quorate.lab.mutants import MUTANTS, first_caught

    mutant = next(mutant for mutant in MUTANTS if mutant.name == name)
    report: Report | None = first_caught(mutant, 0, seeds, mutant.inner if silenced else ())
    if report is None:
        return Found((name, mutant.scenario, -1, "nobody"))
    return Found((name, mutant.scenario, report.seed, report.judge))


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=200, show_default=True, help="How many seeds each may need.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes to run them in.")
@click.option("--only", multiple=True, help="Only this mutant (may be repeated).")
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="Write the table to this file.")
@json_option
def mutants(seeds: int, jobs: int, only: tuple[str, ...], write: Path | None, as_json: bool) -> None:
    """Sabotage our own code, one known bug at a time. Ends with 1 when any of them survives."""
    from quorate.lab.mutants import MUTANTS

    known = [mutant.name for mutant in MUTANTS]
    if unknown := [name for name in only if name not in known]:
        raise click.BadParameter(f"{unknown[0]}: there are: {', '.join(known)}")
    chosen = [mutant for mutant in MUTANTS if not only or mutant.name in only]
    tasks = [(mutant.name, silenced) for mutant in chosen for silenced in ((False, True) if mutant.inner else (False,))]
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(_hunt, name, seeds, silenced=silenced) for name, silenced in tasks]
        found: dict[tuple[str, bool], Found] = {}
        for task, future in zip(tasks, futures, strict=True):
            found[task] = one = future.result()
            seed = f"seed {one[2]}" if one[2] >= 0 else f"{seeds} seeds"
            progress(f"{one[0]}{' (inner judges silenced)' if task[1] else ''}: {seed} of {one[1]}: {one[3]}")
    survivors = sorted({name for (name, _), one in found.items() if one[2] < 0})
    if write is not None:
        lines = []
        for mutant in chosen:
            one, outer = found[mutant.name, False], found.get((mutant.name, True))
            seed, judge = str(one[2]), one[3]
            if outer is not None:
                seed, judge = f"{seed}<br>{outer[2]}", f"{judge}<br>{outer[3]}"
            lines.append(f"| {mutant.name} | {mutant.bug} | {mutant.where} | {mutant.scenario} | {seed} | {judge} |\n")
        write.write_text(HEAD + "".join(lines), encoding="utf-8")
    if as_json:
        print_json([{"mutant": one[0], "scenario": one[1], "seed": one[2], "judge": one[3], "silenced": silenced}
                    for (_, silenced), one in found.items()])  # fmt: skip
    else:
        click.echo(f"{len(chosen) - len(survivors)} of {len(chosen)} mutants were caught")
    if survivors:
        raise Fail(f"survived {seeds} seeds: {', '.join(survivors)}", Exit.FAILED)
