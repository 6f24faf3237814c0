"""`quorate serve`: one node, in the foreground."""

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from quorate.cli.output import Exit, Fail, progress
from quorate.runtime.config import Config, Key, keys, load, to_toml

_SET_DEATH_SIGNAL = 1
"""`PR_SET_PDEATHSIG` of Linux's prctl."""


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """One flag for each key of the configuration."""
    for key in reversed(list(keys())):
        command = click.option("--" + key.name.replace("_", "-"), key.name, type=_type(key), help=_help(key))(command)
    return command


def _type(key: Key) -> type:
    return int if key.kind is int and not key.is_duration else str


def _help(key: Key) -> str:
    return key.description[0].upper() + key.description[1:] + (" (such as 250ms)." if key.is_duration else ".")


@click.command(short_help="Run one node in the foreground.")
@click.option("--config", "path", type=click.Path(dir_okay=False, path_type=Path), help="The node's node.toml.")
@click.option("--print-config", is_flag=True, help="Print the effective configuration as TOML, and stop.")
@click.option("--with-parent", is_flag=True, hidden=True, help="Stop when standard input ends.")
@config_options
def serve(path: Path | None, print_config: bool, with_parent: bool, **flags: str | int | None) -> None:
    """Run one node in the foreground until a signal stops it.

    SIGTERM and a first SIGINT finish what is under way, hand leadership over and exit 0; a second SIGINT exits now.
    Every key of node.toml is a flag here and a QUORATE_* variable; flags win over variables, variables over the file.
    """
    if path is None and flags.get("folder") and (Path(str(flags["folder"])) / "node.toml").exists():
        path = Path(str(flags["folder"])) / "node.toml"
    config, warnings = load(path, flags, os.environ)
    for warning in warnings:
        progress(f"Warning: {warning}")
    if print_config:
        click.echo(to_toml(config), nl=False)
        return
    log_to_stderr(config)
    if with_parent:
        wake_when_parent_dies()
    from quorate.runtime.loop import run_node
    from quorate.storage.interface import StorageError

    try:
        code = run_node(config, with_parent=with_parent)
    except StorageError as error:
        raise Fail(f"the disk failed: {error}", Exit.INTERNAL) from error
    logging.shutdown()
    sys.stderr.flush()
    if code:
        os._exit(code)  # fail-stop: nothing more is written, not even by a destructor


def log_to_stderr(config: Config) -> None:
    """Log under `quorate`, never the root: other libraries' logs are not ours to show."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("quorate")
    logger.addHandler(handler)
    logger.setLevel(config.log_level.upper())
    logger.propagate = False


def wake_when_parent_dies() -> None:
    """A node that its parent had paused (SIGSTOP) must wake up to notice that the parent is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, int(signal.SIGCONT))
