"""Registers the replication for the time of one test."""

import pytest

from quorate.core.multi_leader.replica import MULTI_LEADER
from quorate.core.replication import REPLICATIONS


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under its name."""
    monkeypatch.setitem(REPLICATIONS, MULTI_LEADER.name, MULTI_LEADER)
