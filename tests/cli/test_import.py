"""`quorate import` and `quorate export` on an embedded folder: what goes in comes out again."""

import json
from pathlib import Path
from typing import Any

import apsw
import pytest
from click.testing import CliRunner, Result

import quorate
from quorate.cli.data import import_steps
from quorate.cli.main import main
from quorate.storage.plain.file import PlainFile

ROOT = Path(__file__).resolve().parents[2]
CHINOOK = ROOT.parent / "shared" / "data" / "chinook.sqlite"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def content(path: Path, *, rowids: bool = True) -> dict[str, Any]:
    """Everything that a plain SQLite file says: its schema, the rows of each table, its numbers. `rowids`: hidden
    ones too, which in a cluster are each replica's own when a table has another key."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        schema = sorted(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall(), key=repr)
        rows: dict[str, Any] = {"schema": schema}
        listed: Any = connection.execute(
            "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')"
        ).fetchall()
        for name, kind, without_rowid in listed:
            if name in ("sqlite_schema", "sqlite_temp_schema"):
                continue
            keyed = connection.execute("SELECT 1 FROM pragma_table_info(?) WHERE pk", (name,)).fetchall()
            visible = kind == "table" and not without_rowid and (rowids or not keyed)
            hidden = "rowid, " if visible else ""
            rows[name] = sorted(connection.execute(f'SELECT {hidden}* FROM "{name}"').fetchall(), key=repr)
        rows["user_version"] = connection.pragma("user_version")
        rows["application_id"] = connection.pragma("application_id")
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return rows
    finally:
        connection.close()


def make(path: Path, *statements: str) -> Path:
    connection = apsw.Connection(str(path))
    connection.create_collation("german", lambda one, two: (one > two) - (one < two))
    for sql in statements:
        connection.execute(sql).fetchall()
    connection.close()
    return path


RICH = (
    "PRAGMA user_version = 7",
    "PRAGMA application_id = 4711",
    "CREATE TABLE plain(a, b)",
    "INSERT INTO plain(rowid, a, b) VALUES (3, 'x', 1.5), (900, NULL, x'00ff'), (-4, 'ü', 9223372036854775807)",
    "CREATE TABLE counted(id INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT)",
    "INSERT INTO counted(t) VALUES ('one'), ('two'), ('three')",
    "DELETE FROM counted WHERE id > 1",
    "CREATE TABLE empty_counted(id INTEGER PRIMARY KEY AUTOINCREMENT)",
    "INSERT INTO empty_counted DEFAULT VALUES",
    "DELETE FROM empty_counted",
    "CREATE TABLE keyed(a TEXT COLLATE NOCASE NOT NULL, b INT NOT NULL, c, PRIMARY KEY(a, b)) WITHOUT ROWID",
    "INSERT INTO keyed VALUES ('b', 1, 2), ('A', 2, 3), ('a', 1, NULL)",
    "CREATE TABLE strict_one(id INTEGER PRIMARY KEY, n REAL, any_one ANY) STRICT",
    "INSERT INTO strict_one VALUES (5, 1.0, 'x'), (6, NULL, 7)",
    'CREATE TABLE made(w REAL, h REAL, area REAL AS (w * h) STORED, half AS (w / 2), "odd ""name" TEXT)',
    "INSERT INTO made(w, h, \"odd \"\"name\") VALUES (2, 3, 'q'), (4, 5, '')",
    "CREATE TABLE shadowed(rowid TEXT, _rowid_ TEXT, key TEXT PRIMARY KEY)",
    "INSERT INTO shadowed(oid, rowid, _rowid_, key) VALUES (7, 'a', 'b', 'c'), (9, 'a', 'b', NULL)",
    "CREATE TABLE parent(id INTEGER PRIMARY KEY)",
    "CREATE TABLE child(id INTEGER PRIMARY KEY, p REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED)",
    "INSERT INTO child VALUES (1, 99)",
    "CREATE UNIQUE INDEX by_t ON counted(t) WHERE t <> ''",
    "CREATE INDEX by_lower ON plain(lower(a))",
    "CREATE VIEW seen AS SELECT a, count(*) AS n FROM plain GROUP BY a",
    "CREATE TABLE log(what)",
    "CREATE TRIGGER noted AFTER INSERT ON counted BEGIN INSERT INTO log VALUES (new.t); END",
    "CREATE TRIGGER through INSTEAD OF INSERT ON seen BEGIN INSERT INTO plain(a) VALUES (new.a); END",
)
VIRTUAL = (
    "CREATE TABLE doc(id INTEGER PRIMARY KEY, body TEXT)",
    "INSERT INTO doc VALUES (1, 'a quorum of nodes'), (2, 'one leader')",
    "CREATE VIRTUAL TABLE words USING fts5(title, body, tokenize = 'porter')",
    "INSERT INTO words(rowid, title, body) VALUES (10, 'first', 'running leaders'), (20, 'second', 'a node')",
    "INSERT INTO words(words, rank) VALUES ('rank', 'bm25(10.0, 5.0)')",
    "CREATE VIRTUAL TABLE over_doc USING fts5(body, content='doc', content_rowid='id')",
    "INSERT INTO over_doc(over_doc) VALUES ('rebuild')",
    "CREATE VIRTUAL TABLE older USING fts4(body)",
    "INSERT INTO older(docid, body) VALUES (3, 'some text'), (4, 'other text')",
    "CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1, y0, y1, +label TEXT)",
    "INSERT INTO boxes VALUES (1, 0.1, 1.3, 2, 3, 'a'), (2, -5, -4.7, 0, 0.5, 'b')",
)


def round_trip(source: Path, folder: Path) -> Path:
    done = run("import", source, "--into", folder)
    assert done.exit_code == 0, done.output
    done = run("export", folder, folder.parent / "out.db")
    assert done.exit_code == 0, done.output
    return folder.parent / "out.db"


@pytest.mark.skipif(not CHINOOK.exists(), reason="the sample database is not beside this checkout")
def test_a_file_that_somebody_else_made_comes_out_as_it_went_in(tmp_path: Path) -> None:
    out = round_trip(CHINOOK, tmp_path / "shop")
    assert content(out) == content(CHINOOK)


def test_everything_that_sqlite_has_comes_out_as_it_went_in(tmp_path: Path) -> None:
    source = make(tmp_path / "in.db", *RICH)
    assert content(round_trip(source, tmp_path / "shop")) == content(source)


def test_numbers_of_deleted_rows_are_not_given_out_again(tmp_path: Path) -> None:
    round_trip(make(tmp_path / "in.db", *RICH), tmp_path / "shop")
    with quorate.connect(tmp_path / "shop") as db:
        assert db.execute("INSERT INTO counted(t) VALUES ('four')").lastrowid == 4
        assert db.execute("INSERT INTO empty_counted DEFAULT VALUES").lastrowid == 2
        assert db.execute("SELECT * FROM log").fetchall() == [("four",)], "triggers fire, but did not while loading"


def test_full_text_and_spatial_tables_travel(tmp_path: Path) -> None:
    source = make(tmp_path / "in.db", *VIRTUAL)
    out = round_trip(source, tmp_path / "shop")
    mine, theirs = content(out), content(source)
    for table in ("doc", "words", "over_doc", "older", "boxes", "words_config"):
        assert mine.get(table) == theirs.get(table), table
    connection = apsw.Connection(str(out), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.execute("SELECT rowid FROM words('leader')").fetchall() == [(10,)]
    assert connection.execute("SELECT rowid FROM over_doc('quorum')").fetchall() == [(1,)]
    assert connection.execute("SELECT docid FROM older WHERE older MATCH 'other'").fetchall() == [(4,)]
    assert connection.execute("SELECT label FROM boxes WHERE x0 < 0").fetchall() == [("b",)]
    connection.close()


def test_analysed_files_are_analysed_again(tmp_path: Path) -> None:
    source = make(
        tmp_path / "in.db", "CREATE TABLE t(a)", "CREATE INDEX i ON t(a)", "INSERT INTO t VALUES (1)", "ANALYZE"
    )
    out = round_trip(source, tmp_path / "shop")
    assert content(out)["sqlite_stat1"]


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (("CREATE TABLE quorate_mine(a)",), "quorate_mine"),
        (("CREATE TABLE t(k PRIMARY KEY, g AS (k * 2)) WITHOUT ROWID",), "a VIRTUAL column"),
        (("CREATE VIRTUAL TABLE d USING dbstat(main)",), "dbstat"),
        (("CREATE VIRTUAL TABLE f USING fts5(x, content='')",), "does not store its text"),
        (("CREATE TABLE t(a)", "INSERT INTO t VALUES (CAST(x'ff41' AS TEXT))"), "not UTF-8"),
        (("CREATE TABLE t(rowid, oid, _rowid_)",), "nothing names its rowids"),
        (("CREATE TABLE t(a COLLATE german)",), "german"),
        (
            (
                "CREATE TABLE t(a CHECK (a > 0))",
                "PRAGMA ignore_check_constraints = ON",
                "INSERT INTO t VALUES (1), (-1)",
            ),
            "table t: CHECK constraint failed",
        ),
        (
            (
                "CREATE TABLE t(a)",
                "PRAGMA writable_schema = ON",
                "UPDATE sqlite_schema SET rootpage = 0, sql = 'CREATE VIRTUAL TABLE t USING nosuch(a)'",
            ),
            "table t: virtual tables of the module nosuch",
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_what_cannot_be_carried_is_named_and_nothing_is_written(
    tmp_path: Path, statements: tuple[str, ...], named: str
) -> None:
    source = make(tmp_path / "in.db", *statements)
    done = run("import", source, "--into", tmp_path / "shop")
    assert done.exit_code == 4
    assert named in done.output
    assert not (tmp_path / "shop").exists()


def test_a_missing_a_damaged_and_a_foreign_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to have a header if it were one " * 9)
    broken = make(tmp_path / "broken.db", "CREATE TABLE t(a)", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
                  " FROM n LIMIT 5000) INSERT INTO t SELECT 'row ' || i FROM n")  # fmt: skip
    data = bytearray(broken.read_bytes())
    data[4096 * 3 : 4096 * 3 + 2000] = b"\xff" * 2000
    broken.write_bytes(data)
    for name, words in (("none.db", "is not a file"), ("text", "not a SQLite database"), ("broken.db", "damaged")):
        done = run("import", tmp_path / name, "--into", tmp_path / "shop")
        assert done.exit_code in (2, 4), done.output
        assert words in done.output
    assert not (tmp_path / "shop").exists()


def big(path: Path, rows: int = 2600) -> Path:
    return make(
        path,
        "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
        "CREATE TABLE u(b)",
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT {rows})"
        " INSERT INTO t SELECT i, 'row ' || i FROM n",
        "INSERT INTO u SELECT b FROM t",
        "CREATE INDEX i ON u(b)",
        "CREATE VIEW v AS SELECT * FROM t",
    )


class Died(BaseException):
    """The loader's process ends here."""


