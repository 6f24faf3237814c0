"""The programs in examples/ run and print what they should."""

import subprocess
import sys
from pathlib import Path

from tests.cluster.conftest import Started
from tests.house.source import ROOT


def run(example: str, argument: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / example), argument],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_embedded(tmp_path: Path) -> None:
    folder = str(tmp_path / "visits")
    assert run("embedded.py", folder) == ["monday 11", "tuesday 0"]
    assert run("embedded.py", folder) == ["monday 22", "tuesday 0"]


def test_programs_for_a_cluster(start: Started) -> None:
    url = f"{start(3).url}/main"
    assert run("orders.py", url) == ["order-1 placed", "order-2 placed", "order-3 not placed", "(0,)"]
    assert run("tasks.py", url) == ["(50,)"]


def test_every_example_is_run_here() -> None:
    text = Path(__file__).read_text()
    for path in (ROOT / "examples").glob("*.py"):
        assert f'"{path.name}"' in text
