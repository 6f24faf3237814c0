"""`quorate lab`: run the simulator, replay a failing seed, judge a history."""

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quorate.cli.lab.commit import commit
from quorate.cli.lab.diagrams import draw_history, drawn, html_option
from quorate.cli.lab.gossip import gossip
from quorate.cli.lab.handshake import handshake
from quorate.cli.lab.mutants import mutants
from quorate.cli.lab.page import nemesis
from quorate.cli.lab.shrink import replay_file, shrink
from quorate.cli.lab.speed import speed
from quorate.cli.lab.sql import sql
from quorate.cli.lab.table import table
from quorate.cli.lab.timeouts import timeouts
from quorate.cli.lab.twice import twice
from quorate.cli.output import Exit, Fail, Seconds, json_option, print_json, progress

if TYPE_CHECKING:
    from quorate.lab.sim.campaigns.report import Report

CHUNK = 10
MODELS = (
    "register", "cas-register", "text", "mutex", "owned-mutex", "list-append", "rw-register", "bank", "set", "set-full",
    "counter", "unique-ids", "long-fork", "sessions", "read-your-writes", "monotonic-reads", "monotonic-writes",
    "writes-follow-reads", "consistent-prefix", "bounded-staleness", "convergence", "queue", "total-queue",
    "multi-register", "sequential",
)  # fmt: skip


@click.group(short_help="Test on virtual time, and judge histories.")
def lab() -> None:
    """The laboratory: whole clusters on virtual time, and judges of what callers saw."""


lab.add_command(nemesis)


