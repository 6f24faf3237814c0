"""`quorate lab handshake`: a node's port against strangers."""

import resource
import time

import click

from quorate.cli.output import Exit, Fail, json_option, print_json, progress


@click.command()
@click.option("--inputs", type=click.IntRange(1), default=100_000, show_default=True, help="How many connections.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses what they send.")
@json_option
def handshake(inputs: int, seed: int, as_json: bool) -> None:
    """Send strangers' frames to a node.

    Random, bent, cut and replayed ones, before any login.

    It must refuse all of them with a type, hold little of them, and do nothing for them.
    """
    from quorate.lab.handshake.run import Broken, play

    began = time.monotonic()
    try:
        tally = play(inputs, seed)
    except Broken as error:
        raise Fail(str(error), Exit.FAILED) from error
    seconds = time.monotonic() - began
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    progress(
        f"{tally.inputs} connections, {tally.sent_bytes} bytes, in {seconds:.0f} s; at most {peak_kib} KiB of memory"
    )
    refused = dict(tally.refused.most_common())
    if as_json:
        print_json({"inputs": tally.inputs, "bytes": tally.sent_bytes, "ends": refused, "peak_kib": peak_kib})
        return
    for code, count in refused.items():
        click.echo(f"{count:>10}  {code}")
