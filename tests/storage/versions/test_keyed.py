"""The data file of a replica without a leader, where something goes wrong."""

from pathlib import Path
from typing import Any

import apsw
import pytest

from quorate.core.entries import DATA, Entry
from quorate.core.options import LEADERLESS
from quorate.core.row_effects import ReadRoot, encode_rows
from quorate.core.versions.encoding import encode_row
from quorate.core.versions.resolvers import Resolver, Spec
from quorate.core.versions.row import empty, insert
from quorate.storage.data import data_file, keyed, versioned
from quorate.storage.data.keyed import KeyedReplica
from quorate.storage.data.replica import Replica
from quorate.storage.files import SYSTEM
from quorate.storage.interface import DiskIsFull, Divergent
from quorate.storage.long_work import WRITERS
from quorate.storage.row_reading import RowReading
from quorate.storage.versions.among import Among

STATE = encode_row(insert(empty(), Spec((Resolver.LAST_WRITE_WINS,)), (10, 1), ["v"]))


def entry(index: int, key: bytes, state: bytes = STATE) -> Entry:
    return Entry(index, 1, DATA, encode_rows([("t", key, state)]))


def root(replica: KeyedReplica) -> int:
    return replica.read_root(ReadRoot(1, 1, 1)).hash


@pytest.fixture(params=["file", "memory"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        return ":memory:"
    data_file.create(tmp_path / "data.db", SYSTEM)
    return str(tmp_path / "data.db")


def test_what_is_undone_leaves_nothing_in_the_tree(path: str) -> None:
    replica, alone = KeyedReplica(path), KeyedReplica(":memory:")
    alone.apply([entry(1, b"other")])
    with pytest.raises(Divergent):
        replica.apply([entry(1, b"k"), entry(2, b"k", b"\xc1")])
    assert (replica.rows, root(replica), replica.applied.index) == ({}, 0, 0)
    replica.apply([entry(1, b"other")])
    assert root(replica) == root(alone)
    assert replica.digest() == alone.digest()
    replica.close()
    alone.close()


def test_an_image_brings_rows_and_tree() -> None:
    replica, copy = KeyedReplica(":memory:"), KeyedReplica(":memory:")
    replica.apply([entry(1, b"k")])
    copy.load(replica.dump())
    assert (copy.rows, root(copy), copy.applied) == (replica.rows, root(replica), replica.applied)
    replica.close()
    copy.close()


def test_a_read_waits_for_a_writer_that_is_away() -> None:
    """It would see a transaction that may yet be undone."""
    assert set(RowReading.ROWS) <= WRITERS


@pytest.mark.parametrize("kind", [LEADERLESS, "multi-leader"])
def test_a_disk_without_room_for_its_tables_is_told_as_such(
    kind: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_args: Any, **_how: Any) -> None:
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(keyed, "StoredRows", full)
    monkeypatch.setattr(versioned, "GroupVersions", full)
    with pytest.raises(DiskIsFull):
        KeyedReplica(path) if kind == LEADERLESS else Replica(path, versioned=Among(1))
