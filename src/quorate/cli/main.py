"""`quorate`: one file for each command, imported when it is used."""

import importlib
import importlib.util
import os
import sys
from typing import Any

import click

from quorate.cli.output import Exit, Fail, ask_password, code_of, is_person, show_error
from quorate.client import credentials
from quorate.core.formats import RELEASE

COMMANDS = {
    "demo": "quorate.cli.demo.main:demo",
    "init": "quorate.cli.cluster.init:init",
    "up": "quorate.cli.cluster.up:up",
    "certs": "quorate.cli.cluster.certs:certs",
    "serve": "quorate.cli.cluster.serve:serve",
    "create": "quorate.cli.data.create:create",
    "drop": "quorate.cli.data.drop:drop",
    "databases": "quorate.cli.data.databases:databases",
    "sql": "quorate.cli.data.sql:sql",
    "shell": "quorate.cli.data.shell:shell",
    "alter": "quorate.cli.data.alter:alter",
    "explain": "quorate.cli.data.explain:explain",
    "quorum": "quorate.cli.data.quorum:quorum",
    "failover": "quorate.cli.cluster.failover:failover",
    "lost": "quorate.cli.data.lost:lost",
    "conflicts": "quorate.cli.data.conflicts:conflicts",
    "resolve": "quorate.cli.data.resolve:resolve",
    "member": "quorate.cli.cluster.member:member",
    "user": "quorate.cli.cluster.user:user",
    "token": "quorate.cli.cluster.user:token",
    "audit": "quorate.cli.cluster.audit:audit",
    "status": "quorate.cli.cluster.status:status",
    "verify": "quorate.cli.data.verify:verify",
    "upgrade": "quorate.cli.cluster.upgrade:upgrade",
    "import": "quorate.cli.data.import_:import_",
    "adopt": "quorate.cli.data.adopt:adopt",
    "export": "quorate.cli.data.export:export",
    "nemesis": "quorate.cli.lab.nemesis:nemesis",
    "lab": "quorate.cli.lab.main:lab",
}
"""Command name -> module and function. A module that is not there yet is not listed."""


class Commands(click.Group):
    """Loads a command's module when the command is named, and turns errors into exit codes."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return [name for name, place in COMMANDS.items() if importlib.util.find_spec(place.partition(":")[0])]

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        module, _, function = COMMANDS.get(cmd_name, "").partition(":")
        if not module or importlib.util.find_spec(module) is None:
            return None
        command: click.Command = getattr(importlib.import_module(module), function)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Raises UsageError for what no name, path or URL of ours can have."""
        for argument in args:
            try:
                argument.encode()
            except UnicodeEncodeError:
                raise click.UsageError(f"{argument!r} is not UTF-8") from None
            if "\0" in argument:
                raise click.UsageError(f"{argument!r} has a NUL")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        if is_person():
            credentials.ask_person = ask_password
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            ctx.exit(Exit.INTERRUPTED)
        except BrokenPipeError:  # whoever read our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(Exit.OK)
        except Exception as error:
            code = code_of(error)
            if code == Exit.INTERNAL and not isinstance(error, Fail):
                raise  # a traceback says more than a sentence
            show_error(error)
            ctx.exit(code)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(RELEASE)
def main() -> None:
    """SQLite that replicates the way you choose.

    Results go to stdout, progress to stderr. Exit codes: 0 done, 1 ran and found something wrong, 2 wrong usage or
    configuration, 3 nobody answered in time, 4 refused, 5 may have happened, 70 internal, 130 interrupted.
    """


if __name__ == "__main__":
    sys.exit(main())
