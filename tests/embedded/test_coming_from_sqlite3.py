"""Where an embedded database differs from `sqlite3`, it says so; where it need not differ, it does not."""

from pathlib import Path
from typing import Any

import pytest

import quorate


@pytest.fixture(params=["folder", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "shop") if request.param == "folder" else ":memory:"


def test_the_program_may_change_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with quorate.connect("shop") as db:
        db.execute("CREATE TABLE t(a)")
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        db.execute("INSERT INTO t VALUES (1)")
        assert db.execute("SELECT a FROM t").fetchall() == [(1,)]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_rowid_of_zero_is_a_rowid(target: str) -> None:
    with quorate.connect(target) as db:
        db.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v)")
        db.execute("CREATE TABLE w(k TEXT PRIMARY KEY) WITHOUT ROWID")
        assert db.execute("INSERT INTO t VALUES (0, last_insert_rowid())").lastrowid == 0
        assert db.execute("INSERT INTO t VALUES (-1, 2) RETURNING v").lastrowid == -1
        assert db.execute("INSERT INTO w VALUES ('a')").lastrowid is None
        assert db.execute("INSERT INTO t VALUES (0, 7) ON CONFLICT(k) DO UPDATE SET v = 7").lastrowid is None
        assert db.execute("INSERT OR IGNORE INTO t VALUES (0, 8)").lastrowid is None
        assert db.execute("UPDATE t SET v = last_insert_rowid() WHERE k = 0").lastrowid is None
        assert db.execute("SELECT v FROM t WHERE k = 0").fetchone() == (0,)
        assert db.execute("SELECT last_insert_rowid()").fetchone() == (0,)


@pytest.mark.parametrize("name", ["text_factory", "isolation_level", "create_aggregate"])
def test_what_sqlite3_has_besides_is_an_error_and_not_ignored(target: str, name: str) -> None:
    with quorate.connect(target) as db:
        assert not hasattr(db, name)
        with pytest.raises(AttributeError, match="coming-from-sqlite3"):
            getattr(db, name)
        with pytest.raises(quorate.NotSupportedError, match="coming-from-sqlite3"):
            setattr(db, name, "other")


def test_attributes_that_do_not_exist_cannot_be_set(target: str) -> None:
    with quorate.connect(target) as db:
        things: list[Any] = [db, db.execute("SELECT 1"), db.cursor()]
        for each in things:
            with pytest.raises(AttributeError):
                each.rowfactory = dict
        anyhow: Any = db
        anyhow.row_factory, anyhow.isolation_level, anyhow.text_factory = None, None, str  # as it is anyway
        assert db.execute("SELECT 1").arraysize == 1


def test_rollback_and_a_block_that_raises_undo_nothing(tmp_path: Path) -> None:
    def writes_and_fails() -> None:
        with quorate.connect(tmp_path / "kept") as db:
            db.execute("CREATE TABLE t(a)")
            db.rollback()
            raise LookupError

    with pytest.raises(LookupError):
        writes_and_fails()
    with quorate.connect(tmp_path / "kept") as db:
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_empty_statements_are_errors(target: str) -> None:
    with quorate.connect(target) as db:
        for sql in ("", " ; ", "-- nothing"):
            with pytest.raises(quorate.ProgrammingError, match="empty"):
                db.execute(sql)


def test_descriptions_have_declared_types(target: str) -> None:
    with quorate.connect(target) as db:
        db.execute("CREATE TABLE t(a VARCHAR(20), b)")
        description = db.execute("SELECT a, b, 1 AS c FROM t").description
        assert description is not None
        assert [column[:2] for column in description] == [("a", "VARCHAR(20)"), ("b", None), ("c", None)]
