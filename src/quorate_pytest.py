"""Fixtures for pytest: `quorate_db`, `quorate_cluster` and `quorate_schema` (docs/testing.md in Quorate's repository).

pytest imports this file in every run, so it imports nothing of Quorate until a fixture is used.
"""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def quorate_schema() -> Any:
    """Where tests begin: override it with a script of SQL, or a function that is given a connection."""
    return None


@pytest.fixture
def quorate_db(quorate_schema: Any) -> Iterator[Any]:
    """A connection to a database in memory of this test alone, with `quorate_schema` in it."""
    import quorate
    from quorate.testing import fill

    with quorate.connect(":memory:") as database:
        fill(database, quorate_schema)
        yield database


@pytest.fixture(scope="session")
def _quorate_nodes() -> Iterator[Any]:
    """Three nodes for all tests of this process; with pytest-xdist each worker has its own."""
    from quorate.testing import Cluster

    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def quorate_cluster(_quorate_nodes: Any, quorate_schema: Any) -> Any:
    """A `quorate.testing.Cluster` of three nodes, all well, with a database of this test alone."""
    _quorate_nodes.renew(quorate_schema)
    return _quorate_nodes
