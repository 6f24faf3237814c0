"""SQLAlchemy's own suite for dialects, on a folder, for threads and for asyncio."""

from pathlib import Path

import pytest
from tools.sqlalchemy_suite import OURS, failures, known, run


@pytest.mark.parametrize("driver", ["quorate", "aioquorate"])
def test_nothing_fails_that_is_not_listed(driver: str, tmp_path: Path) -> None:
    found = run(tmp_path, f"sqlite+{driver}:///{tmp_path / 'folder'}", OURS)
    assert list(found.values()).count("passed") > 1200
    failed = failures(found)
    assert {name: each[:300] for name, each in failed.items() if name not in known()} == {}