@pytest.mark.parametrize("before", [True, False], ids=["before the request", "after it, unanswered"])
@pytest.mark.parametrize("at", [0, 1, 9, 14])
def test_an_interrupted_import_goes_on_and_doubles_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int, before: bool
) -> None:
    source = big(tmp_path / "in.db")
    send = import_steps.Loader._send
    last = len(list(import_steps.steps(PlainFile(source))))
    at = min(at, last)

    def dying(self: import_steps.Loader, number: int, statements: Any) -> None:
        if before and number == at:
            raise Died
        send(self, number, statements)
        if number == at:
            raise Died

    with monkeypatch.context() as patch:
        patch.setattr(import_steps.Loader, "_send", dying)
        with pytest.raises(Died):
            CliRunner().invoke(main, ["import", str(source), "--into", str(tmp_path / "shop")], catch_exceptions=False)
    done = run("import", source, "--into", tmp_path / "shop", "--json")
    if not before and at == last:  # it had finished
        assert done.exit_code == 4
        assert "already" in done.output
    else:
        assert done.exit_code == 0, done.output
        assert json.loads(done.output[done.output.index("{") :])["resumed"] is (at > 0 or not before)
    run("export", tmp_path / "shop", tmp_path / "out.db")
    assert content(tmp_path / "out.db") == content(source)


