"""`quorate upgrade`: where a rolling upgrade stands, and its end."""

import time
from typing import Any

import click

import quorate
from quorate.cli.data.embedded import is_embedded, upgrade_folder
from quorate.cli.output import Exit, Fail, Seconds, cluster_option, find_cluster, json_option, print_json, progress
from quorate.core.formats import Range, release_of

_POLL_S = 0.1


@click.command(short_help="Show where a rolling upgrade stands, and finalize it.")
@click.argument("url", required=False)
@click.option("--finalize", is_flag=True, help="Raise the cluster's format number. There is no way back.")
@click.option("--timeout", type=Seconds(0.01), default=10.0, show_default=True, help="Seconds to wait.")
@cluster_option
@json_option
def upgrade(url: str | None, finalize: bool, timeout: float, cluster: str | None, as_json: bool) -> None:
    """Show which release each member of the cluster runs, and finalize an upgrade to a newer one.

    URL may be a folder with cluster.json, or that of an embedded database.

    Without --finalize nothing is changed. Exits with 4 when a member is away; with --finalize also when one runs an
    older release, and then nothing was changed.
    """
    if url is not None and cluster is not None:
        raise Fail("give either URL or --cluster, not both", Exit.USAGE)
    target = url or cluster
    if target is not None and is_embedded(target):
        number = upgrade_folder(target, finalize=finalize)
        print_json({"format": number}) if as_json else click.echo(f"{target} has format {number}")
        return
    with quorate.Cluster(find_cluster(target)) as found:
        if finalize:
            found.upgrade(timeout=timeout)
            _wait(found, timeout)
        view = _view(found.status(timeout=timeout))
    if as_json:
        print_json(view)
    else:
        _show(view)
    if view["away"]:
        raise click.exceptions.Exit(Exit.REFUSED)


def _show(view: dict[str, Any]) -> None:
    for node in view["nodes"]:
        click.echo(f"{node['name']}: release {node['release'] or 'unknown'}, reads {node['reads']}")
    click.echo(f"the cluster writes format {view['format']}")
    if view["away"]:
        progress(f"no answer from {', '.join(view['away'])}")
    if view["can_be"] > view["format"]:
        progress(
            f"every member reads format {view['can_be']} ({release_of(view['can_be'])}):"
            " quorate upgrade --finalize raises it, and there is no way back"
        )


def _view(reports: list[quorate.StatusReport]) -> dict[str, Any]:
    names = {report.name for report in reports}
    members = {member.name for report in reports for member in report.members}
    return {
        "format": max(report.version for report in reports),
        "can_be": 0 if members - names else min(report.highest for report in reports),
        "away": sorted(members - names),
        "nodes": [
            {
                "name": report.name,
                "release": report.release,
                "reads": str(Range(report.lowest, report.highest)),
                "format": report.version,
            }
            for report in reports
        ],
    }


def _wait(found: quorate.Cluster, timeout: float) -> None:
    """Until every member has heard that the number was raised. Raises Fail."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        reports = found.status(timeout=timeout)
        if len({report.version for report in reports}) == 1:
            return
        time.sleep(_POLL_S)
    raise Fail("raised, but not every member has heard of it yet", Exit.UNAVAILABLE)
