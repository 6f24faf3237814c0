"""`quorate alter`: change a database while it is in use."""

from typing import Any

import click

import quorate
from quorate.cli.data.options import option_flags
from quorate.cli.output import Seconds, cluster_option, find_cluster, json_option, print_json, progress, usage_errors
from quorate.client.options import check_change
from quorate.core.options import describe


@click.command(short_help="Change options of a database while it is in use.")
@click.argument("name", metavar="DATABASE")
@option_flags(defaults=False)
@click.option("--timeout", type=Seconds(0.1), default=10.0, show_default=True, help="Seconds to wait.")
@cluster_option
@json_option
def alter(name: str, timeout: float, cluster: str | None, as_json: bool, **options: Any) -> None:
    """Change options of DATABASE. Returns when the change is in force."""
    with usage_errors():
        changed = check_change(options)
    with quorate.Cluster(find_cluster(cluster)) as found:
        found.alter(name, timeout=timeout, **options)
    if as_json:
        print_json({"database": name, "options": changed})
    else:
        progress(f"{name}: {describe(changed)} from here on")
