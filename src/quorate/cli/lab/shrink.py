"""`quorate lab shrink`: make a failing seed small, and keep it as a file that replays."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quorate.cli.lab.commit import commit
from quorate.cli.output import Exit, Fail, progress

if TYPE_CHECKING:
    from quorate.lab.sim.campaigns.report import Report


@click.command(short_help="Make a failing seed smaller.")
@click.argument("seed", type=int)
@click.option("--scenario", default="mixed", show_default=True, help="The scenario in which the seed fails.")
@click.option("--core", default="real", show_default=True, help="The real node, or a mutant.")
@click.option("--storage", type=click.Choice(["model", "sqlite", "files"]), default=None,
              help="What keeps the data, where the seed failed with another than its own.")  # fmt: skip
@click.option("--runs", type=click.IntRange(1), default=400, show_default=True, help="How many runs may be spent.")
@click.option("--write", type=click.Path(dir_okay=False, path_type=Path), help="Where to keep the small case.")
@click.option("--story", default="", help="What the case shows, in a sentence; kept in the file.")
def shrink(seed: int, scenario: str, core: str, storage: str | None, runs: int, write: Path | None, story: str) -> None:
    """Leave out faults and operations of a failing SEED while it still breaks the same promise."""
    import msgspec

    from quorate.lab.mutants import find, run_case
    from quorate.lab.sim.campaigns.shrink import Shrinker, dump, load
    from quorate.lab.sim.scenarios.file import NoScenario
    from quorate.lab.sim.scenarios.named import SCENARIOS, case_of, dials_of

    try:
        dials_of(scenario, seed)
    except KeyError as error:
        raise click.BadParameter(f"there are: {', '.join(SCENARIOS)}", param_hint="--scenario") from error
    except NoScenario as error:
        raise click.BadParameter(str(error), param_hint="--scenario") from error
    try:
        storage = storage or (find(core).storage if core != "real" else "")
        shrinker = Shrinker(case_of(scenario, seed, core, storage), run_case, runs)
    except KeyError as error:
        raise click.BadParameter(f"there is no mutant {core}", param_hint="--core") from error
    if shrinker.report.ok:
        raise Fail(f"seed {seed} of {scenario} breaks no promise", Exit.USAGE)
    before = shrinker.size()
    case = msgspec.structs.replace(shrinker.shrink(), story=story)
    after = shrinker.size()
    path = write or Path(f"{Path(scenario).stem}-{seed}.json")
    path.write_bytes(dump(load(dump(case))))  # the file as it will be read: 0 for a chance becomes 0.0
    for text in shrinker.report.lines()[:-1]:
        click.echo(text)
    click.echo(f"commit {commit()}")
    progress(
        f"from {before[0]} steps, {before[1]} faults, {before[2]} operations to {after[0]}, {after[1]}, {after[2]}"
    )
    click.echo(f"again: quorate lab replay {path}")


def replay_file(path: Path, tail: int) -> "Report":
    """Run the case in a file. Raises Fail when it is no case."""
    import msgspec

    from quorate.lab.mutants import run_case
    from quorate.lab.sim.campaigns.shrink import load

    try:
        return run_case(load(path.read_bytes()), tail=tail)
    except (OSError, msgspec.MsgspecError, KeyError) as error:
        raise Fail(f"{path} is not a case that `quorate lab shrink` wrote: {error}", Exit.USAGE) from error
