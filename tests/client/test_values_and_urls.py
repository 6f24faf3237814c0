"""What goes into a call, checked before anything is sent; and how a target is read."""

import datetime as dt
import decimal
import enum
import fractions
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import quorate
from quorate.client import url
from quorate.client.pieces import Tokens, batch_statements, check_token, many_statement
from quorate.client.url import ClusterTarget, FolderTarget, MemoryTarget, parse_target
from quorate.client.values import check_parameters
from quorate.core.bookmarks import Bookmark, Reached, digest_of
from quorate.core.read_levels import parse
from quorate.core.statements import Token
from quorate.errors import DataError, OperationalError, ProgrammingError


class Colour(enum.IntEnum):
    RED = 3


class Name(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ((), ()),
        ([1, "a", None, 1.5, b"x"], (1, "a", None, 1.5, b"x")),
        ((True, False), (1, 0)),
        ((bytearray(b"x"), memoryview(b"y")), (b"x", b"y")),
        ((Colour.RED, Name("n")), (3, "n")),
        ((-(2**63), 2**63 - 1), (-(2**63), 2**63 - 1)),
        ({"a": 1}, {"a": 1}),
        ((value for value in (1, 2)), (1, 2)),
    ],
)
def test_parameters_become_what_sqlite_holds(given: Any, sent: Any) -> None:
    found = check_parameters(given)
    assert found == sent
    values = found.values() if isinstance(found, dict) else found
    assert all(type(value) in (int, float, str, bytes, type(None)) for value in values)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((1, 2**63), "parameter 2 is an integer beyond 64 bits"),
        ((-(2**63) - 1,), "parameter 1 is an integer beyond 64 bits"),
        ({"n": 2**70}, "parameter :n is an integer beyond 64 bits"),
        ((dt.datetime(2024, 1, 1, tzinfo=dt.UTC),), r"type datetime, which SQLite cannot hold .*isoformat"),
        ((dt.date(2024, 1, 1),), "type date.*isoformat"),
        ((dt.timedelta(1),), "type timedelta.*total_seconds"),
        ((decimal.Decimal("1.5"),), r"type Decimal.*str\(value\)"),
        (([1],), "type list.*one value for each"),
        ((object(),), "type object.*None, int, float, str and bytes"),
        (("\ud800",), "parameter 1 is text with a lone surrogate"),
    ],
)
def test_what_sqlite_cannot_hold_is_refused_by_name(given: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        check_parameters(given)


@pytest.mark.parametrize("given", ["text", b"bytes", 5, None, {1, 2}, {1: 2}])
def test_parameters_that_are_none(given: Any) -> None:
    with pytest.raises(ProgrammingError):
        check_parameters(given)


@pytest.mark.parametrize("given", ["SELECT 1", [], [5], [("SELECT 1",)], [("SELECT 1", (), 3)], [(1, ())]])
def test_batches_that_are_none(given: Any) -> None:
    with pytest.raises(ProgrammingError):
        batch_statements(given)


def test_executemany_is_for_writes() -> None:
    with pytest.raises(ProgrammingError, match="statements that write"):
        many_statement("SELECT ?", [(1,)])
    assert many_statement("DELETE FROM t WHERE a = ?", ((n,) for n in (1, 2))).sets == ((1,), (2,))


def test_tokens_remember_what_they_were_sent_with() -> None:
    tokens = Tokens("me")
    assert tokens.mint(None) == Token("me:1", 0)
    tokens.heard(9)
    tokens.heard(4)
    assert tokens.mint(None) == Token("me:2", 9)
    order = tokens.mint("order-1")
    tokens.keep(order)
    tokens.heard(50)
    assert tokens.mint("order-1") == order, "the same write is sent again with what it was sent with first"
    assert tokens.recall("order-1", None) == Token("order-1", order.seen)
    assert order.name == "order-1"
    assert tokens.recall("order-1", 3) == Token("order-1", 3)
    assert tokens.recall("somebody's", None) == Token("somebody's", 0)


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", 5, b"x"])
def test_tokens_that_are_none(name: Any) -> None:
    with pytest.raises(ProgrammingError, match="a token is a printable text"):
        check_token(name)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (":memory:", MemoryTarget()),
        ("./shop", FolderTarget(Path("shop"))),
        (Path("some") / "where", FolderTarget(Path("some/where"))),
        ("quorate://h", ClusterTarget((f"h:{url.DEFAULT_PORT}",))),
        ("quorate://h:1,h:2/shop", ClusterTarget(("h:1", "h:2"), "shop")),
        ("quorate://h:1, h:1 /", ClusterTarget(("h:1",))),
        ("QUORATE://h:1/a%20b?timeout=2.5&read=leader", ClusterTarget(("h:1",), "a b", 2.5, "leader")),
        ("quorate://[::1]:5,[fe80::1]/x", ClusterTarget(("[::1]:5", f"[fe80::1]:{url.DEFAULT_PORT}"), "x")),
    ],
)
def test_targets(text: Any, target: Any) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("quorate://", "without a host"),
        ("quorate:///shop", "without a host"),
        ("quorate://h:1,,h:2", "without a host"),
        ("quorate://h:port", "'port' is not a port"),
        ("quorate://h:0", "not a port"),
        ("quorate://h:65536", "not a port"),
        ("quorate://::1/x", r"\[::1\]"),
        ("quorate://[::1/x", "cannot read the address"),
        ("quorate://h/a/b", "cannot be the name"),
        ("quorate://h/x#y", "no part after"),
        ("quorate://h?timout=3", "unknown option 'timout'.*did you mean 'timeout'"),
        ("quorate://h?pink=3", "unknown option 'pink'.*known are"),
        ("quorate://h?timeout=soon", "not a number of seconds"),
        ("quorate://h?timeout=-1", "positive number of seconds"),
        ("quorate://h?read=linear", "did you mean 'linearizable'"),
        ("postgres://h/x", "unknown scheme 'postgres://'"),
        ("", "is empty"),
        (5, "takes a path or a URL"),
    ],
)
def test_targets_that_are_none(text: Any, words: str) -> None:
    with pytest.raises(ProgrammingError, match=words):
        parse_target(text)


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("bounded", "needs a time with a unit.*bounded:2s"),
        ("bounded:", "needs a time"),
        ("bounded:0s", "needs a time"),
        ("bounded:2", "needs a time"),
        ("bounded:2h", "needs a time"),
        ("bounded:-2s", "needs a time"),
        ("session:2s", "unknown read level 'session:2s'.*known are"),
        ("sesion", "did you mean 'session'"),
    ],
)
def test_read_levels_that_are_none(level: str, words: str) -> None:
    with pytest.raises(ProgrammingError, match=words):
        parse_target(f"quorate://h?read={level}")


