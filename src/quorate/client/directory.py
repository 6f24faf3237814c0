"""What a client knows of a cluster, and which node it asks first. No input or output."""

from collections.abc import Iterable
from hashlib import blake2b
from random import Random

from quorate.core.bounds import GroupId
from quorate.core.read_levels import parse

SHUNNED = 0.5
"""Seconds for which a node that failed is asked only when nobody else is left."""


class Directory:
    """What a client knows of a cluster: its nodes, who leads which database, who failed lately."""

    def __init__(self, addresses: Iterable[str], rng: Random, key: str = ""):
        """Of those that are named, clients with the same `key` choose the same node to read from."""
        self.addresses: list[str] = list(addresses)
        """Nodes that were named by the user first, then the members, and others that answers named."""
        self.leaders: dict[str, str] = {}
        """Database -> the node that is thought to lead it."""
        self.several: set[str] = set()
        """Databases that are known to have several leaders."""
        self.homes: dict[str, GroupId] = {}
        """Database of several leaders -> the group of the one that this client writes to."""
        self.unled: set[str] = set()
        """Databases that are known to have no leader."""
        self._silent: set[str] = set()
        """Nodes that were asked something, and have not answered yet for longer than was patient."""
        self.heard = False
        """Some node has answered something."""
        self._named = len(self.addresses)
        self._changes = 0
        """How often the members had been changed when they were heard of last."""
        self._shunned: dict[str, float] = {}
        self._rng = rng
        self._key = key
        self._home: str | None = None
        """The node that reads stay with which any may answer: its answers do not go back in time by
        themselves, and different clients spread over the nodes."""

    def learn(self, address: str) -> None:
        """An answer named a node."""
        if address and address not in self.addresses:
            self.addresses.append(address)

    def members(self, addresses: Iterable[str], changes: int) -> None:
        """These nodes belong to the cluster, after so many changes of its members. Others are forgotten, but for those
        that the user named: a cluster may exchange all its nodes while a client uses it."""
        found = [address for address in addresses if address]
        if found and changes >= self._changes:
            self._changes = changes
            named = self.addresses[: self._named]
            self.addresses = named + [address for address in found if address not in named]

    def is_named(self, address: str) -> bool:
        """The user named it, and no answer did."""
        return address in self.addresses[: self._named]

    def leads(self, database: str, address: str) -> None:
        """This node is thought to lead this database."""
        self.learn(address)
        self.leaders[database] = address

    def does_not_lead(self, database: str, address: str) -> None:
        """This node does not lead it (any more)."""
        if self.leaders.get(database) == address:
            del self.leaders[database]

    def failed(self, address: str, now: float) -> None:
        """No connection to this node, or it broke: for a while others are asked first."""
        self._shunned[address] = now + SHUNNED
        for database in [name for name, leader in self.leaders.items() if leader == address]:
            del self.leaders[database]
        if self._home == address:
            self._home = None

    def silent(self, database: str, address: str) -> None:
        """This node does not answer; it may be well."""
        self.does_not_lead(database, address)
        self._silent.add(address)

    def is_lost(self, address: str, now: float) -> bool:
        """Whether this node has failed, or fallen silent, and was not heard since."""
        return address in self._silent or self._shunned.get(address, 0.0) > now

    def answered(self, address: str) -> None:
        """This node is well."""
        self._shunned.pop(address, None)
        self._silent.discard(address)
        self.heard = True

    def choose(self, database: str, level: str, avoid: Iterable[str], now: float) -> str:
        """The node to ask. `avoid` are nodes from which this request expects nothing new."""
        avoided = set(avoid)
        if database in self.several:
            return self._stay(database, avoided, now)
        if parse(level)[0].anywhere:
            if self._home is None or self._home in avoided:
                home = self._by_key(avoided, now) if self._key else self._pick(avoided, now)
                if self._home is None:
                    self._home = home
                return home
            return self._home
        leader = self.leaders.get(database)
        if leader is not None and leader not in avoided:
            return leader
        return self._pick(avoided, now)

    def _stay(self, database: str, avoided: set[str], now: float) -> str:
        """Of several leaders: writes and reads go to the same one, so that a session need not wait for what the one
        has not heard of the other. It is one of those that the user named, as long as one of them is well."""
        for known in (self.leaders.get(database), self._home):
            if known is not None and known not in avoided:
                return known
        fresh = self._fresh(self.addresses[: self._named], avoided, now)
        chosen = self._by_key(avoided, now) if self._key or not fresh else self._rng.choice(fresh)
        self._home = self._home or chosen
        return chosen

    def _fresh(self, addresses: Iterable[str], avoided: set[str], now: float) -> list[str]:
        """Those that have not failed lately."""
        return [each for each in addresses if each not in avoided and self._shunned.get(each, 0.0) <= now]

    def _by_key(self, avoided: set[str], now: float) -> str:
        """The node whose name goes best with the key, of those that were named: when one fails, only its readers go
        elsewhere (rendezvous hashing)."""
        fresh = self._fresh(self.addresses[: self._named], avoided, now)
        return max(fresh, key=self._weight) if fresh else self._pick(avoided, now)

    def _weight(self, address: str) -> bytes:
        return blake2b(f"{self._key} {address}".encode(), digest_size=8).digest()

    def _pick(self, avoided: set[str], now: float) -> str:
        """Any node: preferably neither avoided nor failed lately, else the one that failed longest ago."""
        fresh = self._fresh(self.addresses, avoided, now)
        if fresh:
            return self._rng.choice(fresh)
        rest = [each for each in self.addresses if each not in avoided] or self.addresses
        return min(rest, key=lambda each: (self._shunned.get(each, 0.0), each))
