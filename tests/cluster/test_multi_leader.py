"""Several leaders on real processes: each takes writes while the others are away, and afterwards all hold the same."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import quorate
from quorate.cli.main import main
from quorate.cli.output import Exit
from quorate.runtime.cluster import LocalCluster

PATIENCE_S = 30.0


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def rows(db: quorate.Connection) -> list[tuple[object, ...]]:
    return list(db.execute("SELECT name, body FROM pages ORDER BY name", read="eventual").fetchall())


def until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def test_leaders_that_do_not_hear_each_other_both_write_and_then_hold_the_same(tmp_path: Path) -> None:
    with LocalCluster.start(3, tmp_path / "cluster") as cluster:
        made = run("create", "wiki", "--replication", "multi-leader", "--replicas", "3", "--cluster", cluster.url)
        assert made.exit_code == Exit.OK, made.output
        said = json.loads(run("explain", "wiki", "--json", "--cluster", cluster.url).stdout)
        assert (said["replication"], said["away_for_writes"], said["default_read"]) == ("multi-leader", 2, "session")
        one, two, three = (quorate.connect(f"quorate://{address}/wiki", timeout=20.0) for address in cluster.addresses)
        one.execute("CREATE TABLE pages(name TEXT PRIMARY KEY NOT NULL, body TEXT) STRICT")
        one.execute("INSERT INTO pages VALUES ('home', 'hello')")
        for db in (two, three):
            until(lambda db=db: _there(db) == [("home", "hello")])  # type: ignore[misc]
        cluster.kill("n3", signal.SIGKILL)
        one.execute("UPDATE pages SET body = 'from one' WHERE name = 'home'")
        two.execute("INSERT INTO pages VALUES ('news', 'from two')")
        cluster.kill("n1", signal.SIGKILL)
        cluster.kill("n2", signal.SIGKILL)
        cluster.restart("n3", wait=False)
        three.execute("INSERT INTO pages VALUES ('third', 'from three')")
        cluster.restart("n1")
        cluster.restart("n2")
        wanted = [("home", "from one"), ("news", "from two"), ("third", "from three")]
        for db in (one, two, three):
            until(lambda db=db: _there(db) == wanted)  # type: ignore[misc]
        for level in ("linearizable", "leader", "bounded:2s"):
            with pytest.raises(quorate.NotSupportedError):
                one.execute("SELECT 1", read=level)
        for db in (one, two, three):
            db.close()


def _there(db: quorate.Connection) -> list[tuple[object, ...]]:
    try:
        return rows(db)
    except quorate.Error:
        return []
