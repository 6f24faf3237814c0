"""What was committed by another rule than majority: was it held as the rule asks, and if it was lost, was it saved?

An observer beside `invariants`, which reads the rules from the logs itself and not from the cores: an ACKS entry names
the rule of what follows it. Under `async` an entry that was committed may be missing from a later leader's log; then
every node that held it and was not damaged keeps it among its lost tails before it drops it from its log, once and
whole."""

from collections.abc import Iterable

import msgspec

from quorate.core.ack_policy import ASYNC, DEFAULT, AckPolicy, read_entry, read_noop
from quorate.core.bounds import GroupId, NodeId
from quorate.core.entries import ACKS, DATA, NOOP, Entry
from quorate.lab.sim.engine.world import Violation, World

LOST_TAIL = "lost tail"
ENOUGH_HOLDERS = "durable as promised"
GIVEN_UP = "acknowledged writes given up"
LOST_UNDER_ASYNC = "acknowledged writes lost under async"

Place = tuple[int, int]
"""Index and epoch: they name one entry of a group."""


class Chain:
    """Every entry of one group that any log ever had."""

    __slots__ = ("accepted", "async_once", "behind_rule", "committed", "entries", "rules", "tokens")

    def __init__(self) -> None:
        self.entries: dict[Place, tuple[int, int, bytes]] = {}
        """Its kind, the epoch of the one before it, and its payload."""
        self.rules: dict[Place, AckPolicy] = {}
        self.behind_rule: dict[Place, AckPolicy] = {}
        """For each entry: the rule that its log names last before it. (Whoever made an entry had the one before it, so
        that one is known by then.)"""
        self.tokens: dict[str, list[Place]] = {}
        self.committed: dict[Place, NodeId] = {}
        """What was committed and may be lost, and where."""
        self.async_once = False
        """Something may be lost: it was async, or somebody has accepted a loss."""
        self.accepted: dict[Place, frozenset[Place]] = {}
        """The first entry of each epoch that began with an accepted loss, and what lies behind it."""

    def add(self, entry: Entry, previous: int | None, *, forgetful: bool) -> bool:
        """Whether this is news of an accepted loss, or, where old copies are about, of what may be one."""
        place = (entry.index, entry.epoch)
        if place in self.entries:
            return False
        before = (entry.index - 1, previous or 0)
        self.entries[place] = (entry.kind, before[1], entry.payload)
        self.behind_rule[place] = self.rules.get(before) or self.rule_at(before)
        if entry.kind == ACKS:
            self.rules[place] = read_entry(entry.payload)[0]
            self.async_once = self.async_once or self.rules[place].kind == ASYNC
        elif entry.kind == DATA:
            for token, _ in msgspec.msgpack.decode(entry.payload)[-1]:  # of SQLite's batches as of the model's
                self.tokens.setdefault(token, []).append(place)
        elif entry.kind == NOOP and (forgetful or read_noop(entry.payload)[1]):
            self.accepted[place] = frozenset(self.behind(place))
            self.async_once = True
            return True
        return False

    def given_up(self, place: Place) -> bool:
        """Whether a later epoch began with an accepted loss, and without this entry."""
        return any(place[1] < begun[1] and place not in behind for begun, behind in self.accepted.items())

    def behind(self, place: Place) -> Iterable[Place]:
        """This entry and all before it, newest first, as far as they are known."""
        index, epoch = place
        while (known := self.entries.get((index, epoch))) is not None:
            yield index, epoch
            index, epoch = index - 1, known[1]

    def rule_at(self, place: Place) -> AckPolicy:
        """The rule that the log of this entry names last, before it."""
        return self.behind_rule.get(place, DEFAULT)


