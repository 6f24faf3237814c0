"""An option of databases is declared once: flags, keyword arguments, the page and the catalog have what is declared."""

import inspect

import click
import pytest
from tests.house.source import ROOT

import quorate
from quorate import aio
from quorate.cli.data.alter import alter
from quorate.cli.data.create import create
from quorate.core.options import OptionKeywords, document
from quorate.core.replication import REPLICATIONS, options_known

DECLARED = {name: option for kind in options_known().values() for name, option in kind.declared().items()}


@pytest.mark.parametrize("command", [create, alter], ids=["create", "alter"])
def test_every_option_is_a_flag(command: click.Command) -> None:
    flags = {each.name: each for each in command.params}
    for name, option in DECLARED.items():
        help_text = str(getattr(flags[name], "help", ""))
        assert option.means in help_text
        assert all(choice in help_text for choice in option.choices)


def test_every_option_is_a_keyword_argument() -> None:
    assert set(OptionKeywords.__annotations__) == set(DECLARED)


@pytest.mark.parametrize(
    "method", [quorate.Cluster.create, quorate.Cluster.alter, aio.Cluster.create, aio.Cluster.alter]
)
def test_no_option_is_called_as_another_argument(method: object) -> None:
    assert callable(method)
    parameters = inspect.signature(method).parameters
    assert parameters["options"].kind is inspect.Parameter.VAR_KEYWORD
    assert not set(parameters) & set(DECLARED)


def test_the_page_of_options_is_current() -> None:
    page = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    assert page == document(options_known()), "run python tools/options_page.py"


@pytest.mark.parametrize("name", REPLICATIONS)
def test_defaults_are_fit_and_come_back_from_the_catalog(name: str) -> None:
    kind = REPLICATIONS[name].options
    assert set(kind.declared()) == set(kind.__struct_fields__)
    kind().check_replicas(1)
    assert kind.decode(kind().encode()) == kind()
    assert kind.decode("{}") == kind(), "an option that is newer than the row has its default"
