"""The plugin for pytest, in runs of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.source import ROOT

PLUGIN = ["-p", "quorate_pytest", "-p", "no:cacheprovider"]


def run(folder: Path, *arguments: str) -> str:
    """A run of pytest that must pass; what it printed."""
    # as an environment without the entry point would, so that the plugin is there once in any
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *PLUGIN, *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_imports_nothing_of_quorate_before_a_fixture_is_used(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n\n\ndef test_it():\n    assert 'quorate_pytest' in sys.modules and 'quorate' not in sys.modules\n"
    )
    assert "1 passed" in run(tmp_path)


def test_each_test_has_a_database_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n\n@pytest.fixture(scope='session')\ndef quorate_schema():\n"
        "    return lambda db: db.execute('CREATE TABLE t(x)')\n"
    )
    test = "def test_{0}(quorate_db):\n    quorate_db.execute('INSERT INTO t VALUES (1)')\n"
    test += "    assert quorate_db.execute('SELECT count(*) FROM t').fetchone() == (1,)\n\n\n"
    (tmp_path / "test_it.py").write_text("".join(test.format(number) for number in range(4)))
    assert "4 passed" in run(tmp_path, "-p", "xdist.plugin", "-n", "2")


@pytest.mark.parametrize("page", ["testing.md"])
def test_the_tests_of_the_page_pass(page: str, tmp_path: Path) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "test_page.py").write_text(program)
    assert "2 passed" in run(tmp_path)


PARTITION = """
import asyncio

import pytest
import quorate


def test_a_leader_that_is_cut_off_is_replaced(quorate_cluster):
    with quorate_cluster.connect(timeout=30) as db:
        db.execute("CREATE TABLE t(x)")
        old = quorate_cluster.leader
        quorate_cluster.partition("leader")
        db.execute("INSERT INTO t VALUES (1)")
        assert quorate_cluster.leader != old
        quorate_cluster.heal()
        quorate_cluster.kill(old)
        db.execute("INSERT INTO t VALUES (2)")


def test_all_is_well_again(quorate_cluster):
    async def main():
        async with quorate.aio.connect(quorate_cluster.url, timeout=30) as db:
            await db.execute("CREATE TABLE t(x)")
            return (await db.execute("SELECT count(*) FROM t")).fetchone()

    assert asyncio.run(main()) == (0,)
    assert quorate_cluster.kill("n1") == "n1"
    quorate_cluster.restart("n1")
    with pytest.raises(quorate.UnknownNode, match="n1, n2, n3"):
        quorate_cluster.kill("n9")
"""


def test_nodes_are_cut_off_and_killed(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(PARTITION.replace("import quorate\n", "import quorate\nimport quorate.aio\n"))
    assert "2 passed" in run(tmp_path)
