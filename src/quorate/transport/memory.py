"""The transport without sockets: nodes of one process, for tests of what is above.

Messages are encoded and decoded on their way, so that what could not travel does not travel here either. They
arrive in order, or not at all when a link is cut.
"""

from collections.abc import Callable, Collection

from quorate.core.bounds import NodeId
from quorate.core.certificates import Protect
from quorate.core.messages import Message
from quorate.transport.interface import Handler
from quorate.wire.codec import decode_message, encode

Schedule = Callable[[Callable[[], None]], object]


class MemoryNetwork:
    """Joins `MemoryTransport`s. `call_soon` is the loop's: nothing is delivered from inside a call."""

    def __init__(self, call_soon: Schedule) -> None:
        self.call_soon = call_soon
        self._attached: dict[NodeId, MemoryTransport] = {}
        self._cut: set[tuple[NodeId, NodeId]] = set()

    def attach(self, node: NodeId, handler: Handler) -> "MemoryTransport":
        """A transport for this node; those that keep a connection to it hear that it is there."""
        transport = MemoryTransport(self, node, handler)
        self._attached[node] = transport
        self._review()
        return transport

    def detach(self, node: NodeId) -> None:
        """The node's process ends: its peers hear of it at once, and what is under way to it is lost."""
        self._attached.pop(node).peers.clear()
        self._review()

    def cut(self, one: NodeId, other: NodeId) -> None:
        """Nothing passes between the two, and both hear of it."""
        self._cut |= {(one, other), (other, one)}
        self._review()

    def heal(self, one: NodeId, other: NodeId) -> None:
        self._cut -= {(one, other), (other, one)}
        self._review()

    def linked(self, one: NodeId, other: NodeId) -> bool:
        return one in self._attached and other in self._attached and (one, other) not in self._cut

    def review(self, transport: "MemoryTransport") -> None:
        """Tell one node's handler which peers came and went."""
        for peer, was in list(transport.peers.items()):
            now = self.linked(transport.node, peer)
            if now != was:
                transport.peers[peer] = now
                tell = transport.handler.reachable if now else transport.handler.unreachable
                self.call_soon(lambda tell=tell, peer=peer: tell(peer))  # type: ignore[misc]

    def _review(self) -> None:
        for transport in self._attached.values():
            self.review(transport)

    def carry(self, sender: NodeId, to: NodeId, payload: bytes) -> None:
        """Deliver later, if there is still somebody then."""

        def arrive() -> None:
            if self.linked(sender, to):
                self._attached[to].handler.delivered(sender, decode_message(payload))

        self.call_soon(arrive)


class MemoryTransport:
    """Keeps `transport.interface.Transport`."""

    def __init__(self, network: MemoryNetwork, node: NodeId, handler: Handler) -> None:
        self.node = node
        self.handler = handler
        self.peers: dict[NodeId, bool] = {}
        """Those to keep a connection to, and whether there is one now."""
        self._network = network
        self._queue: list[tuple[NodeId, bytes]] = []

    def disconnect(self, peer: NodeId) -> None:
        self.peers.pop(peer, None)

    def connect(self, peer: NodeId, address: str) -> None:  # noqa: ARG002 - nobody has an address here
        if peer != self.node and peer not in self.peers:
            self.peers[peer] = False
            self._network.review(self)

    def send(self, to: NodeId, message: Message) -> None:
        if self.peers.get(to):
            self._queue.append((to, encode(message)))

    def end_logins(self, names: Collection[str], *, nameless: bool) -> None:
        """No client connects here."""

    def protect(self, how: Protect) -> None:
        """There is nothing between the two."""

    def flush(self) -> None:
        queue, self._queue = self._queue, []
        for to, payload in queue:
            self._network.carry(self.node, to, payload)
