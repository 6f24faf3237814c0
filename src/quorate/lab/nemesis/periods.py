"""The long campaign: period after period of faults, and of none, on a real cluster under four kinds of load.

Each period strikes one fault, keeps it for a while, ends it, and waits until the cluster has recovered: a new
write is acknowledged and every replica has caught up. Then what is unclear is settled. At the end the clients stop,
and everything that callers were told is held against every replica and put before the judges. A campaign in which
a fault never struck, hardly anything was done, or no leader ever changed has shown nothing, and fails.
"""

import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

import quorate
from quorate.lab.judges.catalogue import Options, judge
from quorate.lab.judges.history import dump
from quorate.lab.judges.jepsen import from_history
from quorate.lab.judges.report import Report as Judgement
from quorate.lab.nemesis import calls, registers, store
from quorate.lab.nemesis.faults import CALM, Faults, Struck
from quorate.lab.nemesis.figures import Spread, spread
from quorate.lab.nemesis.place import faketime, proxied, volume
from quorate.lab.nemesis.trial import DATABASE, Trial, TrialFailed, wait_until
from quorate.lab.nemesis.workload import Customers, Watchers, now_us

CUSTOMERS = 4
WATCHERS = 1
COUNTERS = 2
BANKERS = 2
IMPATIENCE_S = 0.25
"""The time-out of those who count: shorter than an election, so that answers are lost and must be asked for."""
LASTS_S = (2.0, 6.0)
"""How long a fault lasts: long enough for a new election."""
RECOVERY_TIMEOUT_S = 60.0
ORDERS_PER_S_FLOOR = 5.0
"""Acknowledged orders a second, over the whole campaign: fewer is no load."""


class Period(Struct, frozen=True):
    """One fault and what followed."""

    number: int
    fault: str
    node: str
    led: bool
    """Was it the leader?"""
    acknowledged: int
    """Orders acknowledged while it lasted and until the cluster had recovered."""
    silence_ms: float
    """The longest time without an acknowledgement in that time."""
    recovery_ms: float
    """From the fault's end until a new order was acknowledged and every replica had caught up."""


class Row(Struct, frozen=True):
    """All periods of one fault."""

    fault: str
    periods: int
    leaders: int
    """How often it was the leader that suffered."""
    evidence: int
    """How often there was proof that it struck: processes gone, pieces held back, connections broken."""
    acknowledged: int
    silence_ms: Spread
    recovery_ms: Spread


class Account(Struct, frozen=True):
    """What became of everything."""

    orders: int
    """Acknowledged."""
    maybe: int
    """Orders and increments whose answer was lost; each was settled by asking for its outcome."""
    lost: int
    duplicated: int
    invented: int
    stock_agrees: bool
    replicas_equal: bool
    reads: int
    reads_went_back: int
    increments: int
    counter_agrees: bool
    bank_agrees: bool
    judged: dict[str, int]
    """Judge -> how many calls it judged."""
    verdicts: dict[str, str]

    def wrong(self) -> list[str]:
        """What is not as promised, as sentences."""
        orders = {"lost": self.lost, "duplicated": self.duplicated, "invented": self.invented}
        found = [f"{count} orders {what}" for what, count in orders.items() if count]
        checks = {
            "stock and orders disagree": self.stock_agrees,
            "replicas differ": self.replicas_equal,
            "the counter is not what was committed": self.counter_agrees,
            "the bank's total changed": self.bank_agrees,
        }
        found += [text for text, well in checks.items() if not well]
        if self.reads_went_back:
            found.append(f"{self.reads_went_back} reads went back in time")
        return found + [f"{name}: {verdict}" for name, verdict in self.verdicts.items() if verdict != "ok"]


class Result(Struct, frozen=True):
    """The whole campaign."""

    seconds: float
    nodes: int
    seed: int
    periods: tuple[Period, ...]
    rows: tuple[Row, ...]
    account: Account
    epochs: int
    """How many epochs the group went through: changes of leader and tries."""
    leader_changes: int
    skipped: dict[str, str]
    """Faults that this machine does not allow, and why."""
    vacuous: tuple[str, ...]
    """Why the campaign has shown nothing."""
    machine: str

    @property
    def passed(self) -> bool:
        return not self.account.wrong() and not self.vacuous


