"""`python -m bench run` measures; `python -m bench page` draws the page from a file of results."""

import datetime as dt
import subprocess
import tempfile
from pathlib import Path

import click
from msgspec.structs import replace

from bench import bulk, machine, page, runaway
from bench.parts import COMPARING, PARTS
from bench.results import FORMAT, Plan, Results, read, reckon, write
from bench.session import Session
from bench.system_quorate import QuorateSystem
from bench.work import ROOT, Broken, Timing
from quorate.errors import Error
from quorate.lab.nemesis.trial import TrialFailed
from quorate.runtime.cluster import NotReady

RESULTS = ROOT / "bench" / "results"
FULL = Plan(
    seconds=2.5,
    warm_up=0.5,
    rounds=5,
    rows=10_000,
    value_bytes=100,
    clients=(1, 16, 64, 256),
    shared=(64, 256),
    sizes=(1_000, 10_000, 100_000, 1_000_000),
    idle=(1, 10, 100, 1_000),
    idle_s=10.0,
    active=(1, 10, 100),
    values=(100, 1_000, 10_000, 100_000),
    followers=(2, 4, 6),
    kills=50,
)
QUICK = replace(
    FULL,
    seconds=0.8,
    warm_up=0.4,
    rounds=2,
    sizes=(1_000, 10_000, 100_000),
    idle=(1, 10, 50),
    idle_s=3.0,
    active=(1, 10),
    kills=5,
    quick=True,
)


@click.group()
def main() -> None:
    """Measure Quorate beside its peers and the machine's limits."""


@main.command()
@click.option("--only", default="", help=f"Parts, separated by commas: {', '.join(PARTS)}.")
@click.option("--quick", is_flag=True, help="Short rounds: to see that everything works, not to quote.")
@click.option("--seconds", type=float, help="How long one round measures.")
@click.option("--rounds", type=int, help="How many rounds.")
@click.option("--clients", default="", help="Numbers of clients, separated by commas.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the systems keep their files (a new folder).")
@click.option("--out", type=click.Path(path_type=Path), help="The file of results; an existing one is added to.")
def run(
    only: str,
    quick: bool,
    seconds: float | None,
    rounds: int | None,
    clients: str,
    folder: Path | None,
    out: Path | None,
) -> None:
    """Measure; the results are written after each part.

    With --out naming a file that exists, the parts that are run replace those in it and the others stay.
    """
    names = [name.strip() for name in only.split(",") if name.strip()] or list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        raise click.UsageError(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    plan = QUICK if quick else FULL
    if clients:
        plan = replace(plan, clients=tuple(int(each) for each in clients.split(",")))
    plan = replace(plan, seconds=seconds or plan.seconds, rounds=rounds or plan.rounds)
    started = dt.datetime.now(dt.UTC)
    path = out or RESULTS / f"{started:%Y%m%d-%H%M%S}{'-quick' if quick else ''}.json"
    with tempfile.TemporaryDirectory(prefix="quorate-bench-", dir=folder) as place:
        Path(place).chmod(0o711)  # PostgreSQL runs under an account of its own
        results = beginning(path, plan, Path(place), started)
        with Session(Path(place), plan) as session:
            for name in (each for each in PARTS if each in names):
                if name not in COMPARING:
                    session.rest()
                session.say(f"--- {name}")
                attempt(name, session)
                write(path, merged(results, session))
    for each in read(path).ratios:
        ours, peer = f"{each.part}, {each.variant}", f"{each.peer}, {each.peer_variant}"
        click.echo(f"{ours:<40} ÷ {peer:<28} at {each.x:>4}: {each.median:6.2f}  ({each.low:g} to {each.high:g})")
    click.echo(path)
    if session.failed:
        raise click.ClickException(f"not finished: {', '.join(session.failed)}")


def attempt(name: str, session: Session) -> None:
    """Run a part. One that fails is noted, and the others still run."""
    try:
        PARTS[name](session)
    except (Broken, NotReady, TrialFailed, Error, OSError, subprocess.SubprocessError) as error:
        session.note(f"{name} was not finished: {type(error).__name__}: {error}")
        session.failed.append(name)
        session.rest()


def beginning(path: Path, plan: Plan, folder: Path, started: dt.datetime) -> Results:
    """What the results are added to. An existing file must have been measured by the same plan."""
    if path.exists():
        found = read(path)
        if found.plan != plan:
            raise click.UsageError(f"{path} was measured with another plan (rounds, seconds, clients...)")
        now = machine.commit()
        if now == found.commit:
            return found
        return replace(found, notes=(*found.notes, f"some parts were measured again at {now}"))
    described = machine.describe(folder, Timing(plan.seconds, plan.warm_up))
    return Results(FORMAT, started.isoformat(timespec="seconds"), machine.commit(), plan, described)


def merged(results: Results, session: Session) -> Results:
    """The results with what the session has measured in place of earlier measures of the same parts."""
    fresh = {measure.part for measure in session.measures}
    measures = (*(each for each in results.measures if each.part not in fresh), *session.measures)
    checks = tuple(session.checks) or results.checks
    return replace(
        results, measures=measures, ratios=reckon(measures), checks=checks, notes=(*results.notes, *session.notes)
    )


@main.command(name="runaway")
@click.option("--seconds", default=10.0, show_default=True, help="How long each quiet and each loaded time is.")
def run_runaway(seconds: float) -> None:
    """Measure what statements without an end do to other databases; a Markdown table."""
    with tempfile.TemporaryDirectory(prefix="quorate-bench-") as place:
        phases = list(runaway.measure(Path(place), seconds, lambda text: click.echo(text, err=True)))
    click.echo(runaway.HEADER)
    for phase in phases:
        click.echo(phase.row())


@main.command(name="bulk")
@click.option("--rows", default=50_000, show_default=True, help="Rows of a load.")
@click.option("--updates", default=2_000, show_default=True, help="Updates of a round.")
@click.option("--rounds", default=3, show_default=True, help="How many rounds.")
def run_bulk(rows: int, updates: int, rounds: int) -> None:
    """Measure bulk loads, and a follower's CPU for an entry, beside plain SQLite; Markdown tables.

    In brackets: what it is of plain SQLite's.
    """
    with tempfile.TemporaryDirectory(prefix="quorate-bench-") as place, QuorateSystem(Path(place)) as system:
        click.echo(f"{bulk.LOADS}\n{bulk.loads(Path(place), system, rows, rounds).line()}\n")
        click.echo(f"{bulk.FOLLOWERS}\n{bulk.followers(Path(place), system, updates, rounds).line()}")


@main.command(name="page")
@click.argument("file", type=click.Path(path_type=Path, exists=True), required=False)
@click.option("--docs", type=click.Path(path_type=Path), default=ROOT / "docs", help="The folder to draw into.")
def draw(file: Path | None, docs: Path) -> None:
    """Draw docs/performance-results.md and its plots from FILE, or from the newest full results."""
    path = file or newest()
    if path is None:
        raise click.UsageError(f"there are no results in {RESULTS}")
    for written in page.draw(read(path), path.name, docs):
        click.echo(written)


def newest() -> Path | None:
    """The newest file of results; full ones before quick ones."""
    found = sorted(RESULTS.glob("*.json"), key=lambda path: ("quick" not in path.name, path.name))
    return found[-1] if found else None


if __name__ == "__main__":
    main(prog_name="python -m bench")
