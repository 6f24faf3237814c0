"""`quorate demo`: a store on three nodes, and `kill -9` of its leader while the customers order."""

import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from quorate.cli.demo import leaders as demo_leaders
from quorate.cli.demo import lost as demo_async
from quorate.cli.demo.cart import Cart, CartReport
from quorate.cli.demo.cart import account as account_of_cart
from quorate.cli.demo.leaders import LeadersReport
from quorate.cli.demo.lost import AsyncReport
from quorate.cli.demo.view import Figures, View, make_view
from quorate.cli.output import Exit, Fail, json_option, print_json
from quorate.core.options import LEADERLESS, MULTI_LEADER, SINGLE_LEADER

if TYPE_CHECKING:
    from quorate.lab.nemesis.workload import Customers, Watchers
    from quorate.runtime.cluster import LocalCluster

NODES = 3
CUSTOMERS = 8
WATCHERS = 2
BEFORE_S = 4.0
"""How long the store is open before the leader is killed."""
AWAY_S = 2.5
"""How long two nodes serve alone after the failover."""
AFTER_S = 2.5
"""How long the store stays open after the killed node has caught up."""
TICK_S = 0.1
FAILOVER_TIMEOUT_S = 20.0


class DemoReport(Struct, frozen=True):
    """What the demo found. The first eight are the account, the others say more of the same run."""

    acknowledged: int
    lost: int
    duplicated: int
    maybe: int
    failover_ms: float
    writes_per_s: float
    """Acknowledged orders over the whole time that the store was open, the failover included."""
    reads_per_s: float
    replicas_equal: bool
    invented: int
    stock_agrees: bool
    reads_went_back: int
    sold_out: int
    catch_up_ms: float

    @property
    def passed(self) -> bool:
        """Nothing that was promised is missing."""
        wrong = self.lost + self.duplicated + self.invented + self.reads_went_back
        return wrong == 0 and self.acknowledged > 0 and self.replicas_equal and self.stock_agrees


