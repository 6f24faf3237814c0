"""A test per cell of the table in docs/coming-from-sqlite3.md: each driver does what its column says. The columns of
`sqlite3` with `autocommit=` need Python 3.12; psycopg's needs psycopg 3 and a PostgreSQL, which is started here."""

import os
import pwd
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import quorate

PAGE = Path(__file__).parents[2] / "docs" / "coming-from-sqlite3.md"
ACCOUNT = "postgres"
"""Whom the server runs as: it refuses root."""
SCHEMA = (
    "CREATE TABLE t(k INTEGER PRIMARY KEY)",
    "CREATE TABLE child(k INTEGER REFERENCES t(k) DEFERRABLE INITIALLY DEFERRED)",
)
LEGACY, TRUE, FALSE = "`sqlite3` legacy", "`sqlite3` `autocommit=True`", "`sqlite3` `autocommit=False`"
PSYCOPG = "psycopg 3"
OURS_TRUE, OURS_FALSE = "Quorate `autocommit=True` (default)", "Quorate `autocommit=False`"


def table() -> dict[str, dict[str, str]]:
    """Row -> column -> cell."""
    lines = PAGE.read_text(encoding="utf-8").split("## Transactions")[1].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


class Driver:
    """One column: connections to one database, and how it says what else they say."""

    error: type[Exception] = sqlite3.Error

    def __init__(self, connect: Callable[[], Any], *, begin: bool = False) -> None:
        self.connect = connect
        self._begin = begin
        """A transaction begins with BEGIN."""

    def open(self) -> Any:
        """A connection with a transaction open."""
        db = self.connect()
        if self._begin:
            db.execute("BEGIN")
        db.execute("INSERT INTO t VALUES (1)")
        return db

    def in_transaction(self, db: Any) -> bool:
        return bool(db.in_transaction)

    def commit(self, db: Any) -> None:
        """End what `open` has begun; `sqlite3`'s `commit()` does nothing with autocommit."""
        db.execute("COMMIT") if self._begin else db.commit()

    def closed(self, db: Any) -> bool:
        try:
            db.execute("SELECT 1")
        except self.error:
            return True
        return False

    def rows(self) -> int:
        """How many others see."""
        db = self.connect()
        try:
            return int(db.execute("SELECT count(*) FROM t").fetchone()[0])
        finally:
            db.close()

    def undone(self, db: Any) -> bool:
        """Whether a rollback undoes CREATE TABLE; nothing of it is left."""
        db.execute("CREATE TABLE made(a INTEGER)")
        db.rollback()
        with suppress(self.error):
            db.execute("DROP TABLE made")
            db.commit()
            return False
        db.rollback()
        return True


class Ours(Driver):
    error = quorate.Error


