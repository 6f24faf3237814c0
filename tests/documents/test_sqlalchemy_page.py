"""The programs in docs/sqlalchemy.md run."""

import re

import pytest
from tests.house.source import ROOT

BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / "sqlalchemy.md").read_text(), re.MULTILINE | re.DOTALL)


def test_there_are_programs() -> None:
    assert BLOCKS


@pytest.mark.parametrize("program", BLOCKS)
def test_it_runs(program: str) -> None:
    names = {"__name__": "__shop__"}
    exec(compile(program, "docs/sqlalchemy.md", "exec"), names)
    assert "engine" in names
