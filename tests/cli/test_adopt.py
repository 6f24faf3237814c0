"""`quorate adopt`, and what the other commands say of a folder that needs it."""

from contextlib import closing
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner, Result

import quorate
from quorate.cli.main import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Closed, and edited since."""
    path = tmp_path / "e"
    with quorate.connect(path) as db:
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, n)")
        db.execute("INSERT INTO t VALUES (1, 10)")
    with closing(apsw.Connection(str(path / "group-1-0.db"))) as connection:
        connection.execute("UPDATE t SET n = 11")
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def test_other_commands_name_it(folder: Path, tmp_path: Path) -> None:
    for arguments in (("verify", folder), ("export", folder, tmp_path / "x.db")):
        done = run(*arguments)
        assert done.exit_code == 4
        assert f"quorate adopt {folder}" in done.output


def test_nothing_happens_without_a_yes(folder: Path) -> None:
    done = run("adopt", folder)
    assert done.exit_code == 2
    assert "no entry of the log is lost" in done.output
    assert "--yes" in done.output
    with pytest.raises(quorate.DataDamaged):
        quorate.connect(folder)


def test_with_a_yes_everything_works_again(folder: Path, tmp_path: Path) -> None:
    assert run("adopt", folder, "--yes").exit_code == 0
    assert run("verify", folder).exit_code == 0
    assert run("export", folder, tmp_path / "x.db").exit_code == 0
    with closing(apsw.Connection(str(tmp_path / "x.db"))) as plain:
        assert plain.execute("SELECT * FROM t").fetchall() == [(1, 11)]
    assert "nothing to adopt" in run("adopt", folder).output
    assert "nothing is known to be lost" in run("lost", "list", folder).output


def test_a_replica_s_own_file_can_be_imported_instead(folder: Path, tmp_path: Path) -> None:
    done = run("import", folder / "group-1-0.db", "--into", tmp_path / "other")
    assert done.exit_code == 0, done.output
    with quorate.connect(tmp_path / "other") as db:
        assert db.execute("SELECT * FROM t").fetchall() == [(1, 11)]


def test_a_folder_without_a_node_is_a_wrong_argument(tmp_path: Path) -> None:
    assert run("adopt", tmp_path / "nothing").exit_code == 2
