"""Folders that were written by this release and those before it, kept in tests/fixtures, open with every row."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import quorate
from quorate.core.formats import FIRST, FORMATS, HERE
from quorate.storage.folder import open_store

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
NUMBERS = sorted(int(path.name.removeprefix("format-")) for path in FIXTURES.glob("format-*"))


def rows(db: Any, tables: Any) -> dict[str, list[list[Any]]]:
    """As tools/make_fixtures.py says them."""

    def said(value: Any) -> Any:
        return {"hex": value.hex()} if isinstance(value, bytes) else value

    return {
        table: [[said(value) for value in row] for row in db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()]
        for table in tables
    }


def expected(number: int) -> dict[str, Any]:
    text = (FIXTURES / f"format-{number}" / "rows.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def test_there_is_a_fixture_of_each_format_that_this_release_reads() -> None:
    assert [number for number in NUMBERS if number in HERE] == list(range(HERE.lowest, HERE.highest + 1))
    assert [each.number for each in FORMATS] == list(range(FIRST, HERE.highest + 1))


@pytest.mark.parametrize("kind", ["embedded", "crashed"])
@pytest.mark.parametrize("number", [number for number in NUMBERS if number in HERE])
def test_an_embedded_folder_opens_with_every_row_and_goes_on(tmp_path: Path, number: int, kind: str) -> None:
    folder = tmp_path / "n"
    shutil.copytree(FIXTURES / f"format-{number}" / kind, folder)
    known = expected(number)
    for boot in range(2):
        with quorate.connect(folder) as db:
            assert rows(db, known) == known
            db.execute("INSERT INTO orders(sku, n) VALUES ('tea', 5)")
            db.execute("DELETE FROM orders WHERE n = 5")
            fresh = db.execute("INSERT INTO orders(sku, n) VALUES ('tea', 5) RETURNING id").fetchone()
            assert fresh is not None
            assert fresh[0] == 42 + 2 * boot, "AUTOINCREMENT goes on where it was"
            db.execute("DELETE FROM orders WHERE n = 5")
            db.execute("UPDATE stock SET n = ? WHERE sku = 'tea'", (known["stock"][-1][1],))
            known = rows(db, known)
    store = open_store(folder)
    assert store.identity.format == number, "nobody asked for another"
    store.close()
