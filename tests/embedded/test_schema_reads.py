"""Who reads the schema does not meet the tables of the replica itself, however the schema is named."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import quorate
from quorate.sql.hiding import without_ours


@pytest.fixture(params=["folder", "memory"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    with quorate.connect(tmp_path / "shop" if request.param == "folder" else ":memory:") as connection:
        connection.execute("CREATE TABLE stock(sku TEXT PRIMARY KEY, n)")
        connection.execute("CREATE VIEW low AS SELECT sku FROM stock WHERE n < 3")
        yield connection


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT name FROM sqlite_master ORDER BY name",
        'SELECT name FROM "main"."sqlite_master" ORDER BY name;',
        "SELECT m.name FROM main.sqlite_schema AS m ORDER BY 1",
        "SELECT m.name FROM SQLite_Master m WHERE 1 ORDER BY m.name",
        "SELECT sqlite_master.name FROM sqlite_master ORDER BY sqlite_master.name",
        "SELECT a.name FROM sqlite_master a JOIN sqlite_schema USING (name) ORDER BY 1",
        "SELECT name FROM (SELECT * FROM sqlite_master) UNION SELECT name FROM sqlite_temp_master ORDER BY name",
        "SELECT m.name FROM (SELECT 1, 2) AS t, sqlite_master AS m ORDER BY 1",
        "WITH s AS (SELECT name FROM sqlite_schema) SELECT name FROM s ORDER BY name",
    ],
)
def test_the_schema_holds_what_the_program_has_made(db: Any, sql: str) -> None:
    names = ["low", "sqlite_autoindex_stock_1", "stock"]
    assert [name for (name,) in db.execute(sql)] == names
    with db.transaction() as tx:
        assert [name for (name,) in tx.execute(sql)] == names


def test_lists_of_tables_hold_them_too(db: Any) -> None:
    for sql in ("PRAGMA table_list", "PRAGMA main.table_list", "SELECT * FROM pragma_table_list"):
        found = {row[1] for row in db.execute(sql)}
        assert found - {"sqlite_schema"} == {"low", "stock"}, sql
    assert [row[1] for row in db.execute("PRAGMA table_list('STOCK')")] == ["stock"]
    assert [row[1] for row in db.execute("PRAGMA table_list = low")] == ["low"]


@pytest.mark.parametrize("name", ["sqlite_temp_master", "sqlite_temp_schema", "temp.sqlite_master"])
def test_there_are_no_temporary_objects(db: Any, name: str) -> None:
    assert db.execute(f"SELECT name, sql FROM {name}").fetchall() == []


def test_other_mentions_are_left_alone(db: Any) -> None:
    for sql in (
        "SELECT 'sqlite_master', \"sqlite_master\" FROM (SELECT 1 AS sqlite_master)",
        "SELECT n AS sqlite_master FROM stock",
        "SELECT 1 FROM stock -- from sqlite_master",
        "SELECT name IN ('sqlite_master', 'sqlite_schema') FROM t",
    ):
        assert without_ours(sql) == sql
    assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'sqlite_master'").fetchone() == (0,)
