"""`quorate quorum`: what n, w and r promise, what they do not, and how stale a read may be."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from quorate.cli.output import Exit, Fail, aligned, json_option, print_json
from quorate.core.quorums import Quorums, absences, finds_newest
from quorate.lab.models.staleness import Legs, stale_after, stale_within

VERSIONS = (1, 2, 3, 5, 10)
AFTER_MS = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
SAMPLES = 20_000
ALL_MAX = 12
SETS_MAX = 64
"""More sets of replicas than this are counted, not listed."""

NOT_PROMISED = (
    "Reads are not linearizable: a read beside a write may return the new version, and a later one the old.",
    "A write that fewer than w replicas acknowledged may have happened: a later read may show it.",
    "Which of two concurrent writes is the newest is decided by their versions, not by when they were made.",
)
WHY_STALE = "Reads may miss the newest write even when nothing fails."


def latencies(_ctx: click.Context, _param: click.Parameter, value: str | None) -> list[float] | None:
    """`fixed:MS`, `exponential:MEAN_MS`, or a file with a number of milliseconds on each line. Raises BadParameter."""
    if value is None:
        return None
    kind, colon, number = value.partition(":")
    try:
        if colon and kind == "fixed":
            found = [float(number)]
        elif colon and kind == "exponential":
            rng = random.Random(0)
            found = [rng.expovariate(1.0) * float(number) for _ in range(SAMPLES)]
        else:
            found = [float(line) for line in Path(value).read_text().split()]
    except (ValueError, OSError) as error:
        hint = "write fixed:MS, exponential:MEAN_MS or the name of a file with milliseconds"
        raise click.BadParameter(f"{value!r}: {error}; {hint}") from None
    if not found or not all(0 <= each < 1e9 for each in found):
        raise click.BadParameter(f"{value!r} has no latency, or one that is negative or too large")
    return found


def replicas(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Numbers of replicas, such as 1,2. Raises BadParameter."""
    try:
        return None if value is None else tuple(sorted({int(each) for each in value.split(",")}))
    except ValueError:
        raise click.BadParameter(f"{value!r}: write the replicas' numbers, such as 1,2") from None


@click.command()
@click.option("--n", type=click.IntRange(1, 1000), default=3, show_default=True, help="Replicas of each value.")
@click.option("--w", type=int, default=2, show_default=True, help="How many acknowledge a write.")
@click.option("--r", type=int, default=2, show_default=True, help="How many answer a read.")
@click.option("--held", metavar="N,N", callback=replicas, help="The replicas that have the newest write, such as 1,2.")
@click.option(
    "--latency", callback=latencies, help="Of a message: fixed:MS, exponential:MEAN_MS, or a file of milliseconds."
)
@click.option("--write-latency", callback=latencies, help="The same, of a write on its way to a replica and its disk.")
@click.option("--trials", type=click.IntRange(1), default=20_000, show_default=True, help="For the chances over time.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses the latencies that are drawn.")
@click.option("--all", "every", is_flag=True, help="A table of every w and r for this n.")
@json_option
def quorum(
    n: int,
    w: int,
    r: int,
    held: tuple[int, ...] | None,
    latency: list[float] | None,
    write_latency: list[float] | None,
    trials: int,
    seed: int,
    every: bool,
    as_json: bool,
) -> None:
    """Say what quorums of n replicas promise, and what they do not.

    Nothing is asked of a cluster. With --latency: the chance that a read which begins so long after a write was
    acknowledged returns an older version.
    """
    try:
        quorums = Quorums(n, w, r)
    except ValueError as error:
        raise Fail(str(error), Exit.USAGE) from None
    if every and latency:
        raise Fail("--all is about w and r alone: leave --latency out", Exit.USAGE)
    if held is not None and not set(held) <= set(range(1, n + 1)):
        raise Fail(f"--held {','.join(map(str, held))}: the replicas are 1 to {n}", Exit.USAGE)
    if write_latency and not latency:
        raise Fail("--write-latency needs --latency, for the other messages", Exit.USAGE)
    if every:
        _show_all(n, held, as_json)
        return
    found = describe(quorums, held)
    if latency:
        legs = Legs(write_latency or latency, latency, latency, latency)
        chances = stale_after(quorums, legs, AFTER_MS, trials, random.Random(seed))
        found["stale_after"] = [{"ms": ms, "chance": chance} for ms, chance in zip(AFTER_MS, chances, strict=True)]
    if as_json:
        print_json(found)
    else:
        for line in lines(quorums, found):
            click.echo(line)