class Psycopg(Driver):
    def __init__(self, connect: Callable[[], Any]) -> None:
        import psycopg

        super().__init__(connect)
        self.error = psycopg.Error

    def in_transaction(self, db: Any) -> bool:
        import psycopg

        return bool(db.info.transaction_status != psycopg.pq.TransactionStatus.IDLE)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Where a server listens."""
    pytest.importorskip("psycopg", reason="psycopg 3 is not installed")
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")]
    if not found:
        pytest.skip("PostgreSQL is not installed")
    programs = max(found, key=lambda path: float(path.parent.name))
    folder = Path(tempfile.mkdtemp(prefix="quorate-postgres-"))
    account: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = pwd.getpwnam(ACCOUNT)
        os.chown(folder, owner.pw_uid, owner.pw_gid)
        account = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
    run: dict[str, Any] = {**account, "check": True, "capture_output": True, "cwd": folder}
    data = folder / "data"
    try:
        subprocess.run([programs / "initdb", "-D", data, "-A", "trust", "-U", ACCOUNT, "-N"], **run)
        options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
        start: list[Any] = [programs / "pg_ctl", "-D", data, "-w", "-t", "60", "-l", folder / "log", "-o", options]
        subprocess.run([*start, "start"], **run)
        yield f"host={folder} user={ACCOUNT} dbname=postgres"
        subprocess.run([programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=[LEGACY, TRUE, FALSE, PSYCOPG, OURS_TRUE, OURS_FALSE])
def column(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Driver]:
    name = request.param
    if name == PSYCOPG:
        return name, of_postgres(request.getfixturevalue("postgres"))
    if name in (OURS_TRUE, OURS_FALSE):
        with quorate.connect(tmp_path) as db:
            db.batch(SCHEMA)
        automatic = name == OURS_TRUE
        return name, Ours(lambda: quorate.connect(tmp_path, autocommit=automatic), begin=automatic)
    if name != LEGACY and sys.version_info < (3, 12):
        pytest.skip("sqlite3 has autocommit= from Python 3.12 on")
    return name, of_sqlite3(tmp_path / "file.db", name)


def of_postgres(url: str) -> Driver:
    import psycopg

    with psycopg.connect(url, autocommit=True) as db:
        for sql in ("DROP TABLE IF EXISTS child", "DROP TABLE IF EXISTS t", *SCHEMA):
            db.execute(sql)
    return Psycopg(lambda: psycopg.connect(url))


def of_sqlite3(path: Path, name: str) -> Driver:
    def connect() -> Any:
        db: Any = sqlite3.connect(path)
        db.execute("PRAGMA foreign_keys = ON")
        if name != LEGACY:
            db.autocommit = name == TRUE
        return db

    db = connect()
    for sql in SCHEMA:
        db.execute(sql)
    db.commit()
    db.close()
    return Driver(connect, begin=name == TRUE)


def begins(driver: Driver) -> object:
    db = driver.connect()
    found = [driver.in_transaction(db)]
    db.execute("SELECT 1").fetchall()
    found.append(driver.in_transaction(db))
    db.execute("INSERT INTO t VALUES (1)")
    found.append(driver.in_transaction(db))
    db.close()
    return tuple(found)


def begun(driver: Driver) -> object:
    db = driver.connect()
    found = driver.in_transaction(db)
    db.close()
    return found


def made(driver: Driver) -> object:
    plain, open_ = driver.connect(), None
    found = driver.undone(plain)
    plain.close()
    open_ = driver.open()
    both = found, driver.undone(open_)
    open_.close()
    return both


def commits_nothing(driver: Driver) -> object:
    db = driver.connect()
    db.commit()
    db.close()
    return "nothing"


def block_ends(driver: Driver) -> object:
    db = driver.connect()
    with db:
        db.execute("INSERT INTO t VALUES (1)")
    found = driver.closed(db)
    with suppress(driver.error):
        db.close()
    return driver.rows(), found


def block_raises(driver: Driver) -> object:
    db = driver.connect()

    def fail() -> None:
        with db:
            if driver is not None and isinstance(driver, Ours) and db.autocommit:
                db.execute("BEGIN")
            db.execute("INSERT INTO t VALUES (1)")
            raise ZeroDivisionError

    with suppress(ZeroDivisionError):
        fail()
    found = driver.closed(db)
    with suppress(driver.error):
        db.close()
    return driver.rows(), found


def closes(driver: Driver) -> object:
    driver.open().close()
    return driver.rows()


def switches(driver: Driver) -> object:
    db = driver.open()
    try:
        db.autocommit = True
    except driver.error:
        return "error"
    finally:
        db.close()
    return driver.rows()


def fails(driver: Driver) -> object:
    db = driver.open()
    with pytest.raises(driver.error):
        db.execute("INSERT INTO t VALUES (1)")
    try:
        db.execute("INSERT INTO t VALUES (2)")
        driver.commit(db)
    except driver.error:
        return "over"
    finally:
        db.close()
    return driver.rows()


def commit_fails(driver: Driver) -> object:
    db = driver.open()
    db.execute("INSERT INTO child VALUES (7)")
    with pytest.raises(driver.error):
        driver.commit(db)
    found = driver.in_transaction(db)
    db.close()
    return found, driver.rows()


CLOSED, OPEN = True, False
ROWS: dict[str, tuple[Callable[[Driver], object], dict[str, object]]] = {
    "a transaction begins": (
        begins,
        {
            "before INSERT, UPDATE, DELETE, REPLACE": (False, False, True),
            "with BEGIN": (False, False, False),
            "at once, and after each end": (True, True, True),
            "with the first statement": (False, True, True),
        },
    ),
    "`in_transaction` before the first statement": (begun, {"False": False, "True": True, "idle": False}),
    "CREATE TABLE is undone by `rollback()`": (
        made,
        {
            "if a transaction was open": (False, True),
            "after BEGIN": (False, True),
            "yes": (True, True),
            "no: only ROLLBACK as text does": (False, False),
        },
    ),
    "`commit()` without a transaction": (commits_nothing, {"nothing": "nothing"}),
    "`with db:` ends well": (
        block_ends,
        {"commits": (1, OPEN), "nothing": (1, OPEN), "commits and closes": (1, CLOSED), "closes": (1, CLOSED)},
    ),
    "`with db:` raises": (
        block_raises,
        {
            "rolls back": (0, OPEN),
            "nothing": (1, OPEN),
            "rolls back and closes": (0, CLOSED),
            "closes, and undoes what BEGIN began": (0, CLOSED),
        },
    ),
    "`close()` with a transaction open": (closes, {"undoes": 0}),
    "`autocommit = True` with a transaction open": (
        switches,
        {"commits": 1, "an error": "error", "commits what BEGIN began": 1},
    ),
    "a failed statement": (fails, {"is undone alone": 2, "ends the transaction": "over"}),
    "a failed COMMIT": (commit_fails, {"leaves it open": (True, 0), "undoes it": (False, 0)}),
}
"""What is done for a row, and what comes of it where a cell says so."""


def test_the_table_has_these_rows() -> None:
    assert set(table()) == set(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_a_cell_is_so(row: str, column: tuple[str, Driver]) -> None:
    name, driver = column
    cell = table()[row][name]
    if not cell:
        pytest.skip("there is nothing to say")
    does, means = ROWS[row]
    assert does(driver) == means[cell]
