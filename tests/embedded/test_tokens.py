"""A token that a caller chooses names one write, and no other."""

from pathlib import Path

import pytest

import quorate


def test_a_token_reused_with_another_statement_is_refused_and_does_nothing(tmp_path: Path) -> None:
    with quorate.connect(tmp_path / "shop") as db:
        db.execute("CREATE TABLE t(a, b)")
        db.execute("INSERT INTO t VALUES (:a, :b)", {"a": 1, "b": 2}, token="order-1")
        again = db.execute("INSERT INTO t VALUES (:a, :b)", {"b": 2, "a": 1}, token="order-1")
        assert again.rowcount == 1
    with quorate.connect(tmp_path / "shop") as db:
        for sql, parameters in (
            ("INSERT INTO t VALUES (:a, :b)", {"a": 1, "b": 3}),
            ("DELETE FROM t", ()),
        ):
            with pytest.raises(quorate.TokenReused, match="used for other statements") as caught:
                db.execute(sql, parameters, token="order-1")
            assert caught.value.hint
        with pytest.raises(quorate.TokenReused):
            db.executemany("INSERT INTO t VALUES (?, ?)", [(1, 2)], token="order-1")
        with pytest.raises(quorate.TokenReused):
            db.batch(["DELETE FROM t"], token="order-1")
        assert db.outcome("order-1")[0].rowcount == 1
        assert db.execute("SELECT a, b FROM t").fetchall() == [(1, 2)]


def test_a_transactions_token_is_bound_to_what_it_ran(tmp_path: Path) -> None:
    with quorate.connect(tmp_path / "shop") as db:
        db.execute("CREATE TABLE t(a)")

        def put(value: int) -> None:
            with db.transaction(token="order-2") as tx:
                tx.execute("INSERT INTO t VALUES (?)", (value,))

        put(1)
        put(1)
        with pytest.raises(quorate.TokenReused):
            put(2)
        with pytest.raises(quorate.TokenReused):
            db.execute("INSERT INTO t VALUES (3)", token="order-2")
        assert db.execute("SELECT a FROM t").fetchall() == [(1,)]


def test_a_failed_write_keeps_its_token(tmp_path: Path) -> None:
    with quorate.connect(tmp_path / "shop") as db:
        db.execute("CREATE TABLE t(a UNIQUE)")
        db.execute("INSERT INTO t VALUES (1)")
        for _ in range(2):
            with pytest.raises(quorate.IntegrityError):
                db.execute("INSERT INTO t VALUES (1)", token="order-3")
        with pytest.raises(quorate.TokenReused):
            db.execute("INSERT INTO t VALUES (2)", token="order-3")
