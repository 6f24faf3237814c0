"""What each node's loop does with its time under load: computing, waiting for a core, for the disk, or for others.

Whether a server is the bottleneck cannot be read from its CPU time alone: a loop that waits for the disk or for a core
is not free to do anything else either. What is left, sleeping, is what it waits for clients and for other nodes.

    python -m bench.share --clients 64,256
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from msgspec import Struct

from bench.procs import PROC, TICKS_PER_S, fields_of
from bench.system_quorate import QuorateSystem
from bench.work import Timing

ROWS = 10_000
VALUE_BYTES = 100
SAMPLE_S = 0.005
WARM_UP_S = 1.0


class Reading(Struct, frozen=True):
    """A process's main thread so far: seconds of computing, and of being ready without a core to run on."""

    user_s: float
    kernel_s: float
    ready_s: float


class Share(Struct, frozen=True):
    """Parts of the time that passed; they add up to 1, but for what sampling misses."""

    user: float
    kernel: float
    core: float
    """Ready to run, and waiting for a core."""
    disk: float
    others: float
    """Asleep: nothing has come that it could do."""


def read(pid: int) -> Reading:
    task = PROC / str(pid) / "task" / str(pid)
    fields = fields_of((task / "stat").read_text())
    ready_ns = int((task / "schedstat").read_text().split()[1])
    return Reading(int(fields[11]) / TICKS_PER_S, int(fields[12]) / TICKS_PER_S, ready_ns / 1e9)


class Watch(threading.Thread):
    """Looks at some processes for a while: how often each was waiting for the disk, beside what `read` tells."""

    def __init__(self, pids: list[int], after_s: float, seconds: float) -> None:
        super().__init__(daemon=True)
        self.pids = pids
        self.after_s = after_s
        self.seconds = seconds
        self.shares: dict[int, Share] = {}

    def run(self) -> None:
        time.sleep(self.after_s)
        began = time.monotonic()
        before = {pid: read(pid) for pid in self.pids}
        on_disk, looks = dict.fromkeys(self.pids, 0), 0
        while time.monotonic() - began < self.seconds:
            looks += 1
            for pid in self.pids:
                on_disk[pid] += fields_of((PROC / str(pid) / "stat").read_text())[0] == "D"
            time.sleep(SAMPLE_S)
        passed = time.monotonic() - began
        for pid in self.pids:
            self.shares[pid] = share(before[pid], read(pid), passed, on_disk[pid] / looks)


def share(before: Reading, after: Reading, passed: float, disk: float) -> Share:
    """What a thread did between two readings."""
    user = (after.user_s - before.user_s) / passed
    kernel = (after.kernel_s - before.kernel_s) / passed
    core = (after.ready_s - before.ready_s) / passed
    return Share(user, kernel, core, disk, max(0.0, 1 - user - kernel - core - disk))


def describe(name: str, found: Share) -> str:
    return (
        f"  {name:9} computing {found.user + found.kernel:.2f} (kernel {found.kernel:.2f}), waiting for a core "
        f"{found.core:.2f}, for the disk {found.disk:.2f}, for others {found.others:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", default="1,64,256", help="how many, each with a connection of its own")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--folder", type=Path, help="on the disk that is to be used")
    args = parser.parse_args()
    sizes: dict[str, Any] = {"rows": ROWS, "value_bytes": VALUE_BYTES}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder, QuorateSystem(Path(folder)) as system:
        system.fill("main", ROWS, VALUE_BYTES)
        leader = system.leader()
        places = [system.cluster.place(name) for name in system.cluster.names]
        names = {place.pid: "leader" if place.address == leader else "follower" for place in places if place.pid}
        for clients in (int(each) for each in args.clients.split(",")):
            watch = Watch(list(names), WARM_UP_S, args.seconds)
            watch.start()
            sample = system.load("update", Timing(args.seconds, WARM_UP_S), connections=clients, **sizes)
            watch.join()
            print(f"{clients} clients: {sample.per_s:,.0f} updates a second; generator {sample.load_cpu_share:.2f}")
            for pid, name in sorted(names.items(), key=lambda each: each[1] != "leader"):
                print(describe(name, watch.shares[pid]), flush=True)


if __name__ == "__main__":
    main()
