"""`quorate demo --replication multi-leader`: two leaders write while the other is away, and then hold the same."""

import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

import quorate
from quorate.cli.data.conflicts import lines
from quorate.cli.data.create import CHOOSE
from quorate.cli.demo.view import View
from quorate.cli.output import Exit, Fail
from quorate.client.conflicts import Conflict

if TYPE_CHECKING:
    from quorate.runtime.cluster import LocalCluster

NODES = 2
PATIENCE_S = 30.0
SCHEMA = (
    "CREATE TABLE stock(item TEXT PRIMARY KEY NOT NULL, count INTEGER NOT NULL)",
    "CREATE TABLE pages(name TEXT PRIMARY KEY NOT NULL, title TEXT, body TEXT)",
    "INSERT INTO stock VALUES ('chairs', 20)",
    "INSERT INTO pages VALUES ('home', 'Chairs', 'We sell chairs.')",
)
RESOLVERS = (("stock", "count", "merge:counter"), ("pages", "body", "merge:concat"))
ALL = "SELECT s.count, p.title, p.body FROM stock s, pages p"


class LeadersReport(Struct, frozen=True):
    """What the demo found."""

    stock: int
    title: str
    body: str
    conflicts: tuple[Conflict, ...]
    equal: bool

    @property
    def passed(self) -> bool:
        """Nothing was lost without a word."""
        texts = all(each in self.body for each in ("From north.", "From south."))
        return self.equal and self.stock == 39 and texts and len(self.conflicts) == 1


def run(cluster: "LocalCluster", view: View) -> LeadersReport:
    """All of it. Raises Fail."""
    with quorate.Cluster(cluster.url) as whole:
        whole.create("shop", replication="multi-leader", replicas=NODES, timeout=PATIENCE_S)
    opened: list[Any] = [quorate.connect(f"quorate://{each}/shop", timeout=PATIENCE_S) for each in cluster.addresses]
    north, south = opened
    try:
        north.executemany(CHOOSE, RESOLVERS)
        for statement in SCHEMA:
            north.execute(statement)
        south.bookmark = north.bookmark
        south.execute(ALL).fetchone()
        view.say("two leaders, north and south; both have 20 chairs in stock, and a page that says so")
        cluster.kill("n2", signal.SIGKILL)
        north.execute("UPDATE stock SET count = count - 1")
        north.execute("UPDATE pages SET title = 'Chairs of the north', body = 'From north.'")
        view.say("south is away: north sells one chair, and writes the page")
        cluster.kill("n1", signal.SIGKILL)
        cluster.restart("n2", wait=False)
        south.execute("UPDATE stock SET count = count + 20")
        south.execute("UPDATE pages SET title = 'Chairs of the south', body = 'From south.'")
        view.say("north is away: south, which has not heard of that, orders 20 more, and writes the same page")
        cluster.restart("n1")
        view.say("both are back")
        _until(lambda: _rows(north) == _rows(south) and len(north.conflicts()) == len(south.conflicts()) == 1)
        stock, title, body = _rows(north)
        equal = _rows(north) == _rows(south) and north.conflicts() == south.conflicts()
        return LeadersReport(stock, title, body, tuple(north.conflicts()), equal)
    finally:
        for each in opened:
            each.close()


def _rows(database: Any) -> tuple[int, str, str]:
    return database.execute(ALL).fetchone()  # type: ignore[no-any-return]


def _until(reached: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            if reached():
                return
        except quorate.OperationalError:
            pass
        if time.monotonic() > end:
            raise Fail(f"the leaders did not agree within {PATIENCE_S:g} s", Exit.FAILED)
        time.sleep(0.1)


def account(report: LeadersReport) -> list[str]:
    """The end of the story."""
    told = [line for each in report.conflicts for line in lines(each)]
    hint = [f"to take the title that lost: quorate conflicts shop --undo {each.id}" for each in report.conflicts]
    return [
        f"{'ok   ' if report.equal else 'WRONG'} both leaders hold the same",
        f"{'ok   ' if report.stock == 39 else 'WRONG'} stock {report.stock}: 20 - 1 + 20 (merge:counter)",
        f"      title {report.title!r}: the later write; the other is listed",
        f"      body {report.body!r}: both texts (merge:concat)",
        "conflicts:",
        *[f"  {line}" for line in told],
        *hint,
    ]
