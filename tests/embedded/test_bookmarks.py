"""Bookmarks of databases in a folder and in memory."""

from pathlib import Path

import pytest
from msgspec import structs

import quorate


def test_a_bookmark_is_where_the_database_is_whoever_wrote(tmp_path: Path) -> None:
    with quorate.connect(tmp_path / "shop") as db, quorate.connect(tmp_path / "shop") as other:
        before = db.bookmark
        other.execute("CREATE TABLE t(a)")
        assert str(db.bookmark) == str(other.bookmark) != str(before)
        assert db.execute("SELECT count(*) FROM t").staleness == 0
        assert db.bookmark | before == db.bookmark


def test_a_bookmark_goes_on_where_the_folder_has_it(tmp_path: Path) -> None:
    with quorate.connect(tmp_path / "shop") as db:
        db.execute("CREATE TABLE t(a)")
        mark = db.bookmark
    with quorate.connect(tmp_path / "shop", bookmark=str(mark)) as db:
        assert db.execute("SELECT count(*) FROM t").fetchone() == (0,)
        db.bookmark = mark


def test_a_bookmark_of_more_than_there_is_leaves_nothing_open(tmp_path: Path) -> None:
    """As after the folder was put back from an older copy, or where it is another folder's."""
    with quorate.connect(tmp_path / "shop") as db:
        mark = db.bookmark
        (place,) = mark.places
        further = [structs.replace(place, index=place.index + 5), structs.replace(place, epoch=place.epoch + 1)]
        for each in further:
            with pytest.raises(quorate.BookmarkLost, match="has lost"):
                db.bookmark = quorate.Bookmark(mark.cluster, (each,))
            db.bookmark = None
        assert db.bookmark == mark
    for each in further:
        with pytest.raises(quorate.BookmarkLost):
            quorate.connect(tmp_path / "shop", bookmark=quorate.Bookmark(mark.cluster, (each,)))
    with quorate.connect(tmp_path / "other") as other, pytest.raises(quorate.ProgrammingError, match="another cluster"):
        other.bookmark = mark
    with pytest.raises(quorate.ProgrammingError, match="not int"):
        quorate.connect(tmp_path / "shop", bookmark=5)  # type: ignore[arg-type]
