"""`quorate lab twice`: every seed in two processes with different hash seeds; the traces must be equal."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import click

from quorate.cli.output import Exit, Fail, progress

if TYPE_CHECKING:
    from quorate.lab.sim.campaigns.twice import Half, Task

CHUNK = 38
HASH_SEEDS_MAX = 4_294_967_295


def _half(tasks: "list[Task]", hash_seed: int) -> "list[Half]":
    import msgspec

    from quorate.lab.sim.campaigns.twice import read

    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-m", "quorate.lab.sim.campaigns.twice"]
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        command, input=msgspec.json.encode(tasks), env=environment, stdout=subprocess.PIPE, check=True
    )
    return read(done.stdout)


def _both(tasks: "list[Task]", hash_seeds: tuple[int, int]) -> "list[tuple[Half, Half]]":
    first, second = (_half(tasks, hash_seed) for hash_seed in hash_seeds)
    return list(zip(first, second, strict=True))


@click.command()
@click.option("--seeds", type=click.IntRange(1), default=100, show_default=True, help="How many double runs.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="The first seed.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Processes at a time.")
@click.option("--scenario", multiple=True, help="Only this scenario (may be repeated). Default: all, in turn.")
@click.option("--hash-seeds", type=click.IntRange(0, HASH_SEEDS_MAX), nargs=2, default=(1, 2), show_default=True,
              help="The two values of PYTHONHASHSEED.")  # fmt: skip
def twice(seeds: int, first: int, jobs: int, scenario: tuple[str, ...], hash_seeds: tuple[int, int]) -> None:
    """Run every seed in two processes that hash differently. Ends with 1 when any two traces differ."""
    from quorate.lab.sim.campaigns.twice import deal
    from quorate.lab.sim.scenarios.named import SCENARIOS

    if unknown := [name for name in scenario if name not in SCENARIOS]:
        raise click.BadParameter(f"{unknown[0]!r}: there are: {', '.join(SCENARIOS)}", param_hint="--scenario")
    tasks = deal(first, seeds, scenario)
    chunks = [tasks[start : start + CHUNK] for start in range(0, len(tasks), CHUNK)]
    differ: list[Half] = []
    broken: list[Half] = []
    done = steps = 0
    began = time.perf_counter()
    with ThreadPoolExecutor(jobs) as pool:
        for pairs in pool.map(lambda chunk: _both(chunk, hash_seeds), chunks):
            for one, other in pairs:
                done += 1
                steps += one.steps + other.steps
                if one != other:
                    differ.append(one)
                    progress(f"seed {one.seed} of {one.scenario}: {one.trace} and {other.trace}")
                elif not one.ok:
                    broken.append(one)
                    progress(f"seed {one.seed} of {one.scenario} breaks a promise, both times alike")
            progress(f"{done} of {seeds} seeds, {len(differ)} differ")
    took = time.perf_counter() - began
    click.echo(f"{done} double runs, {steps:,} events, {took:.0f} s: {done - len(differ)} pairs of equal traces")
    if differ:
        raise Fail(f"seed {differ[0].seed} of {differ[0].scenario} depends on more than its seed", Exit.FAILED)
    if broken:
        raise Fail(f"seed {broken[0].seed} of {broken[0].scenario} breaks a promise", Exit.FAILED)