@click.command(short_help="Watch three nodes lose their leader under load.")
@click.option("--keep", is_flag=True, help="Leave the cluster's folder in place, and say where it is.")
@click.option("--seed", default=1, show_default=True, help="Chooses the orders.")
@click.option(
    "--acks",
    type=click.Choice(["majority", "async"]),
    default="majority",
    show_default=True,
    help="Who must hold an order before it is committed; async shows what is lost then, and where it is kept.",
)
@click.option(
    "--replication",
    type=click.Choice([SINGLE_LEADER, MULTI_LEADER, LEADERLESS]),
    default=SINGLE_LEADER,
    show_default=True,
    help="multi-leader: two leaders write while the other is away, and what became of each conflict. "
    "leaderless: a cart takes writes while nodes are away, and the account of each.",
)
@json_option
def demo(keep: bool, seed: int, acks: str, replication: str, as_json: bool) -> None:
    """Three nodes, a store, and the leader killed in the middle of it.

    Starts three node processes in a temporary folder. Customers order and watchers read without pause; the leader
    gets `kill -9`; the others go on; the killed node returns and catches up. Then the account: every acknowledged
    order must be there exactly once on every replica, stock and orders must agree, and no linearizable read may
    have gone back. Exits with 1 when anything is wrong.
    """
    from quorate.lab.nemesis.trial import TrialFailed
    from quorate.runtime.cluster import LocalCluster, NotReady

    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    view = make_view()
    folder = Path(tempfile.mkdtemp(prefix="quorate-demo-"))
    try:
        several = replication == MULTI_LEADER
        with LocalCluster.start(demo_leaders.NODES if several else NODES, folder / "cluster") as cluster:
            report, lines = _play(cluster, view, seed, acks if replication == SINGLE_LEADER else replication)
        for line in lines:
            view.say(line)
    except (TrialFailed, NotReady) as error:
        raise Fail(f"the demo cannot go on: {error}", Exit.UNAVAILABLE) from error
    finally:
        signal.signal(signal.SIGTERM, before)
        view.close()
        if keep:
            view.say(f"kept; start it again with: quorate up --dir {folder / 'cluster'}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        print_json(report)
    if not report.passed:
        raise Fail("a promise was broken: see the account above")


def _play(
    cluster: "LocalCluster", view: View, seed: int, chosen: str
) -> "tuple[DemoReport | AsyncReport | LeadersReport | CartReport, list[str]]":
    if chosen == LEADERLESS:
        cart = Cart(cluster, view).run()
        return cart, account_of_cart(cart)
    if chosen == MULTI_LEADER:
        found = demo_leaders.run(cluster, view)
        return found, demo_leaders.account(found)
    if chosen == "async":
        told = demo_async.run(cluster, view)
        return told, demo_async.account(told)
    report = Demo(cluster, view, seed).run()
    return report, account(report)


def account(report: DemoReport) -> list[str]:
    """The end of the story."""

    def right(good: bool, text: str) -> str:
        return f"{'ok   ' if good else 'WRONG'} {text}"

    once = report.lost == 0 and report.duplicated == 0
    return [
        "The account, read from each replica itself:",
        right(once, f"{report.acknowledged} orders acknowledged: {report.lost} lost, {report.duplicated} duplicated"),
        right(report.invented == 0, f"{report.sold_out} orders refused (sold out): {report.invented} are there anyway"),
        f"      {report.maybe} orders whose answer was lost: asked for their outcome, all settled",
        right(report.stock_agrees, "what there was, less what was sold, is what there is"),
        right(report.replicas_equal, f"{NODES} replicas are equal"),
        right(report.reads_went_back == 0, f"{report.reads_went_back} linearizable reads went back"),
        f"{report.writes_per_s:.0f} orders and {report.reads_per_s:.0f} linearizable reads a second, failover included",
    ]


class Demo:
    """The story, act by act."""

    def __init__(self, cluster: "LocalCluster", view: View, seed: int) -> None:
        from quorate.lab.nemesis.trial import Trial

        self.cluster = cluster
        self.trial: Trial = Trial(cluster)
        self.view = view
        self.seed = seed
        self._doing: dict[str, str] = dict.fromkeys(cluster.names, "follows")

    def run(self) -> DemoReport:
        """All of it. Raises TrialFailed."""
        import quorate
        from quorate.lab.nemesis.workload import Customers, Watchers

        for name in self.cluster.names:
            place = self.cluster.place(name)
            self.view.say(f"node {name}: {place.address}, process {place.pid}")
        self.trial.open_store()
        self._leads(self.trial.leader())
        self.view.say("the store is on all three; an order is committed when a majority has it on disk")
        with ExitStack() as stack:
            customers = Customers(stack.enter_context(quorate.connect(self.trial.url, lazy=True)), CUSTOMERS, self.seed)
            watchers = Watchers(stack.enter_context(quorate.connect(self.trial.url, lazy=True)), customers, WATCHERS)
            opened = time.monotonic()
            stack.callback(self._quietly(customers, watchers))
            customers.start()
            watchers.start()
            self.view.say(f"{CUSTOMERS} customers order, {WATCHERS} watchers read (linearizable)")
            self._go_on(BEFORE_S, customers, watchers)
            failover_ms, catch_up_ms = self._kill_the_leader(customers, watchers)
            self._go_on(AFTER_S, customers, watchers)
            customers.stop()
            watchers.stop()
            seconds = time.monotonic() - opened
            self.view.close()
            self.view.say("the store is closed")
            maybe = len(customers.unclear)
            customers.settle()
            return self._account(customers, watchers, seconds, maybe, failover_ms, catch_up_ms)

    def _quietly(self, customers: "Customers", watchers: "Watchers") -> Callable[[], None]:
        """When the story ends early the threads stop too; their own failures have been told by then."""

        def stop() -> None:
            for each in (customers, watchers):
                with contextlib.suppress(Exception):
                    each.stop()

        return stop

    def _kill_the_leader(self, customers: "Customers", watchers: "Watchers") -> tuple[float, float]:
        """Failover and catch-up, in milliseconds."""
        from quorate.lab.nemesis.trial import TrialFailed

        victim = self.trial.leader()
        scan = len(customers.acknowledged)
        moment, gone = self.trial.kill(victim)
        self._doing[victim] = "dead"
        self.view.say(f"kill -9 of {victim}, the leader")
        deadline = time.monotonic() + FAILOVER_TIMEOUT_S
        while (first := customers.first_new_after(moment, gone, scan)) is None:
            if time.monotonic() > deadline:
                raise TrialFailed(f"no order was acknowledged within {FAILOVER_TIMEOUT_S:g} s of the kill")
            self._go_on(TICK_S, customers, watchers)
        leader = self.trial.leader()
        self._leads(leader)
        self.view.say(f"first new order acknowledged {first / 1000:.0f} ms after the kill; {leader} leads")
        self._go_on(AWAY_S, customers, watchers)
        took = self._meanwhile(lambda: self._bring_back(victim), customers, watchers)
        self._doing[victim] = "follows"
        self.view.say(f"{victim} was started again, and had caught up {took:.0f} ms later")
        return first / 1000, round(took, 1)

    def _bring_back(self, victim: str) -> float:
        """Start the killed node and wait until it has what it missed; in milliseconds."""
        back = time.monotonic()
        self.trial.restart(victim)
        self._doing[victim] = "catches up"
        self.trial.wait_caught_up(victim)
        return (time.monotonic() - back) * 1000

    def _meanwhile(self, work: Callable[[], float], customers: "Customers", watchers: "Watchers") -> float:
        """Do something that takes its time while the store is shown."""
        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(work)
            while not done.done():
                self._go_on(TICK_S, customers, watchers)
            return done.result()

    def _leads(self, leader: str) -> None:
        for name, doing in self._doing.items():
            if doing == "leads":
                self._doing[name] = "follows"
        self._doing[leader] = "leads"

    def _go_on(self, seconds: float, customers: "Customers", watchers: "Watchers") -> None:
        """Let the store run for a while, and show it."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if customers.failed or watchers.failed:
                customers.stop()
                watchers.stop()
            nodes = tuple(self._doing.items())
            self.view.show(Figures(len(customers.acknowledged), watchers.reads, len(customers.unclear), nodes))
            time.sleep(min(TICK_S, left))

    def _account(
        self,
        customers: "Customers",
        watchers: "Watchers",
        seconds: float,
        maybe: int,
        failover_ms: float,
        catch_up_ms: float,
    ) -> DemoReport:
        from quorate.lab.nemesis import store

        self.trial.wait_level()
        acknowledged = [told.reference for told in customers.acknowledged]
        found = store.settle(acknowledged, [*customers.not_done, *customers.sold_out], self.trial.books())
        return DemoReport(
            acknowledged=found.acknowledged,
            lost=found.lost,
            duplicated=found.duplicated,
            maybe=maybe,
            failover_ms=failover_ms,
            writes_per_s=round(found.acknowledged / seconds, 1),
            reads_per_s=round(watchers.reads / seconds, 1),
            replicas_equal=found.replicas_equal,
            invented=found.invented,
            stock_agrees=found.stock_agrees,
            reads_went_back=len(watchers.went_back),
            sold_out=len(customers.sold_out),
            catch_up_ms=catch_up_ms,
        )