@pytest.mark.parametrize(
    ("level", "bound_us"), [("bounded:2s", 2_000_000), ("bounded:1.5s", 1_500_000), ("bounded:250ms", 250_000)]
)
def test_a_bound_has_a_unit(level: str, bound_us: int) -> None:
    target = parse_target(f"quorate://h?read={level}")
    assert isinstance(target, ClusterTarget)
    assert target.read == level
    assert parse(level)[1] == bound_us


def test_a_url_carries_a_bookmark() -> None:
    mark = Bookmark(digest_of("1"), (Reached(1, 2, 3),))
    target = parse_target(f"quorate://h/shop?bookmark={mark}")
    assert isinstance(target, ClusterTarget)
    assert target.bookmark == mark
    with pytest.raises(ProgrammingError, match="not a bookmark"):
        parse_target("quorate://h/shop?bookmark=yes")


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "5", True])
def test_timeouts_that_are_none(timeout: Any) -> None:
    with pytest.raises(ProgrammingError, match="positive number of seconds"):
        quorate.connect(":memory:", timeout=timeout)


def test_types_and_constructors_of_pep_249() -> None:
    assert quorate.STRING == "VARCHAR(20)"
    assert quorate.NUMBER == "INTEGER"
    assert quorate.BINARY == "BLOB"
    assert quorate.DATETIME == "TIMESTAMP"
    assert quorate.NUMBER != "TEXT"
    assert quorate.NUMBER != quorate.STRING
    assert quorate.Binary(b"x") == b"x"
    assert quorate.Date(2024, 2, 3) == quorate.DateFromTicks(1706961600) == "2024-02-03"
    assert quorate.Time(1, 2, 3) == "01:02:03"
    assert quorate.Timestamp(2024, 2, 3, 12, 0, 0) == quorate.TimestampFromTicks(1706961600.9) == "2024-02-03 12:00:00"
    assert quorate.TimeFromTicks(1706961600) == "12:00:00"


def test_everything_public_is_there_and_nothing_else_is_promised() -> None:
    for name in quorate.__all__:
        assert getattr(quorate, name) is not None
        assert name in dir(quorate)
    with pytest.raises(AttributeError, match="has no attribute 'conect'"):
        quorate.conect  # noqa: B018
    with quorate.connect(":memory:") as db:
        assert isinstance(db, quorate.Connection)


def test_an_embedded_database_needs_no_network_and_no_loop() -> None:
    code = (
        "import quorate, sys\n"
        "with quorate.connect(':memory:') as db:\n"
        "    db.execute('CREATE TABLE t(a)'); db.execute('SELECT * FROM t')\n"
        "print(*(name for name in ('asyncio', 'socket', 'ssl', 'click', 'rich', 'uvloop') if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_value_of_a_foreign_type_is_named_with_its_module() -> None:
    with pytest.raises(DataError, match=r"type fractions\.Fraction, which"):
        check_parameters((fractions.Fraction(1, 2),))


def test_a_value_that_can_be_unpacked_says_how() -> None:
    bool_ = type("bool", (), {"__module__": "numpy", "item": lambda self: True})
    with pytest.raises(DataError, match=r"type numpy\.bool, which SQLite cannot hold \(pass value\.item\(\)\)"):
        check_parameters((bool_(),))


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("file:shop", ProgrammingError, "URI of SQLite"),
        ("file:shop?mode=ro", ProgrammingError, "URI of SQLite"),
        ("~/shop", ProgrammingError, "expanduser"),
        ("\ud800", ProgrammingError, "lone surrogate"),
        ("x" * 256, OperationalError, "cannot be opened"),
    ],
)
def test_paths_that_cannot_be_opened_leave_nothing_behind(
    path: str, error: type[Exception], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words):
        quorate.connect(path)
    assert list(tmp_path.iterdir()) == []
