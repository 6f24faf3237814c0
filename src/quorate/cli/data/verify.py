"""`quorate verify`: do all replicas of a database hold the same? Wrong ones are rebuilt."""

import time

import click

import quorate
from quorate.cli.data.embedded import verify_folder
from quorate.cli.data.target import cluster_of, embedded_folder
from quorate.cli.output import Exit, Fail, Seconds, cluster_option, json_option, print_json, progress
from quorate.client.pieces import VERIFY_TIMEOUT
from quorate.core.verdicts import AWAY, DAMAGED, DIFFERS, EQUAL, UNDECIDED

_SENTENCES = {
    EQUAL: "equal",
    AWAY: "could not answer",
    DIFFERS: "differs from the majority",
    DAMAGED: "damaged",
    UNDECIDED: "differs, and no majority says who is right",
}
_HEADLINES = {
    EQUAL: "equal",
    AWAY: "nothing was compared",
    DIFFERS: "a replica differs from the majority",
    DAMAGED: "a replica is damaged",
    UNDECIDED: "the replicas differ, and no majority says who is right",
}
"""Of a database: the worst of its replicas says how it is. One that is away says nothing about the others."""
_POLL_S = 0.1


@click.command(short_help="Compare the replicas of a database.")
@click.argument("database", required=False)
@click.option("--wait", is_flag=True, help="Wait until what had to be rebuilt is whole, then verify again.")
@click.option(
    "--timeout",
    type=Seconds(0.01),
    default=VERIFY_TIMEOUT,
    show_default=True,
    help="Seconds for each database.",
)
@cluster_option
@json_option
def verify(database: str | None, wait: bool, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Compare the replicas of DATABASE at one position, or those of every database. A path such as ./shop names the
    folder of an embedded one, whose files are examined.

    Exits with 1 when any replica is not equal to the others, or could not answer.
    """
    folder = embedded_folder(database, cluster) if database is not None else None
    if folder is not None:
        reports = verify_folder(folder)
    else:
        with quorate.Cluster(cluster_of(database or "", cluster)) as found:
            reports = found.verify(database, timeout=timeout)
            if wait and any(each.rebuilt for report in reports for each in report.replicas):
                for report in reports:
                    _show(report)
                _wait(found, timeout)
                reports = found.verify(database, timeout=timeout)
    if as_json:
        print_json(reports)
    else:
        for report in reports:
            click.echo(_text(report))
    if any(report.verdict != EQUAL for report in reports):
        raise click.exceptions.Exit(Exit.FAILED)


def _text(report: quorate.VerifyReport) -> str:
    equal = sum(each.verdict == EQUAL for each in report.replicas)
    if report.verdict == AWAY and equal:
        what = f"{equal} of {len(report.replicas)} replicas are equal"
    else:
        what = _HEADLINES[report.verdict]
    lines = [f"{report.database}: {what} at index {report.index} of epoch {report.epoch}"]
    if report.verdict == EQUAL and len(report.replicas) == 1:
        return f"{lines[0]} (a single replica: sound, and nothing to compare it with)"
    for each in report.replicas:
        if report.verdict != EQUAL:
            reason = f": {each.reason}" if each.reason else ""
            mending = "; it fetches a copy from the others" if each.rebuilt else ""
            lines.append(f"  {each.name}: {_SENTENCES[each.verdict]}{reason}{mending}")
    return "\n".join(lines)


def _show(report: quorate.VerifyReport) -> None:
    if report.verdict != EQUAL:
        progress(_text(report))


def _wait(found: quorate.Cluster, timeout: float) -> None:
    """Until no node says that one of its replicas is damaged. Raises Fail."""
    deadline = time.monotonic() + timeout
    time.sleep(_POLL_S)  # a follower may not have heard the verdict yet
    while time.monotonic() < deadline:
        if not any(group.damaged for report in found.status() for group in report.groups):
            return
        time.sleep(_POLL_S)
    raise Fail(f"not rebuilt after {timeout:g} s; quorate status shows which", Exit.UNAVAILABLE)