def test_a_lost_answer_does_not_double_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request happened, its answer was lost: the step is settled by its token."""
    source = big(tmp_path / "in.db")
    real = quorate.EmbeddedConnection.run
    lost: list[str] = []

    def losing(self: Any, statements: Any, name: str | None = None, **rest: Any) -> Any:
        found = real(self, statements, name, **rest)
        if name is not None and name.endswith(":0") and len(lost) < 5:
            lost.append(name)
            raise quorate.MaybeDone("lost", token=name)
        return found

    monkeypatch.setattr(quorate.EmbeddedConnection, "run", losing)
    assert content(round_trip(source, tmp_path / "shop")) == content(source)
    assert len(lost) == 5


def test_another_file_does_not_go_on_where_one_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = big(tmp_path / "in.db")
    with monkeypatch.context() as patch:
        patch.setattr(import_steps, "steps", lambda _file: iter([import_steps.Step((), 0)] * 0))
        assert run("import", source, "--into", tmp_path / "shop").exit_code == 0
    other = make(tmp_path / "other.db", "CREATE TABLE w(a)")
    done = run("import", other, "--into", tmp_path / "shop")
    assert done.exit_code == 4
    assert "another file" in done.output


def test_a_database_that_has_such_tables_is_left_alone(tmp_path: Path) -> None:
    with quorate.connect(tmp_path / "shop") as db:
        db.execute("CREATE TABLE T(x)")
    done = run("import", big(tmp_path / "in.db"), "--into", tmp_path / "shop")
    assert done.exit_code == 4
    assert "has t already" in done.output
    with quorate.connect(tmp_path / "shop") as db:
        assert db.execute("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'quorate%'").fetchall() == [("T",)]


def test_a_file_can_be_imported_again_after_its_tables_were_dropped(tmp_path: Path) -> None:
    """The tokens of a second import are not those of the first, or its steps would be taken for repetitions."""
    source = make(tmp_path / "in.db", "CREATE TABLE t(a)", "INSERT INTO t VALUES (1), (2)")
    assert run("import", source, "--into", tmp_path / "shop").exit_code == 0
    with quorate.connect(tmp_path / "shop") as db:
        db.execute("DROP TABLE t")
    assert run("import", source, "--into", tmp_path / "shop").exit_code == 0
    with quorate.connect(tmp_path / "shop") as db:
        assert db.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_export_replaces_a_file_only_when_told(tmp_path: Path) -> None:
    with quorate.connect(tmp_path / "shop") as db:
        db.execute("CREATE TABLE t(x)")
    (tmp_path / "out.db").write_text("precious")
    done = run("export", tmp_path / "shop", tmp_path / "out.db")
    assert done.exit_code == 2
    assert "exists already" in done.output
    assert (tmp_path / "out.db").read_text() == "precious"
    assert run("export", tmp_path / "shop", tmp_path / "out.db", "--force").exit_code == 0
    assert [row[1] for row in content(tmp_path / "out.db")["schema"]] == ["t"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.db", "shop"], "no draft is left"


def test_a_part_of_an_import_is_not_exported_as_if_it_were_all(tmp_path: Path) -> None:
    with quorate.connect(tmp_path / "shop") as db:
        db.execute(f"CREATE TABLE {import_steps.PROGRESS}(step)")
    done = run("export", tmp_path / "shop", tmp_path / "out.db")
    assert done.exit_code == 4
    assert "was interrupted" in done.stderr
    assert not (tmp_path / "out.db").exists()


def test_an_export_makes_no_database(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        assert run("export", tmp_path / name, tmp_path / "out.db").exit_code == 2
    assert [path.name for path in tmp_path.rglob("*")] == ["empty"]


def test_foreign_keys_that_sqlite_cannot_check_are_carried_and_said(tmp_path: Path) -> None:
    plain = make(
        tmp_path / "plain.db",
        "CREATE TABLE p(id INT, x INT)",
        "CREATE TABLE c(pid REFERENCES p(x))",
        "CREATE TABLE q(k INTEGER PRIMARY KEY, r REFERENCES q)",
        "INSERT INTO p VALUES (1, 1)",
        "INSERT INTO c VALUES (1)",
        "INSERT INTO q VALUES (1, 77)",
    )
    done = run("import", plain, "--into", tmp_path / "shop")
    assert done.exit_code == 0, done.stderr
    assert 'foreign key mismatch - "c" referencing "p"; it is loaded as it is' in done.stderr
    assert "1 rows refer to rows that do not exist" in done.stderr
    assert run("export", tmp_path / "shop", tmp_path / "out.db").exit_code == 0
    assert content(tmp_path / "out.db") == content(plain)
