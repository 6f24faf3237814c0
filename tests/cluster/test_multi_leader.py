"""Several leaders on real processes: each takes writes while the others are away, and afterwards all hold the same."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def test_conflicts_are_listed_and_undone(tmp_path: Path) -> None:
    with LocalCluster.start(2, tmp_path / "cluster") as cluster:
        place = ("--cluster", cluster.url)
        made = run("create", "wiki", "--replication", "multi-leader", "--resolver", "pages.n=merge:counter", *place)
        assert made.exit_code == Exit.OK, made.output
        assert run("conflicts", "main", *place).exit_code == Exit.REFUSED
        one, two = (_connected(f"quorate://{address}/wiki") for address in cluster.addresses)
        one.execute("CREATE TABLE pages(name TEXT PRIMARY KEY NOT NULL, body TEXT, n INTEGER NOT NULL)")
        one.execute("INSERT INTO pages VALUES ('home', 'hello', 10)")
        two.bookmark = one.bookmark
        assert two.execute("SELECT n FROM pages").fetchone() == (10,)
        cluster.kill("n2", signal.SIGKILL)
        one.execute("UPDATE pages SET body = 'from one', n = n - 1")
        cluster.kill("n1", signal.SIGKILL)
        cluster.restart("n2", wait=False)
        two.execute("UPDATE pages SET body = 'from two', n = n + 20")
        cluster.restart("n1")
        until(lambda: [[each.final for each in _conflicts(db)] for db in (one, two)] == [[True], [True]])
        (conflict,) = one.conflicts()
        assert conflict == two.conflicts()[0]
        assert (conflict.kind, conflict.key, conflict.lost, conflict.shown) == (
            "update/update", ("home",), {"body": "from one"}, {"body": "from two"},
        )  # fmt: skip
        assert one.execute("SELECT n FROM pages").fetchone() == (29,)
        assert one.conflicts(since=conflict.lost_at) == [conflict]
        assert one.conflicts(since=(conflict.lost_at or 0) + 1) == []
        told = json.loads(run("conflicts", "wiki", "--json", *place).stdout)
        assert told[0]["why"] == "the later write is shown (last-write-wins)"
        assert "lost 'from one', shown 'from two'" in run("conflicts", "wiki", "--table", "pages", *place).stdout
        assert run("conflicts", "wiki", "--undo", conflict.id, *place).exit_code == Exit.OK
        until(lambda: all(_there(db)[0][1] == "from one" for db in (one, two)))
        assert [each.id for each in two.conflicts()] == [conflict.id], "what is final stays on record"
        for db in (one, two):
            db.close()


def _connected(url: str) -> Any:
    return quorate.connect(url, timeout=20.0)


def _conflicts(db: Any) -> list[Any]:
    try:
        return list(db.conflicts())
    except quorate.Error:
        return []


def _there(db: quorate.Connection) -> list[tuple[object, ...]]:
    try:
        return rows(db)
    except quorate.Error:
        return []


MERGES = """
import json

def union(one, other):
    return json.dumps(sorted({*json.loads(one), *json.loads(other)}))

union.samples = ["[]", "[1]", "[1, 2]"]
"""


def test_a_programs_own_resolver_and_a_node_that_lacks_it(tmp_path: Path) -> None:
    folder, chosen = tmp_path / "cluster", "t.tags=custom:merges:union"
    cluster = LocalCluster(folder, 2, options={"resolvers": "merges.py:union"})
    for name in ("n1", "n2"):
        (folder / name / "merges.py").write_text(MERGES)
    with cluster:
        cluster.start_all()
        cluster.wait_ready(60.0)
        place = ("--cluster", cluster.url)
        made = run("create", "wiki", "--replication", "multi-leader", "--resolver", chosen, *place)
        assert made.exit_code == Exit.OK, made.output
        one, two = (_connected(f"quorate://{address}/wiki") for address in cluster.addresses)
        with pytest.raises(quorate.OperationalError, match="does not list merges:max; it lists: merges:union"):
            one.execute("INSERT INTO quorate_resolvers VALUES ('t', 'other', 'custom:merges:max')")
        one.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, tags TEXT NOT NULL)")
        one.execute("INSERT INTO t VALUES (1, '[]')")
        two.bookmark = one.bookmark
        assert two.execute("SELECT tags FROM t").fetchone() == ("[]",)
        cluster.kill("n2", signal.SIGKILL)
        one.execute("UPDATE t SET tags = '[1]'")
        cluster.kill("n1", signal.SIGKILL)
        (folder / "n2" / "merges.py").write_text(MERGES + "\n")
        cluster.restart("n2", wait=False)
        with pytest.raises(quorate.OperationalError, match="this node has another file of it"):
            two.execute("UPDATE t SET tags = '[2]'")
        cluster.kill("n2", signal.SIGKILL)
        (folder / "n2" / "merges.py").write_text(MERGES)
        cluster.restart("n2", wait=False)
        two.execute("UPDATE t SET tags = '[2]'")
        cluster.restart("n1")
        until(lambda: [_tags(each) for each in (one, two)] == [[("[1, 2]",)], [("[1, 2]",)]])
        for db in (one, two):
            db.close()


def _tags(db: quorate.Connection) -> list[tuple[object, ...]]:
    try:
        return list(db.execute("SELECT tags FROM t", read="eventual").fetchall())
    except quorate.Error:
        return []
