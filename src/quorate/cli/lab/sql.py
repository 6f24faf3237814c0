"""`quorate lab sql`: random schemas and statements on plain SQLite, an embedded folder and three replicas."""

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.lab.commit import commit
from quorate.cli.output import Exit, Fail, Seconds, json_option, print_json, progress

if TYPE_CHECKING:
    from quorate.lab.fuzz.run import Report

CHUNK = 5
SAY_EVERY = 200


def _range(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[int, int | None]:
    first, dots, last = value.partition("..")
    if not first.isdecimal() or (dots and last and not last.isdecimal()):
        raise click.BadParameter(f"{value!r} is neither A..B nor A nor A..")
    end = int(last) if last else None if dots else int(first)
    if end is not None and end < int(first):
        raise click.BadParameter(f"{value!r} ends before it begins")
    return int(first), end


def _cores(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    from quorate.lab.mutants import MUTANTS

    if value not in ("real", *(mutant.name for mutant in MUTANTS)):
        raise click.BadParameter(f"there is no mutant {value!r}")
    return value


def _some(seeds: range, core: str) -> "list[Report]":
    from quorate.lab.fuzz.run import run_seed

    with _wrong(core):
        return [run_seed(seed) for seed in seeds]


def _wrong(core: str) -> AbstractContextManager[None]:
    """With this mutant in place, or with none."""
    from quorate.lab.mutants import find, sabotaged

    return nullcontext() if core == "real" else sabotaged(find(core))


def _reports(first: int, last: int | None, seconds: float, jobs: int, core: str) -> "Iterator[Report]":
    """Reports of the seeds from `first` on, until the last or until the time is over."""
    until = time.monotonic() + seconds if seconds else float("inf")
    if jobs == 1:
        for seed in count(first) if last is None else range(first, last + 1):
            yield from _some(range(seed, seed + 1), core)
            if time.monotonic() >= until:
                return
        return
    with ProcessPoolExecutor(jobs) as pool:
        waiting: set[Future[list[Report]]] = set()
        try:
            more = True
            while more or waiting:
                while more and len(waiting) < jobs * 2:
                    end = first + CHUNK if last is None else min(first + CHUNK, last + 1)
                    more = end > first and time.monotonic() < until
                    if more:
                        waiting.add(pool.submit(_some, range(first, end), core))
                        first = end
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield from future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _tell(report: "Report", core: str, *, small: bool) -> None:
    """The seed, what differs, the script, and how to run both again."""
    from quorate.lab.fuzz.script import lines, save
    from quorate.lab.fuzz.shrink import shrink

    seed = report.script.seed
    progress(f"seed {seed}: {report.difference}")
    script = report.script
    if small:
        with _wrong(core):
            script, difference = shrink(script, report.difference)
        progress(f"shrunk: {difference}")
    for text in lines(script):
        progress(text)
    path = Path(f"sql-{seed}.json")
    save(script, path)
    other = "" if core == "real" else f" --core {core}"
    progress(f"again: quorate lab sql --seeds {seed}{other}; commit {commit()}")
    progress(f"the script that is shown: quorate lab sql --script {path}{other}")


@click.command("sql", short_help="Compare SQLite, a folder and replicas on random SQL.")
@click.option("--seconds", type=Seconds(0), default=0, help="Begin no seed after so many seconds.")
@click.option("--seeds", default="", callback=lambda c, p, v: _range(c, p, v) if v else None,
              help="Which seeds: A, A..B or A.. without an end. Default: 0..99, or 0.. with --seconds.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes to run them in.")
@click.option("--keep-going", is_flag=True, help="Do not stop at the first seed that fails.")
@click.option("--shrink/--no-shrink", "small", default=True, help="Make the script of a seed that fails small.")
@click.option("--script", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=None,
              help="Run a script that an earlier run wrote, and nothing else.")  # fmt: skip
@click.option("--core", default="real", show_default=True, callback=_cores, help="The real code, or a mutant.")
@json_option
def sql(
    seconds: float,
    seeds: tuple[int, int | None] | None,
    jobs: int,
    keep_going: bool,
    small: bool,
    script: Path | None,
    core: str,
    as_json: bool,
) -> None:
    """Random schemas and statements on plain SQLite, in an embedded folder and on three replicas: all must say and hold
    the same. Ends with 1 when a seed differs, or when the seeds prove too little."""
    from quorate.lab.fuzz.campaign import Totals

    if script is not None:
        _again(script, core)
        return
    first, last = seeds or (0, None if seconds else 99)
    totals, began = Totals(), time.monotonic()
    for report in _reports(first, last, seconds, jobs, core):
        totals.add(report)
        if report.difference:
            _tell(report, core, small=small)
            if not keep_going:
                break
        if totals.seeds % SAY_EVERY == 0:
            rate = totals.seeds / (time.monotonic() - began)
            progress(f"{totals.seeds:,} seeds, {len(totals.failed)} differ, {rate:.1f} seeds a second")
    missing = totals.missing()
    if as_json:
        print_json(totals.plain())
    else:
        for text in totals.lines():
            click.echo(text)
        click.echo("no seed differs" if not totals.failed else f"{len(totals.failed)} seeds differ")
    if totals.failed:
        raise Fail(f"seed {totals.failed[0]} differs", Exit.FAILED)
    if missing:
        raise Fail(f"these seeds prove too little: never seen to work: {', '.join(missing)}", Exit.FAILED)


def _again(path: Path, core: str) -> None:
    from quorate.lab.fuzz.run import run_script
    from quorate.lab.fuzz.script import lines, load

    try:
        script = load(path)
    except ValueError as error:
        raise Fail(f"{path} is no script: {error}", Exit.USAGE) from error
    with _wrong(core):
        report = run_script(script)
    for text in lines(script):
        click.echo(text)
    if report.difference:
        raise Fail(report.difference, Exit.FAILED)
    click.echo("no difference" if not report.discarded else "discarded: SQLite itself damaged its file")
