"""What processes cost, read from /proc: CPU time, memory and descriptors of processes and all their children."""

import os
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

PROC = Path("/proc")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Stat(Struct, frozen=True):
    """The parts of /proc/PID/stat that are used here."""

    pid: int
    parent: int
    cpu_s: float
    """Its own time and that of children it has waited for, so that a process that ends takes no time with it."""


def fields_of(text: str) -> list[str]:
    """What follows the name (which may contain anything) in a line of /proc/PID/stat; the first is the state."""
    return text.rpartition(")")[2].split()


def parse_stat(text: str) -> Stat:
    """One line of /proc/PID/stat."""
    fields = fields_of(text)
    ticks = sum(int(each) for each in fields[11:15])  # utime, stime, cutime, cstime
    return Stat(int(text.split(" ", 1)[0]), int(fields[1]), ticks / TICKS_PER_S)


def stats() -> dict[int, Stat]:
    """Every process of the machine."""
    found = {}
    for place in PROC.iterdir():
        if place.name.isdigit():
            try:
                stat = parse_stat((place / "stat").read_text(errors="replace"))
            except OSError:  # it has just ended
                continue
            found[stat.pid] = stat
    return found


def family(roots: Iterable[int], everybody: dict[int, Stat]) -> list[int]:
    """The roots that exist and all their descendants."""
    children: dict[int, list[int]] = {}
    for stat in everybody.values():
        children.setdefault(stat.parent, []).append(stat.pid)
    found: list[int] = []
    waiting = [pid for pid in roots if pid in everybody]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_s(roots: Iterable[int]) -> float:
    """CPU seconds that these processes and their children have used so far, ended children included."""
    everybody = stats()
    return sum(everybody[pid].cpu_s for pid in family(roots, everybody))


def memory_mb(roots: Iterable[int]) -> float:
    """Proportional set size in MiB: memory shared between processes is counted once."""
    total = 0
    for pid in family(roots, stats()):
        try:
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def peak_memory_mb(roots: Iterable[int]) -> float:
    """The most resident memory that each process ever had, added up, in MiB. For processes that share little."""
    total = 0
    for pid in family(roots, stats()):
        try:
            lines = (PROC / str(pid) / "status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return total / 1024


def descriptors(roots: Iterable[int]) -> int:
    """Open file descriptors of all of them."""
    total = 0
    for pid in family(roots, stats()):
        try:
            total += len(os.listdir(PROC / str(pid) / "fd"))
        except OSError:
            continue
    return total