def unseen(rows: tuple[Row, ...], periods: int) -> tuple[list[str], list[str]]:
    """Faults whose turn had not come when the time was over, which no short campaign can help; and why it has shown
    nothing: faults that had their turn, or should have had it by then, and never struck."""
    short = periods < 2 * len(rows)
    late = [row.fault for row in rows if short and not row.periods]
    missed = [
        f"{row.fault} never struck"
        for row in rows
        if row.fault not in late and not (row.evidence if row.fault != CALM else row.periods)
    ]
    return late, missed


class Load:
    """The four workloads, and what they were told."""

    def __init__(self, trial: Trial, stack: ExitStack, seed: int) -> None:
        def connection(timeout: float = 10.0) -> Any:
            return stack.enter_context(quorate.connect(trial.url, timeout=timeout, lazy=True))

        self.customers = Customers(connection(), CUSTOMERS, seed)
        self.watchers = Watchers(connection(), self.customers, WATCHERS)
        self.registers = registers.Registers(connection(), seed)
        self.counter = calls.Counter(connection(IMPATIENCE_S), COUNTERS, seed)
        self._patient = connection()
        self.bank = calls.Bank(connection(), BANKERS, seed)
        self._all = (self.customers, self.watchers, self.registers, self.counter, self.bank)

    def start(self) -> None:
        for each in self._all:
            each.start()

    def stop(self) -> None:
        """Raises what any client failed with."""
        for each in self._all:
            each.stop()

    @property
    def failed(self) -> bool:
        return any(each.failed for each in self._all)

    def settle(self) -> None:
        self.customers.settle()
        self.counter.settle(self._patient)

    def judgements(self) -> dict[str, tuple[Judgement, int]]:
        """Each judge's report, and how many calls it saw."""
        written = from_history(self.registers.history)
        return {
            "linearizable registers": (judge("register", written, Options(initial=registers.INITIAL)), len(written)),
            "counter": (self.counter.verdict(), len(self.counter.events) // 2),
            "bank": (self.bank.verdict(), len(self.bank.events) // 2),
        }

    def keep(self, folder: Path) -> None:
        """Write the histories down, so that they can be judged again."""
        (folder / "registers.jsonl").write_bytes(dump(self.registers.history))
        for name, events in (("counter", self.counter.events), ("bank", self.bank.events)):
            (folder / f"{name}.jsonl").write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in events))