def _scenarios(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    from quorate.lab.sim.scenarios.file import ENDING, NoScenario
    from quorate.lab.sim.scenarios.named import SCENARIOS, dials_of

    if value and value not in SCENARIOS:
        if not value.endswith(ENDING):
            raise click.BadParameter(f"there is no scenario {value!r}; there are: {', '.join(SCENARIOS)}; or FILE.toml")
        try:
            dials_of(value, 0)
        except NoScenario as error:
            raise click.BadParameter(str(error)) from error
    return value


def _cores(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    from quorate.lab.mutants import MUTANTS

    known = ["real", *(mutant.name for mutant in MUTANTS)]
    if value not in known:
        raise click.BadParameter(f"there are: {', '.join(known)}")
    return value


def _simulate(seed: int, scenario: str, core: str, storage: str, *, tail: int = 40) -> "Report":
    from quorate.lab.mutants import MUTANTS
    from quorate.lab.mutants import run as run_mutant
    from quorate.lab.sim.scenarios.named import simulate

    for mutant in MUTANTS:
        if mutant.name == core:
            return run_mutant(mutant, seed, scenario=scenario, storage=storage, tail=tail)
    return simulate(seed, scenario, storage=storage, tail=tail)


def _simulate_some(seeds: range, *how: str) -> "tuple[list[Report], float]":
    """Their reports, and the processor time that they took in this process (seconds)."""
    began = time.process_time()
    return [_simulate(seed, *how) for seed in seeds], time.process_time() - began


def _reports(first: int, count: int, jobs: int, *how: str) -> "Iterator[tuple[Report, float]]":
    """Reports in the order of their seeds, from one or more processes, and the processor time that each took."""
    if jobs == 1:
        for seed in range(first, first + count):
            reports, seconds = _simulate_some(range(seed, seed + 1), *how)
            yield reports[0], seconds
        return
    chunks = [range(start, min(start + CHUNK, first + count)) for start in range(first, first + count, CHUNK)]
    with ProcessPoolExecutor(jobs) as pool:
        futures = [pool.submit(_simulate_some, chunk, *how) for chunk in chunks]
        try:
            for future in futures:
                reports, seconds = future.result()
                for report in reports:
                    yield report, seconds / len(reports)
        finally:
            pool.shutdown(cancel_futures=True)


scenario_option = click.option(
    "--scenario", default="mixed", show_default=True, callback=_scenarios, help="Which mix of faults and load."
)
storage_option = click.option(
    "--storage", type=click.Choice(["model", "sqlite", "files"]), default=None,
    help="What keeps the data. Default: SQLite for every fourth seed and where a mutant needs it, else the model.",
)  # fmt: skip
core_option = click.option(
    "--core", default="real", show_default=True, callback=_cores, help="The real node, or a mutant: a sabotaged one."
)


def _exercised(marks: dict[str, int]) -> str:
    """What the seeds have seen, in a line: how operations ended, and every fault that struck."""
    from quorate.lab.sim.faults.registry import FAULTS

    marks_of_faults = (fault.mark for fault in FAULTS if fault.expected)
    names = dict.fromkeys(("ok", "failed", "unsure", "elections", *marks_of_faults))
    return ", ".join(f"{name} {marks[name]:,}" for name in names if marks.get(name))


@lab.command()
@click.argument("given", metavar="[SCENARIO]", default="", callback=_scenarios)
@click.option("--seeds", type=click.IntRange(1), default=100, show_default=True, help="How many seeds to run.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="The first seed.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes to run them in.")
@click.option("--keep-going", is_flag=True, help="Do not stop at the first seed that fails.")
@scenario_option
@core_option
@storage_option
@json_option
def run(
    given: str,
    seeds: int,
    first: int,
    jobs: int,
    keep_going: bool,
    scenario: str,
    core: str,
    storage: str | None,
    as_json: bool,
) -> None:
    """Run many seeds of one SCENARIO: a name, or a file FILE.toml. Ends with 1 when any of them breaks a promise, or
    when they prove too little."""
    from quorate.lab.sim.scenarios.named import dials_of
    from quorate.lab.sim.scenarios.purpose import Evidence

    scenario = given or scenario
    failed: list[Report] = []
    evidence = Evidence(scenario)
    steps = virtual_us = done = 0
    busy_s, began = 0.0, time.perf_counter()
    for report, seconds in _reports(first, seeds, jobs, scenario, core, storage or ""):
        done += 1
        busy_s += seconds
        steps += report.steps
        virtual_us += report.virtual_us
        evidence.add(report, dials_of(scenario, report.seed))
        if not report.ok:
            failed.append(report)
            for text in report.lines():
                progress(text)
            progress(f"commit {commit()}")
            if not keep_going:
                break
        elif done % 50 == 0:
            rate = done / (time.perf_counter() - began)
            progress(f"{done} of {seeds} seeds, {len(failed)} failed, {rate:.1f} seeds a second")
    missing = evidence.missing() if core == "real" and not failed else []
    summary: dict[str, Any] = {
        "scenario": scenario, "seeds": done, "failed": [report.seed for report in failed], "steps": steps,
        "virtual_s": virtual_us // 1_000_000, "events_per_s": round(steps / max(busy_s, 1e-9)),
        "missing": missing, "marks": dict(sorted(evidence.marks.items())),
    }  # fmt: skip
    if as_json:
        print_json(summary)
    else:
        progress(f"{done} seeds of {scenario}, {steps:,} events, {virtual_us // 1_000_000:,} virtual seconds")
        rate, took = done / (time.perf_counter() - began), summary["events_per_s"]
        progress(f"{rate:.1f} seeds a second, {took:,} events for each second of processor time")
        progress(f"exercised: {_exercised(evidence.marks)}")
        for text in missing:
            progress(text)
        click.echo("no promise was broken" if not failed else f"{len(failed)} seeds broke a promise")
    if failed:
        raise Fail(f"seed {failed[0].seed}: {failed[0].judge} is broken", Exit.FAILED)
    if missing:
        raise Fail(f"these seeds prove too little: {missing[0]}", Exit.FAILED)


@lab.command()
@click.argument("seed")
@click.option("--lines", type=click.IntRange(0, 400), default=40, show_default=True, help="Last steps to show.")
@scenario_option
@core_option
@storage_option
@html_option
def replay(seed: str, lines: int, scenario: str, core: str, storage: str | None, html: Path | None) -> None:
    """Run SEED again, exactly as before, and show how it went. SEED may be a file that `shrink` wrote."""
    if not seed.removeprefix("-").isdecimal() and not Path(seed).exists():
        raise click.BadParameter(f"{seed!r} is neither a seed nor a file", param_hint="SEED")

    def again() -> "Report":
        if Path(seed).exists():
            return replay_file(Path(seed), lines)
        return _simulate(int(seed), scenario, core, storage or "", tail=lines)

    report = drawn(again, html)
    for text in report.lines():
        click.echo(text)
    if not report.ok:
        click.echo(f"commit {commit()}")
        raise Fail(f"seed {seed}: {report.judge} is broken", Exit.FAILED)


@lab.command(short_help="Judge a recorded history.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--model", type=click.Choice(MODELS), default="register", show_default=True,
              help="What the history is about, or which guarantee is judged.")  # fmt: skip
@click.option("--initial", default=None, help="What a register or counter holds at first, as JSON or EDN.")
@click.option("--steps", type=click.IntRange(1), default=5_000_000, show_default=True, help="The search's budget.")
@click.option("--keyed", is_flag=True, help="Values are pairs [key, value] (registers, texts, locks).")
@click.option("--expect", default="strict-serializable", show_default=True,
              help="What transactions were promised, such as serializable or snapshot-isolation.")  # fmt: skip
@click.option("--total", type=int, default=None, help="What all accounts of a bank add up to.")
@click.option("--allow-negative", is_flag=True, help="Accounts may go below zero.")
@click.option("--allow-stale", is_flag=True, help="Elements of a set may show up late (set-full).")
@click.option("--promise", multiple=True, help="A guarantee that sessions were promised. Default: all four.")
@click.option("--order", type=click.Choice(["auto", "numbers", "inferred"]), default="auto", show_default=True,
              help="Where the order of versions comes from.")  # fmt: skip
@click.option("--versions", type=click.IntRange(0), default=None, help="How many versions a read may miss.")
@click.option("--seconds", type=Seconds(0), default=None, help="How old a read may be.")
@html_option
@json_option
def judge(file: Path, model: str, promise: tuple[str, ...], html: Path | None, as_json: bool, **given: Any) -> None:
    """What does the history in FILE prove? (Jepsen's operations as JSON or EDN, and an etcd log.)

    Ends with 0 when the verdict is ok, 1 when it is broken, 2 when it is unknown or FILE is no such history.
    """
    from quorate.lab.judges.catalogue import Options, judge_text
    from quorate.lab.judges.forms import value_of
    from quorate.lab.judges.history import HistoryError
    from quorate.lab.judges.report import BROKEN, OK, lines, plain

    if given["initial"] is not None:
        given["initial"] = value_of(given["initial"])
    options = Options(**given, promised=promise) if promise else Options(**given)
    try:
        report = judge_text(model, file.read_bytes(), options)
    except HistoryError as error:
        raise Fail(f"{file}: {error}", Exit.USAGE) from error
    draw_history(file.read_bytes(), file, report, html)
    if as_json:
        print_json(plain(report))
    else:
        for text in lines(report):
            click.echo(text)
    if report.verdict != OK:
        raise Fail(f"the verdict is {report.verdict}", Exit.FAILED if report.verdict == BROKEN else Exit.USAGE)


lab.add_command(gossip)
lab.add_command(handshake)
lab.add_command(mutants)
lab.add_command(shrink)
lab.add_command(speed)
lab.add_command(sql)
lab.add_command(table)
lab.add_command(timeouts)
lab.add_command(twice)
