"""`quorate lab`: run the simulator, replay a failing seed, judge a history."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.output import Exit, Fail, json_option, print_json, progress

if TYPE_CHECKING:
    from quorate.lab.sim.report import Report

CORES = ("real", "vote-not-persisted", "acknowledged-before-fsync", "unconfirmed-reads")
CHUNK = 10


@click.group()
def lab() -> None:
    """The laboratory: whole clusters on virtual time, and judges of what callers saw."""


def _scenarios(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    from quorate.lab.sim.scenarios import SCENARIOS

    if value not in SCENARIOS:
        raise click.BadParameter(f"there are: {', '.join(SCENARIOS)}")
    return value


def _simulate(seed: int, scenario: str, core: str, *, tail: int = 40) -> "Report":
    from quorate.core.node import Node
    from quorate.lab.mutants import MUTANTS
    from quorate.lab.sim.scenarios import simulate

    cores: dict[str, type[Node]] = {mutant.name: mutant.core for mutant in MUTANTS}
    return simulate(seed, scenario, cores.get(core, Node), core=core, tail=tail)


def _simulate_some(seeds: range, scenario: str, core: str) -> "list[Report]":
    return [_simulate(seed, scenario, core) for seed in seeds]


def _reports(first: int, count: int, scenario: str, core: str, jobs: int) -> "Iterator[Report]":
    """Reports in the order of their seeds, from one or more processes."""
    if jobs == 1:
        for seed in range(first, first + count):
            yield _simulate(seed, scenario, core)
        return
    chunks = [range(start, min(start + CHUNK, first + count)) for start in range(first, first + count, CHUNK)]
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(_simulate_some, chunk, scenario, core) for chunk in chunks]
        try:
            for future in futures:
                yield from future.result()
        finally:
            pool.shutdown(cancel_futures=True)


scenario_option = click.option(
    "--scenario", default="mixed", show_default=True, callback=_scenarios, help="Which mix of faults and load."
)
core_option = click.option(
    "--core", type=click.Choice(CORES), default="real", show_default=True, help="The real node, or a sabotaged one."
)


@lab.command()
@click.option("--seeds", type=click.IntRange(1), default=100, show_default=True, help="How many seeds to run.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="The first seed.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes to run them in.")
@click.option("--keep-going", is_flag=True, help="Do not stop at the first seed that fails.")
@scenario_option
@core_option
@json_option
def run(seeds: int, first: int, jobs: int, keep_going: bool, scenario: str, core: str, as_json: bool) -> None:
    """Run many seeds of one scenario. Ends with 1 when any of them breaks a promise."""
    failed: list[Report] = []
    marks: dict[str, int] = {}
    steps = virtual_us = done = 0
    for report in _reports(first, seeds, scenario, core, jobs):
        done += 1
        steps += report.steps
        virtual_us += report.virtual_us
        for name, times in report.marks.items():
            marks[name] = marks.get(name, 0) + times
        if not report.ok:
            failed.append(report)
            for text in report.lines():
                progress(text)
            if not keep_going:
                break
        elif done % 50 == 0:
            progress(f"{done} of {seeds} seeds, {len(failed)} failed")
    summary: dict[str, Any] = {
        "scenario": scenario, "seeds": done, "failed": [report.seed for report in failed], "steps": steps,
        "virtual_s": virtual_us // 1_000_000, "marks": dict(sorted(marks.items())),
    }  # fmt: skip
    if as_json:
        print_json(summary)
    else:
        progress(f"{done} seeds of {scenario}, {steps:,} steps, {virtual_us // 1_000_000:,} virtual seconds")
        click.echo("no promise was broken" if not failed else f"{len(failed)} seeds broke a promise")
    if failed:
        raise Fail(f"seed {failed[0].seed}: {failed[0].judge} is broken", Exit.FAILED)


@lab.command()
@click.argument("seed", type=int)
@click.option("--lines", type=click.IntRange(0, 400), default=40, show_default=True, help="Last steps to show.")
@scenario_option
@core_option
def replay(seed: int, lines: int, scenario: str, core: str) -> None:
    """Run SEED again, exactly as before, and show how it went."""
    report = _simulate(seed, scenario, core, tail=lines)
    for text in report.lines():
        click.echo(text)
    if not report.ok:
        raise Fail(f"seed {seed}: {report.judge} is broken", Exit.FAILED)


@lab.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", type=click.Choice(["register", "text"]), default="register", show_default=True,
              help="What the history is about.")  # fmt: skip
@click.option("--initial", type=int, default=None, help="What a register holds before the first write.")
@click.option("--steps", type=click.IntRange(1), default=5_000_000, show_default=True, help="The search's budget.")
@json_option
def judge(file: Path, model: str, initial: int | None, steps: int, as_json: bool) -> None:
    """Is the history in FILE linearizable? (JSON events in Jepsen's form, and two other projects' logs.)"""
    from quorate.lab.judges.foreign import read_any
    from quorate.lab.judges.history import HistoryError
    from quorate.lab.judges.linearizability import OK, Budget, describe
    from quorate.lab.judges.linearizability import judge as judge_history
    from quorate.lab.judges.models import Model, Register, Text

    chosen: Model = Register(initial) if model == "register" else Text()
    try:
        history = read_any(file.read_bytes())
        verdict = judge_history(history, chosen, Budget(steps))
    except (HistoryError, UnicodeDecodeError) as error:
        raise Fail(f"{file}: {error}", Exit.USAGE) from error
    if as_json:
        print_json(
            {"verdict": verdict.verdict, "key": verdict.key, "operations": len(history), "reason": verdict.reason}
        )
    else:
        for text in describe(verdict):
            click.echo(text)
    if verdict.verdict != OK:
        raise Fail(f"the verdict is {verdict.verdict}", Exit.FAILED)
