"""Every command has help and stands in docs/cli.md with every one of its options."""

import re
from collections.abc import Iterator

import click
import pytest
from tests.house.source import ROOT

from quorate.cli.main import main
from quorate.core.replication import options_known

PAGE = (ROOT / "docs" / "cli.md").read_text()
OPTIONS = [f"--{name.replace('_', '-')}" for kind in options_known().values() for name in kind.declared()]
"""docs/options.md has these; a section that refers to it need not repeat them."""


def commands(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, f"{name} is listed and cannot be loaded"
        path = (*above, name)
        if isinstance(command, click.Group):
            yield from commands(command, path)
        else:
            yield " ".join(path), command


COMMANDS = dict(commands(main))


def section(name: str) -> str:
    """What docs/cli.md says of one command."""
    found = re.search(rf"^## quorate {re.escape(name)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md has no section '## quorate {name}'"
    return " ".join([found[1], *(OPTIONS if "(options.md)" in found[1] else [])])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_and_is_documented(name: str) -> None:
    command = COMMANDS[name]
    assert command.help, f"quorate {name} has no help"
    text = section(name)
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"quorate {name}: {parameter.opts[0]} has no help"
            assert parameter.opts[0] in text, f"docs/cli.md: quorate {name} does not explain {parameter.opts[0]}"


def test_the_page_documents_no_command_that_is_not_there() -> None:
    documented = re.findall(r"^## quorate (.+)$", PAGE, re.MULTILINE)
    assert sorted(documented) == sorted(COMMANDS)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/cli.md", "docs/failover.md", "docs/errors.md"])
def test_commands_in_documents_exist_with_their_options(page: str) -> None:
    for line in re.findall(r"^(?:\$ )?quorate (.+)$", (ROOT / page).read_text(), re.MULTILINE):
        words = line.split("#")[0].split()
        name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS), None)
        assert name, f"{page}: quorate {line}"
        known = {each for parameter in COMMANDS[name].params for each in (*parameter.opts, *parameter.secondary_opts)}
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in known | {"--help"}, f"{page}: quorate {line}"
