from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.stores import Disk


@pytest.fixture(params=["folder", "memory"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """The disk of a node that was never started."""
    made = Disk(tmp_path / "node" if request.param == "folder" else None)
    yield made
    if hasattr(made, "store"):
        made.stop()
