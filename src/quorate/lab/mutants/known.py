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
from quorate.lab.sim.campaigns.report import Report

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


def run_once(mutant: Mutant, seed: int, *, silenced: bool) -> Report:
    """One seed, with its inner judges silenced or not."""
    if not silenced:
        return run(mutant, seed)
    return run(mutant, seed, scenario=mutant.outer_scenario, skip=mutant.inner)


def hunt(mutant: Mutant, known: int, count: int, *, silenced: bool) -> tuple[int, str]:
    """The first of so many seeds at which it dies, and who caught it; (-1, "nobody") when it survives them all."""
    for seed in order(known, count):
        report = run_once(mutant, seed, silenced=silenced)
        if not report.ok:
            return seed, report.judge
    return -1, "nobody"


HEAD = """# Mutants

Each of these breaks Quorate's own code in one way, most of them as the code of others was broken before; where no such
case is known, the page says so. Issue and pull request numbers point to reports that were read in part. All die, by
the judge named, at the seed of the scenario named. It was found by counting seeds from 0, so that as many seeds were
needed and one more; as long as it shows the mutant it stays, though with later code fewer might do. Where a judge that
looks inside catches a bug before it can do any harm, the second line says who catches its consequences when that judge
is silenced, and in which scenario if it is another one.

What is left to judges that look inside alone, and why:

- `changes-before-no-op`: two leaders may each have a change under way, but each change is joint, and so needs a
  majority of the same old voters as the other: the rule is a second line here. What it saved was single-server changes.
- `learners-count`: with one newcomer at a time the arithmetic hides it. Where a learner stands in for a voter, a
  majority of the voters but one has the entry, and whoever wins an election needs one of these. Two newcomers at once
  would lose writes.
- `configuration-survives-truncation`, `snapshot-without-configuration`, `followers-change-when-committed`: a replica
  goes by members that are no longer, or not yet, the group's. To lose a write by that it must be elected by them alone,
  several changes behind or ahead of the others. No scenario is known that brings this about.
- `counts-an-older-epoch` loses no acknowledged write by itself: nobody is answered in an epoch before its own no-op is
  applied, which counts the older entries for good. A replica that has committed one of those too soon keeps it among
  the lost entries when a leader replaces it, and goes on. Without that second line
  (`counts-and-answers-an-older-epoch`) callers lose what they were told.

This page is written by `quorate lab mutants --write docs/mutants.md`, which also writes the seeds where the tests find
them (`src/quorate/lab/mutants/seeds.toml`); with `--anew` it counts from 0 again. One of them is looked at more closely
with `quorate lab replay SEED --scenario SCENARIO --core MUTANT`; where the scenario is `sql`, the seed is one of the
SQL fuzzer's ([sql-fuzz.md](sql-fuzz.md)): look at it with `quorate lab sql --seeds SEED --core MUTANT`.

| mutant | what is wrong | where it happened | scenario | seed | caught by |
|---|---|---|---|---|---|
"""


def page(mutants: Iterable[Mutant], known: Mapping[str, Known]) -> str:
    """docs/mutants.md"""
    lines = [HEAD]
    for mutant in mutants:
        found = known.get(mutant.name, Known())
        seed, judge = (str(found.seed), found.judge) if found.judge else ("", "nobody yet")
        scenario = mutant.scenario
        if mutant.inner:
            seed, judge = f"{seed}<br>{found.outer_seed}", f"{judge}<br>{found.outer_judge or 'nobody yet'}"
            scenario += f"<br>{mutant.outer_scenario}" if mutant.outer_scenario else ""
        lines.append(f"| {mutant.name} | {mutant.bug} | {mutant.where} | {scenario} | {seed} | {judge} |\n")
    return "".join(lines)
