"""Registers the toy for the time of one test."""

from collections.abc import Iterator

import pytest

from quorate.core.replication import REPLICATIONS
from quorate.lab.sim.replications.registry import PROBES
from quorate.wire import codec
from tests.toy.laboratory import PROBE
from tests.toy.replica import GROW_ONLY_SET, NAME


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The one line in each registry that a replication needs."""
    monkeypatch.setitem(REPLICATIONS, NAME, GROW_ONLY_SET)
    monkeypatch.setitem(PROBES, NAME, PROBE)
    codec._message_decoder.cache_clear()
    yield
    codec._message_decoder.cache_clear()