def _show_all(n: int, held: tuple[int, ...] | None, as_json: bool) -> None:
    """Every w and r."""
    if n > ALL_MAX:
        raise Fail(f"--all shows n squared lines: n = {n} is more than {ALL_MAX}", Exit.USAGE)
    rows = [describe(Quorums(n, w, r), held) for w in range(1, n + 1) for r in range(1, n + 1)]
    if as_json:
        print_json(rows)
        return
    head = ["w", "r", "sees the newest write", "away for writes", "away for reads"]
    table = [head if held is None else [*head, f"returns what {', '.join(map(str, held))} hold while away"]]
    for each in rows:
        sees = "yes" if each["reads_see_newest"] else "not always"
        cells = [each["w"], each["r"], sees, each["away_for_writes"], each["away_for_reads"]]
        if held is not None:
            cells.append(_sets(each.get("newest_without", [])) or "never for certain")
        table.append([str(cell) for cell in cells])
    for line in aligned(table):
        click.echo(line)


def describe(quorums: Quorums, held: tuple[int, ...] | None) -> dict[str, Any]:
    """All that follows from the three numbers, for `--json`."""
    found: dict[str, Any] = {
        "n": quorums.n,
        "w": quorums.w,
        "r": quorums.r,
        "reads_see_newest": quorums.strict,
        "overlap": quorums.overlap,
        "linearizable": False,
        "concurrent_writes_meet": quorums.writes_meet,
        "away_for_writes": quorums.write_absences,
        "away_for_reads": quorums.read_absences,
        "misses_newest": [{"versions": each, "chance": stale_within(quorums, each)} for each in VERSIONS],
    }
    if sum(1 for _ in _upto(absences(quorums.n, quorums.read_absences))) <= SETS_MAX:
        found["reads_succeed_without"] = [list(each) for each in absences(quorums.n, quorums.read_absences)]
        if held is not None:
            found["held"] = list(held)
            found["acknowledged"] = len(held) >= quorums.w
            found["newest_without"] = [
                list(each) for each in absences(quorums.n, quorums.read_absences) if finds_newest(quorums, held, each)
            ]
    return found


def _upto(sets: Iterator[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """No more of them than it takes to know that they are too many."""
    for _, each in zip(range(SETS_MAX + 1), sets, strict=False):
        yield each


def lines(quorums: Quorums, found: dict[str, Any]) -> Iterator[str]:
    """The same for people."""
    n, w, r = quorums.n, quorums.w, quorums.r
    yield f"n = {n}, w = {w}, r = {r}"
    if quorums.strict:
        yield f"Reads see the newest acknowledged write: yes. Any {r} meet any {w}, in at least {quorums.overlap}."
    else:
        yield f"Reads see the newest acknowledged write: not always, because w + r = {w + r} is not more than n = {n}."
    yield "What that does not promise:"
    for sentence in NOT_PROMISED if quorums.strict else (WHY_STALE, *NOT_PROMISED):
        yield f"  - {sentence}"
    if not quorums.writes_meet:
        yield f"  - Two writes may share no replica (w + w = {2 * w}): only a read or a repair notices both."
    yield f"Of {n} replicas {quorums.write_absences} may be away for writes, {quorums.read_absences} for reads."
    if "reads_succeed_without" in found:
        yield f"A read succeeds while these are away: {_sets(found['reads_succeed_without'])}."
    else:
        yield f"A read succeeds whichever {quorums.read_absences} are away."
    if "held" in found:
        yield from _held(found)
    if not quorums.strict:
        yield "Chance that a read misses the newest k versions, if each write reached w replicas and no more:"
        yield "  " + "   ".join(f"k={each['versions']}: {each['chance']:.2%}" for each in found["misses_newest"])
    if "stale_after" in found:
        yield "Chance that a read is stale which begins so long after the write was acknowledged:"
        yield "  " + "   ".join(f"{each['ms']:g} ms: {each['chance']:.2%}" for each in found["stale_after"])


def _held(found: dict[str, Any]) -> Iterator[str]:
    holders = ", ".join(map(str, found["held"]))
    told = "was acknowledged" if found["acknowledged"] else "is not acknowledged: its caller was told *maybe*"
    yield f"A write that replicas {holders} hold, and no others, {told}."
    if found["newest_without"]:
        yield f"  Every read returns it while these are away: {_sets(found['newest_without'])}."
    else:
        yield "  No read is certain to return it, whoever is away."


def _sets(sets: list[list[int]]) -> str:
    return "; ".join(", ".join(map(str, each)) or "none" for each in sets)