class Tails:
    """All groups. Raises Violation."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chains: dict[GroupId, Chain] = {}
        self.forgetful = False
        """Somebody has put back an old copy of a folder, and nobody could tell: a leader may lack what was
        committed."""

    def chain(self, group: GroupId) -> Chain:
        known = self.chains.get(group)
        if known is None:
            known = self.chains[group] = Chain()
        return known

    def written(self, group: GroupId, entries: Iterable[Entry], previous: int | None) -> bool:
        """Some log got these entries. Whether a loss was accepted with them."""
        chain = self.chain(group)
        accepted = False
        for entry in entries:
            accepted = chain.add(entry, previous, forgetful=self.forgetful) or accepted
            previous = entry.epoch
        return accepted

    def rule_of(self, group: GroupId, place: Place) -> AckPolicy:
        """The rule that a log names last which ends here."""
        chain = self.chain(group)
        return chain.rules.get(place) or chain.rule_at(place)

    def needed(self, group: GroupId, place: Place, voters: int) -> int:
        """How many voters must hold this entry for it to be committed."""
        chain = self.chain(group)
        kind = chain.entries.get(place, (DATA, 0, b""))[0]
        return DEFAULT.holders(voters) if kind != DATA else chain.rule_at(place).holders(voters)

    def loose(self, group: GroupId, place: Place) -> bool:
        """Whether it was committed by its leader's word alone, or somebody accepted its loss: it may be lost."""
        chain = self.chains.get(group)
        if chain is None or not chain.async_once or chain.entries.get(place, (ACKS,))[0] != DATA:
            return False
        return chain.rule_at(place).kind == ASYNC or chain.given_up(place)

    def dropping(self, node: NodeId, group: GroupId, dropped: Iterable[Place], kept: set[Place]) -> None:
        """A sound node drops these from its log, and they are not in the leader's; `kept` are its lost tails."""
        chain = self.chains.get(group)
        if chain is None:
            return
        for place in dropped:
            if self.loose(group, place) and (not self.forgetful or place in chain.committed):
                self.world.mark("lost entries dropped")
                if place not in kept:
                    text = (
                        f"node {node} drops entry {place[0]} of epoch {place[1]} of group {group}, and kept it nowhere"
                    )
                    raise Violation(LOST_TAIL, text)

    def check_kept(self, node: NodeId, group: GroupId, kept: Iterable[Place]) -> None:
        """What a node keeps is what some log had, and each entry once."""
        chain = self.chain(group)
        for place in sorted(kept):
            if chain.entries.get(place, (ACKS,))[0] != DATA:
                raise Violation(LOST_TAIL, f"node {node} keeps entry {place} of group {group}, which no log ever had")

    def check_forgotten(self, group: GroupId, held: Iterable[set[Place]]) -> None:
        """At the end: everything that was committed and later leaders lacked is still somewhere; `held`: where it may
        be."""
        chain = self.chain(group)
        gone = {place for place in chain.committed if chain.entries[place][0] == DATA}.difference(*held)
        if gone:
            raise Violation(
                LOST_TAIL, f"entries {sorted(gone)} of group {group} committed, and nobody has them any more"
            )
        self.world.mark("forgotten entries kept", sum(chain.entries[place][0] == DATA for place in chain.committed))

    def settle(self, group: GroupId, last: Place, acknowledged: Iterable[str]) -> None:
        """At the end: every acknowledged write is in the log that all have now, or committed under async and was
        lost."""
        chain = self.chain(group)
        final = set(chain.behind(last))
        first = min((index for index, _ in final), default=0)
        for token in acknowledged:
            places = chain.tokens.get(token, [])
            there = [place for place in places if place in final or place[0] < first]
            if len(there) > 1:
                raise Violation("exactly once", f"write {token} of group {group} is in the log twice: {there}")
            if there:
                continue
            if not any(place in chain.committed for place in places):
                raise Violation(
                    LOST_TAIL, f"write {token} of group {group} was acknowledged and committed nowhere: {places}"
                )
            lost = any(chain.given_up(place) for place in places)
            self.world.mark(GIVEN_UP if lost else LOST_UNDER_ASYNC)
