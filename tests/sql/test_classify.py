"""What the text of a statement tells, compared with what SQLite says of it."""

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quorate.sql.classify import CHANGE, CREATE_AS, DDL, DROP_TABLE, EMPTY, READ, REFUSED, is_read, shape_of
from quorate.sql.pragmas import pragma_reads
from quorate.sql.tokens import quoted, tokens, unquoted

READS = [
    "SELECT 1", "select * from t", "VALUES (1)", "EXPLAIN DELETE FROM t", "EXPLAIN QUERY PLAN UPDATE t SET a = 1",
    "WITH x AS (SELECT 1) SELECT * FROM x", "/* c */ SELECT 1", "-- c\nSELECT 1", "  \n\tSELECT 1;", ";SELECT 1",
    "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i FROM n",
    "WITH replace AS (SELECT 1 AS insert_), b AS MATERIALIZED (SELECT 2) SELECT * FROM replace, b",
    "WITH \"delete\"(a) AS (VALUES ('INSERT')) SELECT a FROM \"delete\"", "PRAGMA table_info(t)", "PRAGMA user_version",
    "PRAGMA main.index_list('t')", "PRAGMA foreign_keys", "SELECT 'a;b', \"a\", [a], `a` FROM t",
    "SELECT ';' /* ; */ -- ;\n", "SELECT 1 AS 'x''y;z'",
]  # fmt: skip
WRITES = [
    ("INSERT INTO t VALUES (1, 2)", CHANGE), ("replace into t values (1, 2)", CHANGE), ("UPDATE t SET a = 1", CHANGE),
    ("DELETE FROM t", CHANGE), ("WITH x AS (SELECT 1 AS a) INSERT INTO t SELECT a, a FROM x", CHANGE),
    ("WITH x(a) AS NOT MATERIALIZED (SELECT 1), y AS (SELECT 2) UPDATE t SET a = (SELECT a FROM x)", CHANGE),
    ("WITH x AS (SELECT 1) DELETE FROM t WHERE a IN x", CHANGE), ("CREATE TABLE u(a)", DDL),
    ("CREATE INDEX i ON t(a)", DDL),
    ("CREATE TABLE u AS SELECT 1", CREATE_AS), ("CREATE TABLE IF NOT EXISTS main.[u v] AS VALUES (1)", CREATE_AS),
    ("DROP TABLE t", DROP_TABLE), ("DROP TABLE IF EXISTS t", DROP_TABLE), ("DROP VIEW IF EXISTS v", DDL),
    ("ALTER TABLE t ADD COLUMN c", DDL), ("ANALYZE", DDL), ("REINDEX", DDL), ("PRAGMA user_version = 3", DDL),
    ("CREATE VIEW v AS SELECT 1", DDL), ("CREATE TABLE u(\"AS\" TEXT, b AS (1))", DDL),
]  # fmt: skip
TRIGGER = (
    "CREATE TRIGGER g AFTER INSERT ON t WHEN NEW.a = 1 BEGIN\n UPDATE t SET b = CASE a WHEN 1 THEN 2 END; -- ; END ;\n"
    " SELECT 'x; END; y'; END"
)


@pytest.fixture(scope="module")
def database() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t(a, b)")
    return connection


@pytest.mark.parametrize("sql", READS)
def test_reads(sql: str, database: apsw.Connection) -> None:
    assert is_read(sql)
    assert shape_of(sql).kind == READ
    assert not shape_of(sql).surplus
    assert shape_of(sql).rows
    database.execute(shape_of(sql).sql).fetchall()


@pytest.mark.parametrize(("sql", "kind"), [*WRITES, (TRIGGER, DDL)])
def test_writes(sql: str, kind: int) -> None:
    for text in (sql, sql + ";", f" -- hi\n{sql} ; ; /* there"):
        assert not is_read(text)
        assert shape_of(text).kind == kind
        assert not shape_of(text).surplus
        assert apsw.complete(shape_of(text).sql + ";")


@pytest.mark.parametrize("sql", ["", " ", ";", "-- c", "/* c", ";;\n;"])
def test_nothing(sql: str) -> None:
    assert shape_of(sql).kind == EMPTY
    assert is_read(sql)


@pytest.mark.parametrize(
    "sql", ["BEGIN", "commit", "ATTACH 'a' AS b", "VACUUM", "CREATE TEMP TABLE x(a)", "PRAGMA journal_mode=x"]
)
def test_refused(sql: str) -> None:
    error, message, hint = shape_of(sql).refusal
    assert shape_of(sql).kind == REFUSED
    assert error == "NotSupportedError"
    assert message
    assert hint


@pytest.mark.parametrize("first", [*READS[:3], *(sql for sql, _ in WRITES), TRIGGER])
def test_a_second_statement_is_surplus(first: str) -> None:
    shape = shape_of(f"{first} ; -- and\n DROP TABLE t")
    assert shape.surplus == "DROP TABLE t"
    assert shape.kind == shape_of(first).kind


def test_what_create_as_selects() -> None:
    shape = shape_of('CREATE TABLE "a ""b" AS WITH x AS (SELECT 1) SELECT * FROM x')
    assert shape.table == 'a "b'
    assert shape.sql[shape.select :] == "WITH x AS (SELECT 1) SELECT * FROM x"


