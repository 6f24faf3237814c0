"""One run of the benchmark: the systems that are up, what was measured so far, and who is told."""

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.results import Check, Measure, Plan, Sample
from bench.system_etcd import EtcdSystem
from bench.system_postgres import PostgresSystem
from bench.system_quorate import QuorateSystem
from bench.work import Broken, Contender, Key, Timing, in_turn

SHOWN = (
    "per_s",
    "p50_ms",
    "p99_ms",
    "server_cpu_us",
    "server_cpu_share",
    "load_cpu_share",
    "retries",
    "memory_mb",
    "descriptors",
)
"""What of a sample is shown as it comes."""


class Session:
    """Starts each system when it is first needed and keeps it until `rest`; a peer that cannot be had is noted.

    `folder` is a fresh folder on the disk that is to be measured.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self.plan = plan
        self.timing = Timing(plan.seconds, plan.warm_up)
        self.measures: list[Measure] = []
        self.checks: list[Check] = []
        self.notes: list[str] = []
        self.failed: list[str] = []
        """Parts that were not finished."""
        self._began = time.monotonic()
        self._stack = ExitStack()
        self._quorate: QuorateSystem | None = None
        self._postgres: PostgresSystem | None = None
        self._etcd: EtcdSystem | None = None
        self._missing: set[str] = set()
        self._folders = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.rest()

    def rest(self) -> None:
        """Stop every system."""
        self._stack.close()
        self._quorate = self._postgres = self._etcd = None

    def fresh_folder(self) -> Path:
        self._folders += 1
        place = self.folder / str(self._folders)
        place.mkdir()
        return place

    def quorate(self) -> QuorateSystem:
        """Three nodes with a filled table."""
        if self._quorate is None:
            self._quorate = self._stack.enter_context(QuorateSystem(self.fresh_folder()))
            self._quorate.fill("main", self.plan.rows, self.plan.value_bytes)
        return self._quorate

    def postgres(self) -> PostgresSystem | None:
        """A primary and two standbys with a filled table; None when it cannot be had."""
        if self._postgres is None and "postgresql" not in self._missing:
            try:
                self._postgres = self._stack.enter_context(PostgresSystem(self.fresh_folder()))
                self._postgres.fill(self.plan.rows, self.plan.value_bytes)
            except Broken as error:
                self._without("postgresql", error)
        return self._postgres

    def etcd(self) -> EtcdSystem | None:
        """Three members with filled keys; None when it cannot be had."""
        if self._etcd is None and "etcd" not in self._missing:
            try:
                self._etcd = self._stack.enter_context(EtcdSystem(self.fresh_folder()))
                self._etcd.fill(self.plan.rows, self.plan.value_bytes)
            except Broken as error:
                self._without("etcd", error)
        return self._etcd

    def _without(self, name: str, error: Broken) -> None:
        self._missing.add(name)
        self.note(f"without {name}: {error}")

    def run(self, contenders: dict[Key, Contender]) -> None:
        """Rounds in turn; the measures are kept."""
        self.measures += in_turn(contenders, self.plan.rounds, self.timing, self.told)

    def keep(self, key: Key, sample: Sample) -> None:
        """A measure of one round."""
        self.told(key, sample)
        self.measures.append(Measure(*key, (sample,)))

    def told(self, key: Key, sample: Sample) -> None:
        part, system, variant, x = key
        figures = "  ".join(f"{name} {getattr(sample, name):,g}" for name in SHOWN if getattr(sample, name))
        self.say(f"{part:<9} {system:<10} {variant:<32} {x:>7,}  {figures}")
        if sample.failures:
            self.note(f"{part}, {system}, {variant}, {x}: {sample.failures}")

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.say(f"NOTE: {text}")

    def say(self, text: str) -> None:
        """Progress goes to stderr."""
        sys.stderr.write(f"{time.monotonic() - self._began:7.1f} s  {text}\n")
        sys.stderr.flush()
