"""Messages on their way: lost, late, repeated, out of order, cut off, held back.

Everything travels as bytes of the real codec, so nothing is shared between two nodes and the codec is
tested on the way. Nodes have positive numbers, clients negative ones; partitions cut nodes only.
"""

from collections import deque
from collections.abc import Callable
from math import log

from quorate.core.recovered import Member
from quorate.lab.sim.engine.logins import Badge
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.scenarios.dials import MILLISECOND, SECOND, Dials
from quorate.wire.frames import FrameReader, WireError, frame

ECHOES = 6
"""So many of the newest messages of each link are remembered for `echo`."""
ECHO_US = 20 * MILLISECOND

Receiver = Callable[[int, bytes], None]


def member_of(number: int) -> Member:
    """A node as the catalog knows it."""
    return Member(number, f"n{number}", f"node-{number}:1")


def node_at(address: str) -> int:
    """The node that such an address stands for."""
    return int(address.removeprefix("node-").partition(":")[0])


class Network:
    """One network for all."""

    def __init__(self, world: World, dials: Dials) -> None:
        self._world = world
        self._dials = dials
        self._rng = world.rng("network")
        self._receivers: dict[int, Receiver] = {}
        self.nodes = 0
        """The highest number of a node."""
        self._cut: dict[tuple[int, int], int] = {}
        """Directed links that carry nothing, with how many faults cut each."""
        self._held: dict[tuple[int, int], list[bytes]] = {}
        """Clogged links and what waits in them."""
        self._free_us: dict[tuple[int, int], int] = {}
        """With the dial `bandwidth`: until when each link is busy with what was sent."""
        self.badges: dict[int, Badge] = {}
        """With what callers log in, by their addresses; none: nobody does."""
        self._past: dict[tuple[int, int], deque[bytes]] = {}
        """With the dial `echo`: what was sent last."""

    def join(self, number: int, receiver: Receiver) -> None:
        """Deliver what is sent to this number."""
        assert number not in self._receivers, f"two receivers are called {number}"
        self._receivers[number] = receiver
        self.nodes = max(self.nodes, number)

    def send(self, source: int, target: int, payload: bytes) -> None:
        """Put a message on its way; it may arrive never, once or more often."""
        dials, rng, link = self._dials, self._rng, (source, target)
        between_nodes = source > 0 and target > 0
        watcher = self._world.watcher
        if watcher is not None:
            watcher.sent(source, target, payload)
        if between_nodes and dials.echo:
            self._past.setdefault(link, deque(maxlen=ECHOES)).append(payload)
        if link in self._cut or rng.random() < (dials.loss if between_nodes else dials.client_loss):
            self._world.mark("dropped")
            if watcher is not None:
                watcher.lost(payload)
            return
        if link in self._held:
            self._held[link].append(payload)
            self._world.mark("clogged")
            return
        extra = 0
        if between_nodes:
            if dials.bandwidth:
                extra = self._queue(link, len(payload))
            if dials.corrupt and rng.random() < dials.corrupt:
                self._spoil(source, target, payload)
                return
        elif source < 0 and dials.client_late and rng.random() < dials.client_late:
            self._world.mark("lingered")
            extra = rng.randrange(3 * SECOND)
        self._travel(source, target, payload, extra)
        if between_nodes and dials.duplicate and rng.random() < dials.duplicate:
            self._world.mark("duplicated")
            extra = rng.randrange(3 * SECOND) if rng.random() < dials.late else rng.randrange(50_000)
            self._travel(source, target, payload, extra)

    def _queue(self, link: tuple[int, int], size: int) -> int:
        """How long this many bytes take on a link of little bandwidth, behind what was sent before them."""
        now_us = self._world.now_us
        begins_us = max(now_us, self._free_us.get(link, 0))
        if begins_us > now_us:
            self._world.mark("queued")
        self._free_us[link] = begins_us + size * SECOND // self._dials.bandwidth
        return self._free_us[link] - now_us

    def _spoil(self, source: int, target: int, payload: bytes) -> None:
        """One bit changes on the way. A real transport finds that out by the frame's checksum, and the connection
        with what was in it ends; whatever it does not find out arrives."""
        data = bytearray(frame(payload))
        data[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)
        try:
            arrived = FrameReader().feed(bytes(data))
        except WireError:
            arrived = []
        self._world.mark("corrupted")
        if self._world.watcher is not None:
            self._world.watcher.lost(payload)
        for one in arrived:
            self._travel(source, target, one, 0)

    def _travel(self, source: int, target: int, payload: bytes, extra_us: int) -> None:
        dials = self._dials
        delay = dials.delay_us + extra_us
        if dials.tail_us:
            delay -= int(log(1.0 - self._rng.random()) * dials.tail_us)  # exponential, as `expovariate` draws it
        if self._world.watcher is None:
            self._world.after(delay, self._receivers[target], source, payload)
        else:
            self._world.after(delay, self._arrive, source, target, payload)

    def _arrive(self, source: int, target: int, payload: bytes) -> None:
        if self._world.watcher is not None:
            self._world.watcher.arrived(source, target, payload)
        self._receivers[target](source, payload)

    def echo(self, source: int) -> None:
        """What this node sent last to each of the others arrives now, in whatever order: late, or once more."""
        for link in sorted(self._past):
            if link[0] == source:
                for payload in self._past[link]:
                    self._world.mark("echoed")
                    self._world.after(self._rng.randrange(ECHO_US), self._arrive, *link, payload)

    def is_cut(self, source: int, target: int) -> bool:
        return (source, target) in self._cut

    def cut(self, links: list[tuple[int, int]]) -> None:
        """These directed links carry nothing until they are mended as often as they were cut."""
        for link in links:
            self._cut[link] = self._cut.get(link, 0) + 1

    def mend(self, links: list[tuple[int, int]]) -> None:
        for link in links:
            times = self._cut.get(link, 0)
            if times > 1:
                self._cut[link] = times - 1
            else:
                self._cut.pop(link, None)

    def clog(self, link: tuple[int, int]) -> None:
        """What is sent from now on waits."""
        self._held.setdefault(link, [])
        if self._world.watcher is not None:
            self._world.watcher.clogged(link)

    def unclog(self, link: tuple[int, int]) -> None:
        """What waited goes on, each with a delay of its own."""
        if self._world.watcher is not None:
            self._world.watcher.unclogged(link)
        for payload in self._held.pop(link, ()):
            self._travel(*link, payload, 0)

    def heal(self) -> None:
        """Every link carries again, nothing is lost or repeated any more, and delays are such that elections
        can succeed: no protocol promises to come right while messages take longer than its time-outs."""
        self._cut.clear()
        for link in list(self._held):
            self.unclog(link)
        bearable = self._dials.settings.election_us // 20
        dials = self._dials
        self._dials = Dials(delay_us=min(dials.delay_us, bearable), tail_us=min(dials.tail_us, bearable))
