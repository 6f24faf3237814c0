"""The driver without a loop, with a node it makes itself."""

import time
from pathlib import Path

import pytest

import quorate
from quorate.core.entries import LogWrite
from quorate.runtime.embedded.connection import Connection
from quorate.storage.interface import Divergent


def test_an_election_with_oneself_makes_nobody_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time is put forward to the next deadline; nothing here may sleep."""
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    with quorate.connect(tmp_path / "shop") as db:
        db.execute("CREATE TABLE t(a)")
    assert slept == []


def test_one_write_is_one_fsync_of_the_log(tmp_path: Path) -> None:
    with quorate.connect(tmp_path / "shop") as db:
        assert isinstance(db, Connection)
        db.execute("CREATE TABLE t(a)")
        persisted: list[int] = []
        persist = db.node.store.persist

        def counting(writes: list[LogWrite]) -> None:
            persisted.append(len(writes))
            persist(writes)

        db.node.store.persist = counting  # type: ignore[method-assign,assignment]
        db.execute("INSERT INTO t VALUES (1)")
        db.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(10)])
        db.execute("SELECT * FROM t")
        assert persisted == [1, 1]


def test_the_clock_does_not_go_back(tmp_path: Path) -> None:
    with quorate.connect(tmp_path / "shop") as db:
        assert isinstance(db, Connection)
        node = db.node
        ahead = node._now().mono_us + 60_000_000
        node._clock_us = ahead
        db.execute("CREATE TABLE t(a)")
        assert node._now().mono_us >= ahead


def test_a_read_that_finds_damage_ends_the_node_with_what_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with quorate.connect(tmp_path / "shop") as db:
        assert isinstance(db, Connection)
        db.execute("CREATE TABLE t(a)")

        def query(*_: object) -> None:
            raise Divergent("a torn page")

        monkeypatch.setattr(db.node.store, "query", query)
        with db.node.writing, pytest.raises(quorate.DataDamaged, match="a torn page"):
            db.node._start("main")
