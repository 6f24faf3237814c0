"""`quorate demo --acks async`: what a failover loses when its leader's disk alone is enough, and where it is kept."""

import time
from typing import TYPE_CHECKING

from msgspec import Struct

from quorate.cli.demo.view import View
from quorate.cli.output import Fail

if TYPE_CHECKING:
    from quorate.runtime.cluster import LocalCluster

DATABASE = "store"
BEFORE = 200
"""Orders that everybody has."""
ALONE_S = 0.25
"""How long the leader goes on alone; it steps down by itself after 0.6 s."""
WAIT_S = 20.0


class AsyncReport(Struct, frozen=True):
    """What was acknowledged, what the failover lost, and what became of it."""

    acknowledged: int
    lost: int
    kept: int
    """Lost orders that the old leader keeps on its disk."""
    replayed: int
    missing: int
    """Acknowledged orders that are still missing in the end."""
    duplicated: int

    @property
    def passed(self) -> bool:
        """What was lost was kept, all of it, and came back once."""
        return self.lost > 0 and self.kept == self.lost and self.missing == self.duplicated == 0


def run(cluster: "LocalCluster", view: View) -> AsyncReport:
    """The story. Raises Fail when the cluster does not do in time what it must."""
    import quorate

    with quorate.Cluster(cluster.url) as all_of_it:
        all_of_it.create(DATABASE, acks="async", replicas=3)
        for sentence in all_of_it.explain(DATABASE).sentences[1:2]:
            view.say(sentence)
        with quorate.connect(cluster.url_to(DATABASE), timeout=WAIT_S, lazy=True) as db:
            db.execute("CREATE TABLE orders(id INTEGER PRIMARY KEY, what TEXT NOT NULL) STRICT")
            db.executemany("INSERT INTO orders VALUES (?, 'mug')", [(number,) for number in range(BEFORE)])
        leader = _leader(cluster)
        others = [name for name in cluster.names if name != leader]
        time.sleep(0.2)  # a moment for the followers to have all of that
        view.say(f"{BEFORE} orders are on all three; now {' and '.join(others)} lose power: kill -9")
        for name in others:
            cluster.kill(name)
        acknowledged = list(range(BEFORE)) + _alone(f"quorate://{cluster.place(leader).address}/{DATABASE}")
        view.say(f"{leader} went on alone and acknowledged {len(acknowledged) - BEFORE} more; then it dies too")
        cluster.kill(leader)
        for name in others:
            cluster.restart(name)
        with quorate.connect(cluster.url_to(DATABASE), timeout=WAIT_S, lazy=True) as db:
            lost = len(set(acknowledged) - _orders(db))
            view.say(
                f"{' and '.join(others)} are back and elected {_leader(cluster)}: {lost} acknowledged orders are lost"
            )
            for each in all_of_it.lost(DATABASE).unknown:
                view.say(f"quorate lost list: unknown, what {each.name} committed from entry {each.first} on")
            cluster.restart(leader)
            kept = _kept(all_of_it)
            view.say(f"{leader} is back; before it dropped them it kept {kept} orders in {leader}/lost.db")
            replayed = sum(all_of_it.replay(write).applied for write in all_of_it.lost(DATABASE).writes)
            view.say(f"quorate lost replay {DATABASE}: {replayed} rows applied again")
            there = db.execute("SELECT id FROM orders").fetchall()
            missing = len(set(acknowledged) - {number for (number,) in there})
            return AsyncReport(len(acknowledged), lost, kept, replayed, missing, len(there) - len(set(there)))


def _alone(url: str) -> list[int]:
    """Orders that the leader acknowledged while nobody else was there."""
    import quorate

    told: list[int] = []
    until = time.monotonic() + ALONE_S
    with quorate.connect(url, timeout=0.3, lazy=True) as db:
        number = BEFORE
        while time.monotonic() < until:
            try:
                db.execute("INSERT INTO orders VALUES (?, 'cup')", (number,))
            except quorate.Error:
                break
            told.append(number)
            number += 1
    return told


def _orders(db: object) -> set[int]:
    rows: list[tuple[int]] = db.execute("SELECT id FROM orders").fetchall()  # type: ignore[attr-defined]
    return {number for (number,) in rows}


def _leader(cluster: "LocalCluster") -> str:
    until = time.monotonic() + WAIT_S
    while (name := cluster.leader(DATABASE)) is None:
        if time.monotonic() > until:
            raise Fail("the store has no leader")
        time.sleep(0.05)
    return name


def _kept(all_of_it: object) -> int:
    """How many orders the old leader keeps, once it has come to know that it must."""
    until = time.monotonic() + WAIT_S
    while True:
        found = all_of_it.lost(DATABASE)  # type: ignore[attr-defined]
        if found.writes and not found.unknown:
            return sum(write.writes for write in found.writes)
        if time.monotonic() > until:
            raise Fail("the old leader has not shown what it had")
        time.sleep(0.1)


def account(report: AsyncReport) -> list[str]:
    """The end of the story."""

    def right(good: bool, text: str) -> str:
        return f"{'ok   ' if good else 'WRONG'} {text}"

    return [
        "The account:",
        f"      {report.acknowledged} orders acknowledged, {report.lost} lost by the failover: async promises no more",
        right(report.kept == report.lost, f"{report.kept} of those were kept on the old leader's disk"),
        right(
            not report.missing and not report.duplicated,
            f"after the replay {report.missing} are missing and {report.duplicated} there twice",
        ),
        "with acks = majority, the default, none is lost: quorate demo",
    ]