def test_letters_that_only_look_like_keywords() -> None:
    assert shape_of("\u0131nsert into t values (1)").kind == READ  # a dotless i: SQLite will say what is wrong


@pytest.mark.parametrize("name", ["a", "a b", 'a"b', "a'b", "[x]", "", "é", "select"])
def test_quoting_and_back(name: str) -> None:
    ((kind, text, _, _),) = tokens(quoted(name))
    assert unquoted(kind, text) == name


def test_pragmas_that_only_read_do_not_write(database: apsw.Connection) -> None:
    assert pragma_reads("Table_Info", "t")
    assert pragma_reads("foreign_keys", None)
    assert not pragma_reads("foreign_keys", "1")
    assert not pragma_reads("writable_schema", None)


EXPRESSIONS = st.sampled_from(
    [
        "1",
        "a",
        "'x;y'",
        '"a"',
        "[a]",
        "x'00'",
        "max(a, 2)",
        "CASE a WHEN 1 THEN 'END' END",
        "(SELECT b FROM t)",
        "?",
        ":p",
        "1e5",
    ]
)
BLANKS = st.sampled_from([" ", "\n", "\t ", " /* ; */ ", " -- ; select\n", " /* it's */ "])


@st.composite
def statements(draw: st.DrawFn) -> str:
    one, two = draw(EXPRESSIONS), draw(EXPRESSIONS)
    body = draw(
        st.sampled_from(
            [
                f"SELECT {one} , {two} FROM t",
                "INSERT INTO t VALUES ( 1 , 2 )",
                f"INSERT INTO t SELECT {one} , {two} FROM t",
                f"UPDATE t SET a = {one} WHERE b = {two}",
                f"DELETE FROM t WHERE {one} = {two}",
                f"REPLACE INTO t SELECT {one} , {two} FROM t",
                "VALUES ( 1 , 'x' )",
                f"EXPLAIN SELECT {one} FROM t",
                f"CREATE TABLE u AS SELECT {one.replace('?', '1').replace(':p', '1')} AS c FROM t",
                "CREATE TABLE u ( a , b TEXT )",
                "DROP TABLE t",
                "CREATE INDEX i ON t ( a )",
                "ALTER TABLE t ADD COLUMN c",
                "ANALYZE",
                "PRAGMA user_version",
                "PRAGMA user_version = 5",
            ]
        )
    )
    with_clause = draw(
        st.sampled_from(
            [
                "",
                "",
                "WITH w AS ( SELECT 1 ) ",
                "WITH RECURSIVE insert_ ( a ) AS ( VALUES ( 1 ) ) , replace AS ( SELECT 2 ) ",
            ]
        )
    )
    if body.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "REPLACE", "VALUES"):
        body = with_clause + body
    case = draw(st.sampled_from(["strip", "lower", "upper"]))
    words = [word if "'" in word else getattr(word, case)() for word in body.split(" ")]
    gaps = draw(st.lists(BLANKS, min_size=len(words), max_size=len(words)))
    return (
        draw(BLANKS)
        + "".join(word + gap for word, gap in zip(words, gaps, strict=True))
        + draw(st.sampled_from(["", ";", " ; -- x"]))
    )


@settings(max_examples=300, deadline=None)
@given(statements())
def test_sqlite_agrees_about_what_reads(sql: str) -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t(a, b)")
    seen: list[bool] = []

    def note(cursor: apsw.Cursor, _sql: str, _bindings: object) -> bool:
        seen.append(cursor.is_readonly)
        return False

    shape = shape_of(sql)
    assert not shape.surplus
    cursor = connection.cursor()
    cursor.exec_trace = note
    parameters = {"p": 1, "P": 1} if ":" in sql else (1,) * shape.sql.count("?")
    try:
        cursor.execute(shape.sql, parameters)
    except apsw.ExecTraceAbort:
        pass
    except apsw.BindingsError:
        return
    finally:
        cursor.close(force=True)
        connection.close()
    assert is_read(sql) == seen[0], sql


@given(st.text(alphabet="abcSELECT;'\"`[]-*/x \n(),.0123?:@\u00e9", max_size=60))
def test_any_text_is_cut_into_tokens_that_lie_in_order(text: str) -> None:
    end = 0
    for _, _, first, behind in tokens(text):
        assert end <= first < behind
        end = behind
    assert shape_of(text).kind in (EMPTY, READ, CHANGE, DDL, REFUSED)


@given(
    st.lists(st.sampled_from(["SELECT 1", "SELECT ';'", "DELETE FROM t", "-- ;\n", "/* ; */", TRIGGER, ""]), max_size=4)
)
def test_statements_are_told_apart_as_sqlite_does(parts: list[str]) -> None:
    text = ";".join(parts)
    shape = shape_of(text)
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t(a, b)")
    ran: list[str] = []

    def note(_cursor: apsw.Cursor, sql: str, _bindings: object) -> bool:
        ran.append(sql)
        return True

    cursor = connection.cursor()
    cursor.exec_trace = note
    try:
        cursor.execute(text).fetchall()
    except apsw.SQLError:  # the same trigger twice
        ran += [text, text]
    connection.close()
    count = sum(1 for sql in ran if shape_of(sql).kind != EMPTY)
    assert bool(shape.surplus) == (count > 1)
