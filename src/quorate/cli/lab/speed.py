"""`quorate lab speed`: how many events a second the simulator gets through, and what takes the time."""

import cProfile
import pstats
import time
from pathlib import Path
from typing import Any

import click

from quorate.cli.output import Seconds, json_option, print_json, progress

ROOMS = ("core", "lab/sim", "lab/judges", "storage", "wire", "sql")


def _room(file: str) -> str:
    """Which part of the program a profiled function belongs to."""
    path = Path(file).as_posix()
    for room in ROOMS:
        if f"/quorate/{room}/" in path:
            return room
    return "built in (C code, the standard library)"


def _measure(scenario: str, storage: str, seconds: float, first: int) -> dict[str, Any]:
    """Run seeds for about so long. The first run, which loads and warms, is not counted."""
    from quorate.lab.sim.scenarios.named import simulate

    simulate(first, scenario, storage=storage)
    seeds = events = happenings = virtual_us = 0
    wall, busy = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        report = simulate(first + seeds, scenario, storage=storage)
        seeds, events = seeds + 1, events + report.steps
        happenings, virtual_us = happenings + report.taken, virtual_us + report.virtual_us
    busy, wall = time.process_time() - busy, time.perf_counter() - wall
    return {
        "scenario": scenario, "storage": storage, "seeds": seeds, "events": events, "happenings": happenings,
        "virtual_s": virtual_us // 1_000_000, "processor_s": round(busy, 2), "wall_s": round(wall, 2),
        "events_per_processor_s": round(events / busy), "events_per_wall_s": round(events / wall),
        "happenings_per_processor_s": round(happenings / busy),
    }  # fmt: skip


def _shares(scenario: str, storage: str, seeds: int, first: int) -> dict[str, float]:
    """What part of the time each room's own code takes, in percent, as a profiler sees it."""
    from quorate.lab.sim.scenarios.named import simulate

    profile = cProfile.Profile()
    profile.enable()
    for seed in range(first, first + seeds):
        simulate(seed, scenario, storage=storage)
    profile.disable()
    own: dict[str, float] = {}
    for (file, _, _), (_, _, took, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        own[_room(file)] = own.get(_room(file), 0.0) + took
    total = sum(own.values())
    return {room: round(100 * took / total, 1) for room, took in sorted(own.items(), key=lambda each: -each[1])}


@click.command()
@click.option("--seconds", type=Seconds(0.0, min_open=True), default=20.0, show_default=True,
              help="For how long.")  # fmt: skip
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="The first seed.")
@click.option("--scenario", default="mixed", show_default=True, help="Which mix of faults and load.")
@click.option("--storage", type=click.Choice(["model", "sqlite", "files"]), default="model", show_default=True,
              help="What keeps the data.")  # fmt: skip
@click.option("--profile", "profiled", type=click.IntRange(0), default=0,
              help="Afterwards run so many seeds under a profiler, and say where the time goes.")  # fmt: skip
@json_option
def speed(seconds: float, first: int, scenario: str, storage: str, profiled: int, as_json: bool) -> None:
    """Measure the simulator on one core. An event is what a node's core is handed: a message, an answer of its disk or
    storage, a request, a deadline. (A happening is anything that the world does, such as the arrival of an answer at
    a caller; most happenings are an event too.)"""
    from quorate.lab.sim.scenarios.named import SCENARIOS

    if scenario not in SCENARIOS:
        raise click.BadParameter(f"there are: {', '.join(SCENARIOS)}", param_hint="--scenario")
    found = _measure(scenario, storage, seconds, first)
    if profiled:
        found["shares"] = _shares(scenario, storage, profiled, first)
    if as_json:
        print_json(found)
        return
    progress(f"{found['seeds']} seeds of {scenario} with {storage}, {found['virtual_s']:,} virtual seconds")
    for room, share in found.get("shares", {}).items():
        progress(f"{share:5.1f} % {room}")
    click.echo(
        f"{found['events_per_processor_s']:,} events for each second of processor time"
        f" ({found['events_per_wall_s']:,} a second by the clock)"
    )
