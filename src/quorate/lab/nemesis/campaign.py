"""The failover campaign: rounds of `kill -9` and SIGSTOP on a cluster under load, and what they cost.

Each round harms one node, the leader more often than not, and measures the time from the fault to the first
new acknowledged write: one that was begun after the node was certainly gone. Then the node comes back and
must catch up. At the end the store is closed and everything that callers were told is held against every
replica; the reads of the registers are judged for linearizability.
"""

import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

import quorate
from quorate.lab.judges import history as histories
from quorate.lab.nemesis import store
from quorate.lab.nemesis.figures import Spread, spread
from quorate.lab.nemesis.registers import Registers
from quorate.lab.nemesis.registers import stocking as register_calls
from quorate.lab.nemesis.trial import Trial, TrialFailed, wait_until
from quorate.lab.nemesis.workload import Customers, Watchers
from quorate.runtime.cluster import LocalCluster

KILL = "kill -9"
STOP = "SIGSTOP"
LEADER_SHARE = 0.7
"""How often the leader is harmed, and not a node chosen blindly."""

CUSTOMERS = 8
WATCHERS = 1
FIRST_WRITE_TIMEOUT_S = 30.0
STAYS_AWAY_S_MAX = 1.0
"""How long a node stays away after the first new write, at most."""
CALM_S_MAX = 0.5
"""How long the cluster is left alone between rounds, at most."""


class Round(Struct, frozen=True):
    """One fault and what followed."""

    number: int
    fault: str
    node: str
    led: bool
    """Was it the leader?"""
    first_write_ms: float
    """From the fault to the first new acknowledged write."""
    catch_up_ms: float
    """From the node's return to its having applied what the leader had committed by then."""


class Report(Struct, frozen=True):
    """The whole campaign."""

    rounds: tuple[Round, ...]
    first_write_ms: Spread
    """Over all rounds."""
    first_write_after_leader_ms: Spread
    """Over the rounds that harmed the leader."""
    acknowledged: int
    maybe: int
    """Orders whose answer was lost; each was settled by asking for its outcome."""
    lost: int
    duplicated: int
    invented: int
    stock_agrees: bool
    replicas_equal: bool
    reads: int
    reads_went_back: int
    register_operations: int
    registers: str
    """The judge's verdict: ok, broken or unknown."""
    failed_requests: int
    """Orders, reads and register operations that ended in an error."""
    seconds: float
    seed: int

    @property
    def passed(self) -> bool:
        """Nothing that was promised is missing."""
        wrong = self.lost + self.duplicated + self.invented + self.reads_went_back
        return wrong == 0 and self.stock_agrees and self.replicas_equal and self.registers == "ok"


class Campaign:
    """Runs the rounds. `told` is called with each round as it ends."""

    def __init__(self, trial: Trial, seed: int, told: Callable[[Round], None] = lambda _: None) -> None:
        self.trial = trial
        self.seed = seed
        self.told = told
        self._rng = random.Random(seed)

    def run(self, rounds: int) -> Report:
        """All of it. Raises TrialFailed when the cluster does not do in time what it must."""
        begun = time.monotonic()
        self.trial.open_store(register_calls())
        with ExitStack() as stack:
            ordering, watching, judging = (
                stack.enter_context(quorate.connect(self.trial.url, timeout=10.0, lazy=True)) for _ in range(3)
            )
            customers = Customers(ordering, CUSTOMERS, self.seed)
            watchers = Watchers(watching, customers, WATCHERS)
            registers = Registers(judging, self.seed)
            working = (customers, watchers, registers)
            for each in working:
                each.start()
            try:
                done = tuple(self._round(number, customers) for number in range(1, rounds + 1))
            finally:
                for each in working:
                    each.stop()
            customers.settle()
            self.trial.wait_level()
            return self._report(done, customers, watchers, registers, time.monotonic() - begun)

    def _round(self, number: int, customers: Customers) -> Round:
        leader = self.trial.leader()
        node = leader if self._rng.random() < LEADER_SHARE else self._rng.choice(self.trial.cluster.names)
        fault = self._rng.choice((KILL, STOP))
        away_s = self._rng.random() * STAYS_AWAY_S_MAX
        calm_s = self._rng.random() * CALM_S_MAX
        scan = len(customers.acknowledged)
        moment, gone = self.trial.kill(node) if fault == KILL else self.trial.pause(node)
        first_write_ms = first_new_order(customers, moment, gone, scan, f"round {number}: {fault} of {node}")
        time.sleep(away_s)
        back = time.monotonic()
        if fault == KILL:
            self.trial.restart(node)
        else:
            self.trial.resume(node)
        self.trial.wait_caught_up(node)
        caught_up_ms = (time.monotonic() - back) * 1000
        done = Round(number, fault, node, node == leader, first_write_ms, round(caught_up_ms, 1))
        self.told(done)
        time.sleep(calm_s)
        return done

    def failed_requests(self, customers: Customers, watchers: Watchers, registers: Registers) -> int:
        """Orders, reads and register operations that ended in an error."""
        ends = [operation.end for operation in registers.history.operations]
        failed = sum(end in (histories.FAIL, histories.INFO) for end in ends)
        return failed + len(customers.not_done) + len(customers.unclear) + watchers.failed_reads

    def _report(
        self, rounds: tuple[Round, ...], customers: Customers, watchers: Watchers, registers: Registers, seconds: float
    ) -> Report:
        acknowledged = [told.reference for told in customers.acknowledged]
        account = store.settle(acknowledged, [*customers.not_done, *customers.sold_out], self.trial.books())
        return Report(
            rounds=rounds,
            first_write_ms=spread([each.first_write_ms for each in rounds]),
            first_write_after_leader_ms=spread([each.first_write_ms for each in rounds if each.led]),
            acknowledged=account.acknowledged,
            maybe=len(customers.unclear),
            lost=account.lost,
            duplicated=account.duplicated,
            invented=account.invented,
            stock_agrees=account.stock_agrees,
            replicas_equal=account.replicas_equal,
            reads=watchers.reads,
            reads_went_back=len(watchers.went_back),
            register_operations=len(registers.history),
            registers=registers.verdict().verdict,
            failed_requests=self.failed_requests(customers, watchers, registers),
            seconds=round(seconds, 1),
            seed=self.seed,
        )


def first_new_order(customers: Customers, moment: int, begun: int, scan: int, after: str) -> float:
    """Wait for the first acknowledgement of an order that began after `begun`; milliseconds from `moment` to it. Of
    the acknowledgements the first `scan` were there before. Raises TrialFailed."""
    found: list[int] = []

    def written() -> bool:
        if customers.failed:
            raise TrialFailed("a customer met an error that it does not know; see below")
        first = customers.first_new_after(moment, begun, scan)
        found.extend([] if first is None else [first])
        return bool(found)

    wait_until(written, FIRST_WRITE_TIMEOUT_S, f"{after}: no new write")
    return found[0] / 1000


def run_campaign(
    rounds: int,
    nodes: int,
    seed: int,
    told: Callable[[Round], None] = lambda _: None,
    folder: Path | None = None,
    *,
    tls: bool = False,
) -> Report:
    """A campaign on a fresh cluster; in a temporary folder, or in `folder`, which is kept. `tls`: all of it encrypted.

    Raises TrialFailed and runtime.cluster.NotReady.
    """
    with ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quorate-nemesis-")))
        cluster = stack.enter_context(LocalCluster.start(nodes, place / "cluster", tls=tls))
        return Campaign(Trial(cluster), seed, told).run(rounds)
