"""The faulty proxy, over real sockets of this machine."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from quorate.lab.nemesis.proxy import Harm, Proxies
from quorate.lab.nemesis.trial import wait_until
from quorate.runtime.founding import free_ports
from quorate.wire.handshake import CLIENT, NODE, Hello, greeting

HOST = "127.0.0.1"
LINK = ("n1", "n2")


class Stage:
    """A proxy in front of `n2`, which is a socket that the test reads itself."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.front, back = free_ports(HOST, 2)
        self.listener = stack.enter_context(socket.create_server((HOST, back)))
        self.listener.settimeout(5)
        self.proxies = Proxies({"n2": ((HOST, self.front), (HOST, back))})
        stack.callback(self.proxies.stop)

    def dial(self, role: str = NODE, name: str = "n1") -> tuple[socket.socket, socket.socket]:
        """A connection through the proxy, greeted: (the caller's end, the node's end)."""
        caller = self.stack.enter_context(socket.create_connection((HOST, self.front), timeout=5))
        hello = greeting(Hello(role, name=name))
        caller.sendall(hello)
        node, _ = self.listener.accept()
        self.stack.enter_context(node).settimeout(5)
        assert exactly(node, len(hello)) == hello
        return caller, node


def exactly(one: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = one.recv(count - len(data))
        assert more, "the connection ended"
        data += more
    return data


@pytest.fixture
def stage() -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack)


def test_what_is_sound_passes_both_ways(stage: Stage) -> None:
    caller, node = stage.dial()
    big = bytes(range(256)) * 8_000
    caller.sendall(big)
    assert exactly(node, len(big)) == big
    node.sendall(b"back")
    assert exactly(caller, 4) == b"back"
    caller.close()
    assert node.recv(1) == b""


def test_proxies_whose_thread_has_ended_already_can_be_stopped() -> None:
    proxies = Proxies({})
    proxies._stopping = True
    proxies._wake()
    proxies._thread.join()
    proxies.stop()


def test_what_is_held_comes_late(stage: Stage) -> None:
    caller, node = stage.dial()
    stage.proxies.harm([LINK], Harm("partition", hold=True))
    caller.sendall(b"late")
    wait_until(lambda: stage.proxies.felt.get("partition", 0) > 0, 5.0, "nothing was held")
    node.settimeout(0)
    with pytest.raises(BlockingIOError):
        node.recv(1)
    node.settimeout(5)
    stage.proxies.mend()
    assert exactly(node, 4) == b"late"


def test_what_is_held_can_be_lost_with_its_connection(stage: Stage) -> None:
    caller, node = stage.dial()
    stage.proxies.harm([LINK], Harm("partition", hold=True))
    caller.sendall(b"lost")
    wait_until(lambda: stage.proxies.felt.get("partition", 0) > 0, 5.0, "nothing was held")
    stage.proxies.mend(reset=True)
    with pytest.raises(ConnectionResetError):
        node.recv(1)


def test_one_way_is_not_the_other(stage: Stage) -> None:
    stage.proxies.harm([("n2", "n1"), ("n3", "n2")], Harm("partition", hold=True))
    caller, node = stage.dial()
    caller.sendall(b"through")
    assert exactly(node, 7) == b"through"
    assert stage.proxies.felt == {}


def test_clients_pass_whatever_their_name(stage: Stage) -> None:
    stage.proxies.harm([LINK], Harm("refused", refuse=True))
    caller, node = stage.dial(CLIENT, "n1")
    caller.sendall(b"through")
    assert exactly(node, 7) == b"through"


def test_refused_links_break_at_once(stage: Stage) -> None:
    caller, _ = stage.dial()
    stage.proxies.harm([LINK], Harm("refused", refuse=True))
    with pytest.raises(ConnectionResetError):
        caller.recv(1)
    assert stage.proxies.felt["refused"] == 1


def test_delays_keep_the_order_and_take_their_time(stage: Stage) -> None:
    caller, node = stage.dial()
    stage.proxies.harm([LINK], Harm("delay", delay_s=0.05, jitter_s=0.01))
    begun = time.monotonic()
    caller.sendall(b"one")
    caller.sendall(b"two")
    assert exactly(node, 6) == b"onetwo"
    assert time.monotonic() - begun >= 0.04


def test_a_slow_link_lets_so_many_bytes_through(stage: Stage) -> None:
    caller, node = stage.dial()
    stage.proxies.harm([LINK], Harm("slow", bytes_per_s=100_000.0))
    begun = time.monotonic()
    caller.sendall(bytes(10_000))
    exactly(node, 10_000)
    assert time.monotonic() - begun >= 0.09


def test_a_mended_link_owes_no_more_delay(stage: Stage) -> None:
    caller, node = stage.dial()
    stage.proxies.harm([LINK], Harm("slow", bytes_per_s=10.0))
    caller.sendall(bytes(1_000))
    wait_until(lambda: stage.proxies.felt.get("slow", 0) > 0, 5.0, "nothing was slowed")
    stage.proxies.mend()
    exactly(node, 1_000)  # which would take more than a minute


def test_a_piece_can_be_lost_and_its_connection_with_it(stage: Stage) -> None:
    caller, node = stage.dial()
    stage.proxies.harm([LINK], Harm("breaking", break_chance=1.0))
    caller.sendall(b"lost")
    with pytest.raises(ConnectionResetError):
        node.recv(1)
    assert stage.proxies.felt["breaking"] == 1


def test_a_node_that_is_away_is_refused() -> None:
    front, back = free_ports(HOST, 2)
    proxies = Proxies({"n2": ((HOST, front), (HOST, back))})
    try:
        # The reset may come before the dialling call has returned.
        with pytest.raises(ConnectionResetError), socket.create_connection((HOST, front), timeout=5) as caller:
            caller.recv(1)
    finally:
        proxies.stop()
