"""docs/limits.md says the numbers of `core.limits` and of holds, and each size is enforced by
name; those of a cluster's requests and results are tested in tests/cluster/test_bad_callers.py."""

import re
from pathlib import Path

import pytest

import quorate
from quorate.core import limits
from quorate.core.limits import MIB
from quorate.core.settings import Settings
from quorate.runtime.config import Config

PAGE = (Path(__file__).parents[2] / "docs" / "limits.md").read_text()
NUMBERS = {
    "a value, and a row": f"{limits.ROW_BYTES_MAX // MIB} MiB",
    "the text of one statement": f"{limits.SQL_BYTES_MAX // MIB} MiB",
    "one request to a cluster": f"{limits.REQUEST_BYTES_MAX // MIB} MiB",
    "what one write changes": f"{limits.CAPTURED_BYTES_MAX // MIB} MiB",
    "the former content": f"{limits.IMAGES_BYTES_MAX // MIB} MiB",
    "the result of one request": f"{limits.RESULT_BYTES_MAX // MIB} MiB",
    "a value that a read computes": f"{limits.COMPUTED_BYTES_MAX // MIB} MiB",
    "how long a transaction holds": f"{Settings().hold_us / 1_000_000:g} s",
    "how long it may send nothing": f"{Settings().hold_idle_us / 1_000_000:g} s",
    "how long a node keeps": (
        f"{Settings().view_us // 60_000_000} minutes; {Settings().view_idle_us // 1_000_000} s when nobody reads"
    ),
    "how many it keeps": f"{Settings().views_max}",
    "the write-ahead log": f"{Settings().view_wal_bytes // MIB} MiB",
    "parameters": f"{limits.PARAMETERS_MAX:,}",
    "columns": f"{limits.COLUMNS_MAX:,}",
    "the pattern": f"{limits.PATTERN_BYTES_MAX:,} bytes",
    "how deep": f"{limits.EXPRESSION_DEPTH_MAX:,}",
    "`SELECT`s": f"{limits.COMPOUND_MAX:,}",
    "triggers": f"{limits.TRIGGER_DEPTH_MAX:,}",
}
LARGEST = limits.ROW_BYTES_MAX - 16


def test_the_page_says_every_number() -> None:
    first, _, _ = PAGE.partition("\n## ")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|", first, re.MULTILINE)[1:]
    assert [number for _, number in rows] == list(NUMBERS.values())
    assert all(what.startswith(begin) for (what, _), begin in zip(rows, NUMBERS, strict=True))


def test_the_page_says_what_one_user_may_have() -> None:
    config = Config()
    rows = dict(re.findall(r"^\| [^|]+ \| ([^|]+) \| `(user_\w+)` \|", PAGE, re.MULTILINE))
    assert {key: number for number, key in rows.items()} == {
        "user_connections": f"{config.user_connections:,}",
        "user_requests": f"{config.user_requests:,}",
        "user_request_bytes": f"{config.user_request_bytes // MIB} MiB",
        "user_read_time": "no bound" if not config.user_read_time else "",
    }


def test_limits_fit_into_one_another() -> None:
    assert limits.FRAME_BYTES_MAX > limits.ENTRY_BYTES_MAX + MIB
    assert limits.ENTRY_BYTES_MAX > limits.CAPTURED_BYTES_MAX > 2 * limits.ROW_BYTES_MAX
    assert limits.CAPTURED_BYTES_MAX > limits.REQUEST_BYTES_MAX > limits.ROW_BYTES_MAX + limits.SQL_BYTES_MAX
    assert limits.RESULT_BYTES_MAX > limits.ROW_BYTES_MAX


def test_each_is_enforced_where_it_is_written(tmp_path: Path) -> None:
    with quorate.connect(tmp_path / "folder") as db:
        db.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        db.execute("INSERT INTO t VALUES (1, ?)", (bytes(LARGEST),))
        for number in (2, 3, 4):
            db.execute("INSERT INTO t SELECT ?, v FROM t WHERE id = 1", (number,))
        for sql, limit in (
            (f"INSERT INTO t(v) VALUES (zeroblob({limits.ROW_BYTES_MAX}))", limits.ROW_BYTES_MAX),
            ("UPDATE t SET v = v || 'more than fits'", limits.ROW_BYTES_MAX),
            (f"INSERT INTO t(v) VALUES ('{'x' * limits.SQL_BYTES_MAX}')", limits.SQL_BYTES_MAX),
            ("INSERT INTO t(v) SELECT v FROM t", limits.CAPTURED_BYTES_MAX),
            ("UPDATE t SET v = CAST(v AS TEXT)", limits.CAPTURED_BYTES_MAX),
        ):
            with pytest.raises(quorate.TooLarge, match=str(limit)):
                db.execute(sql)
            with pytest.raises(quorate.TooLarge, match=str(limit)):
                db.batch(["DELETE FROM t WHERE id = 9", sql, sql])
        assert db.execute("SELECT id, length(v) FROM t").fetchall() == [(number, LARGEST) for number in (1, 2, 3, 4)]
        db.execute("UPDATE t SET v = CAST(v AS TEXT) WHERE id = 1")
        db.execute("DELETE FROM t WHERE id = 2")
