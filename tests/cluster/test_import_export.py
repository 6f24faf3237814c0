"""An existing SQLite file goes into a cluster and comes out as a plain file, the same."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.cluster.conftest import Started

import quorate
from quorate.cli.main import main
from quorate.lab.nemesis.trial import wait_until

SCRIPT = """
CREATE TABLE artist(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE album(id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT, artist INTEGER REFERENCES artist(id));
CREATE TABLE odd("a b" REAL, [c] BLOB, d);
CREATE INDEX album_by_artist ON album(artist);
CREATE VIEW titles AS SELECT name, title FROM artist JOIN album ON artist.id = album.artist;
CREATE TABLE log(what TEXT);
CREATE TRIGGER noted AFTER INSERT ON album BEGIN INSERT INTO log VALUES (new.title); END;
INSERT INTO artist VALUES (1, 'Ä'), (2, 'B');
INSERT INTO album(title, artist) VALUES ('x', 1), ('y', 2);
DELETE FROM album WHERE id = 2;
INSERT INTO odd VALUES (1.5, x'00ff', NULL), (NULL, NULL, 'text');
PRAGMA user_version = 7;
"""


def content(path: Path) -> dict[str, Any]:
    """Everything a file says: schema, rows of every table, header numbers."""
    with closing(sqlite3.connect(path)) as db:
        schema = db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
        tables = [name for kind, name, _ in schema if kind == "table"]
        rows = {name: db.execute(f'SELECT * FROM "{name}" ORDER BY rowid').fetchall() for name in tables}
        return {"schema": schema, "rows": rows, "version": db.execute("PRAGMA user_version").fetchall()}


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "original.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCRIPT)
    return path


def run(*words: str) -> str:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_round_trip_through_a_cluster_keeps_everything(start: Started, original: Path, tmp_path: Path) -> None:
    cluster = start(3)
    run("import", str(original), "--into", "music", "--cluster", cluster.url)
    with quorate.connect(f"{cluster.url}/music") as db:
        assert db.execute("SELECT * FROM titles").fetchall() == [("Ä", "x")]
        assert db.execute("SELECT what FROM log ORDER BY rowid").fetchall() == [("x",), ("y",)]
    copy = tmp_path / "copy.db"
    run("export", "music", str(copy), "--cluster", cluster.url)
    assert content(copy) == content(original)


def test_the_copy_of_a_replica_is_the_same_file_content(start: Started, original: Path, tmp_path: Path) -> None:
    """Stopped, every replica's data file is an ordinary SQLite database with the same rows."""
    cluster = start(3)
    run("import", str(original), "--into", "music", "--cluster", cluster.url)

    def level() -> bool:
        reports = [cluster.status(name) for name in cluster.names]
        applied = [[(each.group, each.applied) for each in report.groups] if report else None for report in reports]
        return applied[0] is not None and applied.count(applied[0]) == 3

    wait_until(level, 10.0, "the replicas do not come to the same position")
    group = next(each.group for each in report_of(cluster).groups if each.database == "music")
    folders = [Path(cluster.place(name).folder) for name in cluster.names]
    cluster.stop()
    wanted = content(original)["rows"]
    for folder in folders:
        (path,) = folder.glob(f"group-{group}-*.db")
        found = content(path)["rows"]
        assert {name: found[name] for name in wanted} == wanted, folder


def report_of(cluster: Any) -> Any:
    report = cluster.status(cluster.names[0])
    assert report is not None
    return report
