"""`quorate lab gossip`: how many rounds, and seconds, until all replicas have heard."""

import random
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import click

from quorate.cli.output import Exit, Fail, aligned, json_option, print_json, progress

if TYPE_CHECKING:
    from quorate.lab.models.gossip import Spread, Variant

COLOURS = ("#1b6ca8", "#c2452d", "#3a7d44")
LOSSES = (0.0, 0.2)


@click.command()
@click.option("--replicas", type=click.IntRange(2, 10_000_000), default=100_000, show_default=True, help="How many.")
@click.option("--period", type=click.FloatRange(0, 1e6), default=3.0, show_default=True, help="Seconds between rounds.")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Rumours for each line.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses who contacts whom.")
@click.option("--loss", type=click.FloatRange(0, 0.9), multiple=True, help="Part of contacts lost. Default: 0 and 0.2.")
@click.option("--svg", type=click.Path(dir_okay=False, path_type=Path), help="Draw the spread in this file.")
@json_option
def gossip(
    replicas: int, period: float, runs: int, seed: int, loss: tuple[float, ...], svg: Path | None, as_json: bool
) -> None:
    """Simulate how news spreads by gossip."""
    from quorate.lab.models.gossip import Exchange, Variant, doubling, pittel, spread

    kinds = ((Exchange.PUSH, 1), (Exchange.PUSH, 2), (Exchange.PUSH_PULL, 1))
    found: dict[Variant, list[Spread]] = {}
    for each in loss or LOSSES:
        for kind, fan_out in kinds:
            variant = Variant(kind, fan_out, each)
            found[variant] = [spread(replicas, variant, random.Random(f"{seed} {run}")) for run in range(runs)]
            progress(f"{variant.name}: {median(one.rounds for one in found[variant]):g} rounds")
    if svg is not None:
        try:
            svg.write_text(picture(replicas, found))
        except OSError as error:
            raise Fail(f"{svg}: {error.strerror}", Exit.USAGE) from None
    if as_json:
        print_json(
            {
                "replicas": replicas,
                "period_s": period,
                "log2": doubling(replicas),
                "log2_plus_ln": pittel(replicas),
                "variants": [_row(replicas, period, variant, spreads) for variant, spreads in found.items()],
            }
        )
        return
    table = [["gossip", "rounds (least to most)", "seconds", "contacts a replica"]]
    for variant, spreads in found.items():
        row = _row(replicas, period, variant, spreads)
        rounds = f"{row['rounds']:g} ({row['rounds_min']} to {row['rounds_max']})"
        table.append([variant.name, rounds, f"{row['seconds']:g}", f"{row['contacts']:.1f}"])
    for line in aligned(table):
        click.echo(line)
    click.echo(f"log2 N = {doubling(replicas)} rounds, {doubling(replicas) * period:g} s: the textbook's figure. It")
    click.echo("assumes that no contact is wasted: each replica that knows tells one that does not, in every round.")
    click.echo(
        f"log2 N + ln N = {pittel(replicas):.1f} rounds, {pittel(replicas) * period:.0f} s: push with random contacts."
    )


def _row(replicas: int, period: float, variant: "Variant", spreads: "Sequence[Spread]") -> dict[str, float | str]:
    rounds = [one.rounds for one in spreads]
    return {
        "exchange": variant.exchange,
        "fan_out": variant.fan_out,
        "loss": variant.loss,
        "rounds": median(rounds),
        "rounds_min": min(rounds),
        "rounds_max": max(rounds),
        "seconds": median(rounds) * period,
        "contacts": median(one.contacts for one in spreads) / replicas,
    }


def picture(replicas: int, found: "dict[Variant, list[Spread]]") -> str:
    """The part of the replicas that know after each round, as SVG: the median of the runs, and their span."""
    from quorate.lab.models.gossip import doubling
    from quorate.lab.models.plots import Plot, Point, Series, draw

    last = max(one.rounds for spreads in found.values() for one in spreads)
    series = []
    for number, (variant, spreads) in enumerate(found.items()):
        points = []
        for round_ in range(last + 1):
            parts = [100 * one.informed[min(round_, one.rounds)] / replicas for one in spreads]
            points.append(Point(round_, median(parts), min(parts), max(parts)))
        style = number // len(COLOURS)
        series.append(Series(variant.name, tuple(points), COLOURS[number % len(COLOURS)], style))
    ideal = [Point(round_, *[min(100.0, 100 * 2.0**round_ / replicas)] * 3) for round_ in range(last + 1)]
    series.append(Series(f"no contact wasted: {doubling(replicas)} rounds", tuple(ideal), "#888888", 3))
    title = f"Who has heard, of {replicas:,} replicas"
    return draw(Plot(title, "round", "% of the replicas", tuple(series)))
