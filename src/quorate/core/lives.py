"""The newest life of a node: what others remember of it, and the effects by which it is noted (`core.superseding`)."""

from msgspec import Struct

from quorate.core.bounds import Boot, NodeId, Signed


class PeerLife(Struct, frozen=True, array_like=True, order=True):
    """One life of a node."""

    node: NodeId
    boot: Boot
    begun_us: Signed
    """By its own clock; only compared with itself."""


class RememberLife(Struct, frozen=True):
    """Note the newest life of another node, durably."""

    life: PeerLife


class RaiseBoot(Struct, frozen=True):
    """This life of the node has this number from now on: note it in the folder, durably; forget its earlier ones."""

    boot: int
