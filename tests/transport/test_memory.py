from collections import deque
from collections.abc import Callable

from quorate.core.messages import Heartbeat
from quorate.transport.memory import MemoryNetwork, MemoryTransport


class Heard:
    """Keeps `transport.interface.Handler` for what peers do."""

    def __init__(self) -> None:
        self.log: list[object] = []

    def delivered(self, sender: int, message: object) -> None:
        self.log.append((sender, message))

    def asked(self, *_: object) -> None:
        raise AssertionError("nobody asks here")

    def left(self, *_: object) -> None:
        raise AssertionError("nobody asks here")

    def reachable(self, peer: int) -> None:
        self.log.append(f"+{peer}")

    def located(self, peer: int, address: str, *, certified: bool = False) -> None: ...

    def unreachable(self, peer: int) -> None:
        self.log.append(f"-{peer}")


class Pair:
    def __init__(self) -> None:
        self.soon: deque[Callable[[], None]] = deque()
        self.network = MemoryNetwork(self.soon.append)
        self.heard = {number: Heard() for number in (1, 2)}
        self.transports = {number: self.network.attach(number, self.heard[number]) for number in (1, 2)}
        self.transports[1].connect(2, "")
        self.transports[2].connect(1, "")
        self.settle()

    def settle(self) -> None:
        while self.soon:
            self.soon.popleft()()

    def say(self, transport: MemoryTransport, to: int, *numbers: int) -> None:
        for number in numbers:
            transport.send(to, Heartbeat(number, 1))
        transport.flush()


def test_messages_arrive_in_order_with_the_flush_and_not_before() -> None:
    pair = Pair()
    pair.transports[1].send(2, Heartbeat(1, 1))
    pair.settle()
    assert pair.heard[2].log == ["+1"]
    pair.say(pair.transports[1], 2, 2, 3)
    pair.settle()
    assert pair.heard[2].log == ["+1", *[(1, Heartbeat(number, 1)) for number in (1, 2, 3)]]


def test_a_cut_link_loses_what_is_under_way_and_both_hear_of_it() -> None:
    pair = Pair()
    pair.say(pair.transports[1], 2, 1)
    pair.network.cut(1, 2)
    pair.settle()
    pair.say(pair.transports[1], 2, 2)
    pair.network.heal(2, 1)
    pair.settle()
    pair.say(pair.transports[1], 2, 3)
    pair.settle()
    assert pair.heard[2].log == ["+1", "-1", "+1", (1, Heartbeat(3, 1))]
    assert pair.heard[1].log == ["+2", "-2", "+2"]


def test_a_node_that_ends_and_returns() -> None:
    pair = Pair()
    pair.network.detach(2)
    pair.settle()
    pair.say(pair.transports[1], 2, 1)
    pair.network.attach(2, Heard())
    pair.settle()
    assert pair.heard[1].log == ["+2", "-2", "+2"]
