"""An existing SQLite file goes into a cluster and comes out as a plain file, the same."""

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.cluster.conftest import Started

import quorate
from quorate.cli.main import main
from quorate.core.limits import ROW_BYTES_MAX
from quorate.core.settings import Settings
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


def run_whole(*words: str) -> Result:
    done = CliRunner().invoke(main, list(words))
    assert done.exit_code == 0, done.output
    return done


def run(*words: str) -> str:
    return run_whole(*words).stdout


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


def large(path: Path) -> Path:
    """A file whose loading takes a while."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            """
            CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT NOT NULL CHECK (v <> ''), w BLOB);
            CREATE INDEX by_v ON t(v);
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 60000)
                INSERT INTO t(v, w) SELECT 'v' || i, randomblob(20) FROM n;
            DELETE FROM t WHERE id % 10 = 0;
            """
        )
    return path


def killed_midway(words: list[str], midway: Callable[[], bool]) -> None:
    """Run an import in a process of its own, and `kill -9` it when it is midway."""
    command = [sys.executable, "-m", "quorate.cli.main", "import", *words]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as importer:
        try:
            wait_until(midway, 20.0, "the import does not get midway")
        finally:
            importer.kill()
        assert importer.wait() == -signal.SIGKILL, "it had ended before"


def test_an_import_into_a_cluster_that_was_killed_goes_on(start: Started, tmp_path: Path) -> None:
    cluster = start(3)
    source, copy = large(tmp_path / "large.db"), tmp_path / "copy.db"
    words = [str(source), "--into", "big", "--cluster", cluster.url]
    with quorate.connect(f"{cluster.url}/big", timeout=5.0) as watcher:

        def midway() -> bool:
            try:
                return bool(watcher.execute("SELECT step FROM _quorate_import WHERE step > 3").fetchall())
            except quorate.ProgrammingError:  # no such database or table yet
                return False

        killed_midway(words, midway)
    assert "going on behind step" in run_whole("import", *words).stderr
    run("export", "big", str(copy), "--cluster", cluster.url)
    assert content(copy) == content(source)


def test_an_import_into_a_folder_that_was_killed_goes_on(tmp_path: Path) -> None:
    source, copy, folder = large(tmp_path / "large.db"), tmp_path / "copy.db", tmp_path / "shop"
    words = [str(source), "--into", str(folder)]
    log = folder / "log.db-wal"
    killed_midway(words, lambda: log.exists() and log.stat().st_size > 500_000)
    assert "going on behind step" in run_whole("import", *words).stderr
    run("export", str(folder), str(copy))
    assert content(copy) == content(source)


def filled(path: Path) -> Path:
    """A file of several parts, with hidden rowids that have gaps, and a search index that refers to them."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(
            """
            CREATE TABLE money(id INTEGER PRIMARY KEY, amount INTEGER);
            INSERT INTO money VALUES (1, 0), (2, 0);
            CREATE TABLE moved(n);
            CREATE TABLE page(title TEXT PRIMARY KEY, body BLOB);
            CREATE VIRTUAL TABLE titles USING fts5(title, content=page);
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300)
                INSERT INTO page(rowid, title, body) SELECT i * 7, 'page ' || i, randomblob(10000) FROM n;
            INSERT INTO titles(titles) VALUES ('rebuild');
            """
        )
        db.commit()
    return path


def test_an_export_under_steady_writes_holds_one_state(start: Started, tmp_path: Path) -> None:
    """It is fetched in several parts. Each write moves one unit from one row to the other and notes itself: no other
    state is consistent."""
    cluster = start(3)
    source = filled(tmp_path / "source.db")
    assert source.stat().st_size > 2 * Settings().copy_part_bytes
    run("import", str(source), "--into", "shop", "--cluster", cluster.url)
    url = f"{cluster.url}/shop"
    over, written = threading.Event(), threading.Event()

    def write() -> None:
        with quorate.connect(url, timeout=30) as db:
            while not over.is_set():
                db.batch(["UPDATE money SET amount = amount + 3 - 2 * id", "INSERT INTO moved VALUES (0)"])
                written.set()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert written.wait(30)
        for number in range(2):
            written.clear()
            run("export", "shop", str(tmp_path / f"{number}.db"), "--cluster", cluster.url)
            assert written.wait(30)
    finally:
        over.set()
        writer.join()
    moved = 0
    for number in range(2):
        with closing(sqlite3.connect(tmp_path / f"{number}.db")) as file:
            ((one,), (two,)) = file.execute("SELECT amount FROM money ORDER BY id").fetchall()
            ((noted,),) = file.execute("SELECT count(*) FROM moved").fetchall()
        assert one == -two == noted > moved
        moved = noted
    run("import", str(tmp_path / "1.db"), "--into", "again", "--cluster", cluster.url)
    run("export", "again", str(tmp_path / "again.db"), "--cluster", cluster.url)
    assert pages(tmp_path / "again.db") == pages(tmp_path / "1.db") == pages(source)
    with closing(sqlite3.connect(tmp_path / "again.db")) as file:
        assert file.execute("SELECT count(*) FROM moved").fetchall() == [(moved,)]
        assert not file.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'quorate%'").fetchall()


def pages(path: Path) -> list[Any]:
    """The rows with their hidden rowids, and what a search finds."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("INSERT INTO titles(titles) VALUES ('integrity-check')")
        found = db.execute("SELECT rowid, title FROM titles WHERE titles MATCH '299'").fetchall()
        assert found == [(299 * 7, "page 299")]
        return db.execute("SELECT rowid, title, body FROM page ORDER BY rowid").fetchall()


def test_an_export_goes_on_at_another_node_when_its_node_is_killed(start: Started, tmp_path: Path) -> None:
    cluster = start(3)
    run("import", str(filled(tmp_path / "source.db")), "--into", "shop", "--cluster", cluster.url)
    killed: list[str] = []

    def told(done: int, total: int) -> None:
        if not killed and done < total:
            killed.append(next(name for name in cluster.names if copies(name)))
            cluster.kill(killed[0])

    def copies(name: str) -> list[Path]:
        return list(Path(cluster.place(name).folder).glob("snapshots/outgoing-*.db"))

    with quorate.connect(f"{cluster.url}/shop", timeout=30) as db:
        assert isinstance(db, quorate.ClusterConnection)
        db.copy_to(tmp_path / "copy.db", told=told)
        rows = db.execute("SELECT rowid, title, body FROM page ORDER BY rowid").fetchall()
    assert pages(tmp_path / "copy.db") == rows
    assert killed
    left = [name for name in cluster.names if name not in killed]
    wait_until(lambda: not any(copies(name) for name in left), 10.0, "a copy is kept that was fetched whole")


def test_the_largest_row_is_imported_and_exported(start: Started, tmp_path: Path) -> None:
    cluster = start(1)
    largest = b"x" * (ROW_BYTES_MAX - 16)
    with closing(sqlite3.connect(tmp_path / "large.db")) as file:
        file.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        file.executemany("INSERT INTO t VALUES (?, ?)", [(number, largest) for number in range(3)])
        file.commit()
    run("import", str(tmp_path / "large.db"), "--into", "large", "--cluster", cluster.url)
    run("export", "large", str(tmp_path / "copy.db"), "--cluster", cluster.url)
    assert content(tmp_path / "copy.db") == content(tmp_path / "large.db")
    with quorate.connect(f"{cluster.url}/large", timeout=30) as db, pytest.raises(quorate.TooLarge):
        db.execute("INSERT INTO t(v) VALUES (?)", (largest + b"x" * 16,))
