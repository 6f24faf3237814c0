"""Was the load generator the bottleneck? Two ways to see: a server that answers at once, and two generators instead
of one. (The third is in every sample: the generator's share of a core.)"""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from bench.figures import median, ratios
from bench.results import QUORATE, Check, Sample
from bench.work import Timing, generate, sample_of

ECHO = ((1, 1), (64, 1), (256, 1), (1, 64), (1, 256))
"""Connections and requests in flight on each."""


@contextmanager
def echo() -> Iterator[tuple[str, int]]:
    """Quorate's sockets, frames and codec with a core that answers at once: its address and pid."""
    from bench.server_echo import serve

    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        if not ours.poll(20):
            raise TimeoutError("the echoing server did not start")
        assert process.pid is not None
        yield ours.recv(), process.pid
    finally:
        process.terminate()
        process.join()
        ours.close()
        theirs.close()


def against_echo(timing: Timing) -> list[Check]:
    """What the generator carries when answers cost nothing, and what its CPU time says it could carry."""
    out = []
    with echo() as (address, pid):
        for connections, in_flight in ECHO:
            spec = {
                "address": address,
                "database": "main",
                "kind": "select",
                "connections": connections,
                "in_flight": in_flight,
                "checked": False,
                "seconds": timing.seconds,
                "warm_up": timing.warm_up,
                "watch": [pid],
            }
            sample = sample_of(generate("bench.load", spec))
            shape = f"{connections} connections, {in_flight} in flight on each"
            out.append(Check(f"against a server that answers at once: {shape}", QUORATE, sample.per_s, "per s"))
            out.append(Check(f"the generator's own time: {shape}", QUORATE, sample.load_cpu_us, "µs per request"))
    return out


Load = Callable[[int, int, Timing], Sample]
"""Connections, seed and timing to one sample."""


def doubled(loads: Sequence[tuple[str, str, int, Load]], rounds: int, timing: Timing) -> list[Check]:
    """Two generators with half of the connections each ÷ one generator with all. 1 or less: one was enough.

    `loads` are a description, the system, the connections and how to run a load.
    """
    out = []
    for what, system, connections, load in loads:
        one, two = [], []
        for _ in range(rounds):
            one.append(load(connections, 1, timing).per_s)
            two.append(_together(connections, load, timing))
        value = round(median(ratios(two, one)), 3)
        out.append(Check(f"two generators ÷ one: {what}, {connections} connections", system, value, "ratio"))
    return out


def _together(connections: int, load: Load, timing: Timing) -> float:
    with ThreadPoolExecutor(2) as pool:
        halves = [pool.submit(load, connections // 2, seed, timing) for seed in (1, 2)]
        return sum(half.result().per_s for half in halves)