class Campaign:
    """Runs the periods. `told` is called with each as it ends."""

    def __init__(self, trial: Trial, faults: Faults, seed: int, told: Callable[[Period], None]) -> None:
        self.trial = trial
        self.faults = faults
        self.seed = seed
        self.told = told
        self._rng = random.Random(f"{seed}/periods")
        self._leaders: list[str] = []
        self._machine = machine()

    def run(self, minutes: float, folder: Path) -> Result:
        """All of it. Raises TrialFailed when the cluster does not do in time what it must."""
        begun = time.monotonic()
        self.trial.open_store([*registers.stocking(), *calls.stocking()])
        first = self._epoch()
        with ExitStack() as stack:
            load = Load(self.trial, stack, self.seed)
            load.start()
            try:
                done = self._periods(begun + minutes * 60, load)
            finally:
                load.stop()
                load.keep(folder)
            load.settle()
            self.trial.wait_level(RECOVERY_TIMEOUT_S)
            account = self._account(load)
        seconds = round(time.monotonic() - begun, 1)
        return self._result(done, account, seconds, self._epoch() - first)

    def _periods(self, deadline: float, load: Load) -> tuple[Period, ...]:
        done: list[Period] = []
        deck: list[str] = []
        while time.monotonic() < deadline:
            deck = deck or self.faults.deck()
            done.append(self._period(len(done) + 1, deck.pop(), load))
            self.told(done[-1])
        return tuple(done)

    def _period(self, number: int, fault: str, load: Load) -> Period:
        customers = load.customers
        scan, began = len(customers.acknowledged), now_us()
        struck = self.faults.strike(fault)
        self._note_leader()
        time.sleep(self._rng.uniform(*LASTS_S))
        ended = now_us()
        self.faults.end()
        self._recover(load, ended, scan, struck)
        recovered = now_us()
        load.settle()  # while the database remembers what it is asked about
        self._note_leader()
        ends = sorted(told.ended_us for told in customers.acknowledged[scan:] if told.ended_us >= began)
        moments = [began, *ends, recovered]
        silence = max(later - sooner for sooner, later in pairwise(moments))
        return Period(
            number, fault, struck.node, struck.led, len(ends), silence / 1000, (recovered - ended) / 1000
        )  # fmt: skip

    def _recover(self, load: Load, ended_us: int, scan: int, struck: Struck) -> None:
        def written() -> bool:
            if load.failed:
                raise TrialFailed("a client met an error that it does not know; see below")
            return load.customers.first_new_after(ended_us, ended_us, scan) is not None

        wait_until(written, RECOVERY_TIMEOUT_S, f"no new write after {struck.fault} {struck.node}".rstrip())
        for name in self.trial.cluster.names:
            self.trial.wait_caught_up(name, RECOVERY_TIMEOUT_S)

    def _note_leader(self) -> None:
        leader = self.trial.cluster.leader(DATABASE)
        if leader is not None and self._leaders[-1:] != [leader]:
            self._leaders.append(leader)

    def _epoch(self) -> int:
        replica = self.trial.replica(self.trial.leader())
        return replica.epoch if replica is not None else 0

    def _account(self, load: Load) -> Account:
        customers, trial = load.customers, self.trial
        acknowledged = [told.reference for told in customers.acknowledged]
        books = store.settle(acknowledged, [*customers.not_done, *customers.sold_out], trial.books())
        readers = [trial.reader(name) for name in trial.cluster.names]
        judged = load.judgements()
        return Account(
            orders=books.acknowledged,
            maybe=len(customers.unclear) + len(load.counter.unclear),
            lost=books.lost,
            duplicated=books.duplicated,
            invented=books.invented,
            stock_agrees=books.stock_agrees,
            replicas_equal=books.replicas_equal,
            reads=load.watchers.reads,
            reads_went_back=len(load.watchers.went_back),
            increments=load.counter.happened,
            counter_agrees=load.counter.agrees([read(calls.COUNTERS_QUERY) for read in readers]),
            bank_agrees=load.bank.agrees([read(calls.ACCOUNTS_QUERY) for read in readers]),
            judged={name: count for name, (_, count) in judged.items()},
            verdicts={name: report.verdict for name, (report, _) in judged.items()},
        )

    def _result(self, done: tuple[Period, ...], account: Account, seconds: float, epochs: int) -> Result:
        rows = tuple(self._row(fault, done) for fault in [*self.faults.names, CALM])
        late, vacuous = unseen(rows, len(done))
        if account.orders < seconds * ORDERS_PER_S_FLOOR:
            vacuous.append(f"{account.orders} orders in {seconds:.0f} s are no load")
        if not account.maybe:
            vacuous.append("no answer was ever lost")
        changes = max(0, len(self._leaders) - 1)
        if not changes:
            vacuous.append("no leader ever changed")
        return Result(
            seconds, len(self.trial.cluster.names), self.seed, done, rows, account, epochs, changes,
            self.faults.skipped | dict.fromkeys(late, "the time was over before its turn"), tuple(vacuous),
            self._machine,
        )  # fmt: skip

    def _row(self, fault: str, done: tuple[Period, ...]) -> Row:
        mine = [period for period in done if period.fault == fault]
        return Row(
            fault,
            len(mine),
            sum(period.led and bool(period.node) for period in mine),
            self.faults.evidence.get(fault, 0),
            sum(period.acknowledged for period in mine),
            spread([period.silence_ms for period in mine]),
            spread([period.recovery_ms for period in mine]),
        )


def machine() -> str:
    """What it ran on, in a few words, and what else that had to do just before."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    what = f"{platform.system()} on {platform.machine()}, {os.cpu_count()} cores, CPython {python}"
    return f"{what}, load average before {os.getloadavg()[0]:.1f}"


def run_campaign(
    minutes: float, nodes: int, seed: int, told: Callable[[Period], None], folder: Path | None = None
) -> Result:
    """A campaign on a fresh cluster; in a temporary folder, or in `folder`, which is kept with the histories.

    Raises TrialFailed, runtime.cluster.NotReady, ConfigError and OSError.
    """
    with ExitStack() as stack:
        home = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quorate-nemesis-")))
        small = f"n{nodes}"
        disk = stack.enter_context(volume(home / "cluster" / small))
        cluster, proxies = proxied(home / "cluster", nodes, seed)
        stack.callback(proxies.stop)
        stack.callback(proxies.mend)
        stack.enter_context(cluster)
        cluster.start_all()
        cluster.wait_ready(30.0)
        trial = Trial(cluster)
        faults = Faults(trial, proxies, seed, disk, small, faketime())
        stack.callback(faults.end)
        return Campaign(trial, faults, seed, told).run(minutes, home)
