"""What other programs write down: /proc and pgbench's log."""

import os

from bench.procs import TICKS_PER_S, Stat, family, parse_stat
from bench.system_postgres import in_window

from bench import procs


def test_a_process_may_be_called_anything() -> None:
    line = "12 (a) b) (c) S 7 12 12 0 -1 4194560 100 0 0 0 100 50 30 20 20 0 1 0 5 1 1"
    assert parse_stat(line) == Stat(12, 7, 200 / TICKS_PER_S)


def test_children_belong_to_the_family() -> None:
    everybody = {pid: Stat(pid, parent, 0.0) for pid, parent in ((1, 0), (2, 1), (3, 2), (4, 1), (5, 0))}
    assert sorted(family([2], everybody)) == [2, 3]
    assert sorted(family([1, 9], everybody)) == [1, 2, 3, 4]


def test_this_process_can_be_read() -> None:
    me = os.getpid()
    assert me in procs.stats()
    assert procs.memory_mb([me]) > 1
    assert procs.peak_memory_mb([me]) > 1
    assert procs.descriptors([me]) >= 3


def test_pgbench_transactions_in_the_window() -> None:
    lines = ["0 1 900 0 100 500000", "1 1 1500 0 101 0", "0 2 2500 0 102 250000", "1 2 9 0 103 0"]
    latencies, first = in_window(lines, 101.0, 103.0)
    assert latencies == [0.0015, 0.0025]
    assert first == 100.5
