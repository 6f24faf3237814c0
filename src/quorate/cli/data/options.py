"""The options of databases as flags: `quorate create` and `quorate alter` have one for each that is declared."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from quorate.core.replication import options_known

F = TypeVar("F", bound=Callable[..., Any])


def option_flags(*, defaults: bool) -> Callable[[F], F]:
    """A flag for each option of any replication; the help names its default where one is taken (`defaults`)."""

    def decorate(command: F) -> F:
        known = list(options_known().values())
        found = {name: (option, kind) for kind in reversed(known) for name, option in kind.declared().items()}
        for name, (option, kind) in reversed(found.items()):
            text = f"{option.means} One of {', '.join(option.choices)}."
            text += f" Default: {kind().spelt[name]}." if defaults else ""
            command = click.option(f"--{name.replace('_', '-')}", name, help=text)(command)
        return command

    return decorate
