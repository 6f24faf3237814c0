"""`quorate verify`: do all replicas of a database hold the same? Wrong ones are rebuilt."""

import time

import click

import quorate
from quorate.cli.embedded import is_embedded, verify_folder
from quorate.cli.output import Exit, Fail, cluster_option, find_cluster, json_option, print_json, progress
from quorate.client.pieces import VERIFY_TIMEOUT
from quorate.core.requests import AWAY, DAMAGED, DIFFERS, EQUAL, UNDECIDED

_SENTENCES = {
    EQUAL: "equal",
    AWAY: "could not answer",
    DIFFERS: "differs from the majority",
    DAMAGED: "damaged",
    UNDECIDED: "differs, and no majority says who is right",
}
_POLL_S = 0.1


@click.command()
@click.argument("database", required=False)
@click.option("--wait", is_flag=True, help="Wait until what had to be rebuilt is whole, then verify again.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.01),
    default=VERIFY_TIMEOUT,
    show_default=True,
    help="Seconds for each database.",
)
@cluster_option
@json_option
def verify(database: str | None, wait: bool, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Compare the replicas of DATABASE at one position, or those of every database; DATABASE may also be the folder
    of an embedded one, whose files are examined.

    Exits with 1 when any replica is not equal to the others, or could not answer.
    """
    if database is not None and is_embedded(database):
        reports = verify_folder(database)
    else:
        with quorate.Cluster(find_cluster(cluster)) as found:
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
    lines = [f"{report.database}: {_SENTENCES[report.verdict]} at index {report.index} of epoch {report.epoch}"]
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
        if not any(group.role == "damaged" for report in found.status() for group in report.groups):
            return
        time.sleep(_POLL_S)
    raise Fail(f"not rebuilt after {timeout:g} s; quorate status shows which", Exit.UNAVAILABLE)
