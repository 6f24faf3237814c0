"""At which seeds mutants are known to die: `seeds.toml`, which `quorate lab mutants --write` rewrites.

Known seeds shift with every change of the protocol, so they are data: tests begin to look there, and the command finds
them anew. A line for each mutant, in the order of their names, so that two changes seldom meet.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from quorate.lab.mutants.sabotage import Mutant, run

FILE = Path(__file__).with_name("seeds.toml")
BEGINS = (
    "# At which seed of its scenario each mutant dies. `quorate lab mutants --write docs/mutants.md` rewrites it.\n"
)


class Known(Struct, frozen=True, omit_defaults=True):
    """Where one mutant dies."""

    seed: int = 0
    judge: str = ""
    """Empty: nobody has caught it yet."""
    outer_seed: int = 0
    outer_judge: str = ""
    """The same with its inner judges silenced, if it has any."""


def load() -> dict[str, Known]:
    """Every mutant that has a line. Raises OSError, TOMLDecodeError or ValidationError."""
    return msgspec.convert(tomllib.loads(FILE.read_text(encoding="utf-8")), dict[str, Known])


def dump(known: Mapping[str, Known]) -> None:
    """Write the file."""
    lines = [BEGINS]
    for name in sorted(known):
        fields = msgspec.to_builtins(known[name])
        lines.append(f"{name} = {{{', '.join(f'{key} = {_plain(value)}' for key, value in fields.items())}}}\n")
    FILE.write_text("".join(lines), encoding="utf-8")


def _plain(value: int | str) -> str:
    return str(value) if isinstance(value, int) else f'"{value}"'


def order(known: int, count: int) -> Iterator[int]:
    """So many seeds: the known one first, then all others from 0."""
    yield known
    yield from [seed for seed in range(count) if seed != known][: count - 1]


def hunt(mutant: Mutant, known: int, count: int, *, silenced: bool) -> tuple[int, str]:
    """The first of so many seeds at which it dies, and who caught it; (-1, "nobody") when it survives them all."""
    for seed in order(known, count):
        report = run(mutant, seed, skip=mutant.inner if silenced else ())
        if not report.ok:
            return seed, report.judge
    return -1, "nobody"


HEAD = """# Mutants

Each of these breaks Quorate's own code in one way, most of them as the code of others was broken before; where no such
case is known, the page says so. Issue and pull request numbers point to reports that were read in part. All die, by
the judge named, at the seed of the scenario named. It was found by counting seeds from 0, so that as many seeds were
needed and one more; as long as it shows the mutant it stays, though with later code fewer might do. Where a judge that
looks inside catches a bug before it can do any harm, the second line says who catches its consequences when that judge
is silenced.

This page is written by `quorate lab mutants --write docs/mutants.md`, which also writes the seeds where the tests find
them (`src/quorate/lab/mutants/seeds.toml`); with `--anew` it counts from 0 again. One of them is looked at more closely
with `quorate lab replay SEED --scenario SCENARIO --core MUTANT`.

| mutant | what is wrong | where it happened | scenario | seed | caught by |
|---|---|---|---|---|---|
"""


def page(mutants: Iterable[Mutant], known: Mapping[str, Known]) -> str:
    """docs/mutants.md"""
    lines = [HEAD]
    for mutant in mutants:
        found = known.get(mutant.name, Known())
        seed, judge = (str(found.seed), found.judge) if found.judge else ("", "nobody yet")
        if mutant.inner:
            seed, judge = f"{seed}<br>{found.outer_seed}", f"{judge}<br>{found.outer_judge or 'nobody yet'}"
        lines.append(f"| {mutant.name} | {mutant.bug} | {mutant.where} | {mutant.scenario} | {seed} | {judge} |\n")
    return "".join(lines)
