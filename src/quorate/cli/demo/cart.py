"""`quorate demo --replication leaderless`: a cart that takes writes while nodes are away, and the account of each."""

import signal
import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct

import quorate
from quorate.cli.demo.view import View
from quorate.cli.output import Exit, Fail

if TYPE_CHECKING:
    from quorate.runtime.cluster import LocalCluster

PATIENCE_S = 30.0
ALONE_S = 1.0
"""How long a write waits that too few replicas can answer."""
WRITES = 30
"""In each act."""
ITEMS = ("apples", "bread", "cheese")
SCHEMA = "CREATE TABLE cart(item TEXT PRIMARY KEY NOT NULL, n INTEGER NOT NULL)"
COUNTER = "INSERT INTO quorate_resolvers VALUES ('cart', 'n', 'merge:counter')"
ADD = "UPDATE cart SET n = n + 1 WHERE item = ?"


class CartReport(Struct, frozen=True):
    """What the demo found. Each write adds one to one item."""

    acknowledged: int
    maybe: int
    """Writes that may have happened, as far as their callers were told."""
    refused: int
    """Writes that did not happen."""
    there: int
    """What the cart holds in the end."""
    while_away: int
    """Writes that were acknowledged while one node was away."""
    replicas: tuple[dict[str, int], ...]
    """What each replica holds by itself."""

    @property
    def equal(self) -> bool:
        """All replicas hold the same."""
        return all(each == self.replicas[0] for each in self.replicas)

    @property
    def counted(self) -> bool:
        """Each acknowledged write is there once, and nothing else but what may have happened."""
        return self.acknowledged <= self.there <= self.acknowledged + self.maybe

    @property
    def passed(self) -> bool:
        """What was promised was kept."""
        return self.equal and self.counted and self.while_away == WRITES


class Cart:
    """The story, act by act."""

    def __init__(self, cluster: "LocalCluster", view: View) -> None:
        self._cluster, self._view = cluster, view
        self._acknowledged = self._maybe = self._refused = self._added = 0

    def run(self) -> CartReport:
        """All of it. Raises Fail."""
        cluster, say = self._cluster, self._view.say
        with quorate.Cluster(cluster.url) as whole:
            whole.create("carts", replication="leaderless", replicas=3, w="2", r="2", timeout=PATIENCE_S)
        opened: list[Any] = [
            quorate.connect(f"quorate://{each}/carts", timeout=PATIENCE_S) for each in cluster.addresses
        ]
        first = opened[0]
        try:
            first.execute(SCHEMA)
            first.execute(COUNTER)
            for item in ITEMS:
                first.execute("INSERT INTO cart VALUES (?, 0)", (item,))
            for each in opened[1:]:
                self._heard(each)
            say("three replicas; a write succeeds when 2 hold it on disk, and a read asks 2")
            self._write(opened, WRITES)
            cluster.kill("n3", signal.SIGKILL)
            say("n3 is killed: nothing is elected, and the others go on taking writes")
            before = self._acknowledged
            self._write(opened[:2], WRITES)
            while_away = self._acknowledged - before
            cluster.kill("n2", signal.SIGKILL)
            say("n2 is killed, too: one replica is fewer than 2, and no write is acknowledged")
            self._write([first], 3, timeout=ALONE_S)
            cluster.restart("n2")
            cluster.restart("n3")
            say("both are back, and take what they have missed")
            held = self._converged()
            there = sum(n for _, n in first.execute("SELECT item, n FROM cart").fetchall())
            return CartReport(self._acknowledged, self._maybe, self._refused, there, while_away, held)
        finally:
            for each in opened:
                each.close()

    def _write(self, databases: list[Any], writes: int, timeout: float | None = None) -> None:
        """Add so many, one after the other at each of these nodes."""
        for _ in range(writes):
            self._added += 1
            database, item = databases[self._added % len(databases)], ITEMS[self._added % len(ITEMS)]
            try:
                database.execute(ADD, (item,), timeout=timeout)
                self._acknowledged += 1
            except quorate.MaybeDone:
                self._maybe += 1
            except quorate.OperationalError:
                self._refused += 1

    def _heard(self, database: Any) -> None:
        """Wait until the node has heard of the table."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                database.execute("SELECT n FROM cart WHERE item = ?", ITEMS[:1]).fetchone()
                return
            except quorate.ProgrammingError as error:
                if time.monotonic() > end:
                    raise Fail(f"a node did not hear of the table: {error}", Exit.FAILED) from error
            time.sleep(0.05)

    def _converged(self) -> tuple[dict[str, int], ...]:
        """What each replica holds by itself, once all hold the same, or when that took too long."""
        end = time.monotonic() + PATIENCE_S
        while True:
            held = tuple(_alone(address) for address in self._cluster.addresses)
            if all(each == held[0] for each in held) or time.monotonic() > end:
                return held
            time.sleep(0.1)


def _alone(address: str) -> dict[str, int]:
    """What this node's replica holds. A connection that is new knows no other node that it could ask."""
    with quorate.connect(f"quorate://{address}/carts", read="eventual", timeout=PATIENCE_S) as database:
        return dict(database.execute("SELECT item, n FROM cart").fetchall())


def account(report: CartReport) -> list[str]:
    """The end of the story."""

    def right(good: bool, text: str) -> str:
        return f"{'ok   ' if good else 'WRONG'} {text}"

    most = report.acknowledged + report.maybe
    return [
        "The account, each replica read by itself:",
        right(report.while_away == WRITES, f"{report.while_away} of {WRITES} writes acknowledged while n3 was away"),
        f"      {report.acknowledged} writes acknowledged, {report.maybe} may have happened, {report.refused} refused",
        right(report.counted, f"the cart holds {report.there}, of {report.acknowledged} to {most}: none is lost"),
        right(report.equal, f"{len(report.replicas)} replicas are equal: {report.replicas[0]}"),
    ]
