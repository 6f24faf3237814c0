"""Which acks rule holds: the one that the group's log names, from an ACKS entry on.

The group's log is the truth; the catalog holds what is wanted, and a leader whose log says something else appends an
entry (`writes.reconcile`). Until that entry is counted the stricter of the old and the new rule holds, for counting as
for voting: a replica that has the entry and cannot know whether it is counted asks for what both ask for.

The entry itself, like the no-op, counts by majority whatever the rules are: or `sync` with a dead follower could
never be weakened. That is enough. Any leader to come has a majority's votes, so it has the entry, and with it
everything before it; and a replica whose entry was not counted before another epoch began meets the no-op of that
epoch in every majority.
"""

from collections.abc import Iterable, Sequence

from quorate.core.acks_rule import (
    ASYNC,
    DEFAULT,
    ETCD,
    MANUAL,
    NOTHING_SAID,
    AcksFact,
    AcksRule,
    Reign,
    mark_of,
    read_entry,
    read_noop,
    read_rule,
    strictest_holders,
    strictest_votes,
)
from quorate.core.kernel import ACKS, NOOP, Entry
from quorate.core.options import SingleLeaderOptions
from quorate.core.promises import offered
from quorate.core.replica import Host


def wanted_rule(host: Host, database: str) -> AcksRule | None:
    """What the catalog wants of this database; None when it has not been read yet, or does not know it."""
    options = host.wanted_options(database)
    assert options is None or isinstance(options, SingleLeaderOptions), "the catalog says that it has no leader"
    return None if options is None else options.rule


class Rules:
    """The rule that is counted, and those that lie behind it in the log."""

    def __init__(self, fact: AcksFact = NOTHING_SAID, coming: Iterable[Entry] = ()) -> None:
        self.coming: list[tuple[int, AcksRule]] = []
        self.reigns: list[Reign] = []
        self.replaced(fact)
        self.appended(coming)

    def replaced(self, fact: AcksFact) -> None:
        """The data file is another's, which says this; what is left of the log follows it."""
        behind = fact.reigns[-1].index if fact.reigns else fact.since
        self.coming = [each for each in self.coming if each[0] > fact.since]
        kept = [reign for reign in self.reigns if reign.index > behind]
        self.counted = read_rule(fact.rule) if fact.rule else DEFAULT
        self.since = fact.since
        """Index of the entry that named it; 0 when the log never named any."""
        self.reigns = [*fact.reigns, *kept]
        """As `AcksFact.reigns`, up to the end of the log."""

    def appended(self, entries: Iterable[Entry]) -> None:
        """These entries were added to the log."""
        for entry in entries:
            if entry.kind == ACKS:
                rule, leader = read_entry(entry.payload)
                self.coming.append((entry.index, rule))
                if rule.traces or self.reigns:
                    self.reigns.append(Reign(entry.epoch, entry.index, leader))
            elif entry.kind == NOOP and (self.lossy or self.reigns or entry.payload):
                leader, accepted = read_noop(entry.payload)
                loses = accepted or self.newest.kind == ASYNC
                self.reigns.append(Reign(entry.epoch, entry.index, leader, loses, mark_of(entry.payload)))

    def truncated(self, first: int) -> None:
        """Everything from this index on is gone from the log. (What a majority holds never is, and that includes every
        rule that is in force.)"""
        self.coming = [each for each in self.coming if each[0] < first]
        self.reigns = [reign for reign in self.reigns if reign.index < first]

    def counts(self, index: int) -> None:
        """The log is counted up to here."""
        while self.coming and self.coming[0][0] <= index:
            self.since, self.counted = self.coming.pop(0)

    def epoch_at(self, index: int) -> int | None:
        """The epoch of an entry, also of one that the log has forgotten; None when nothing was written down then."""
        known = [reign.epoch for reign in self.reigns if reign.index <= index]
        return known[-1] if known else None

    def begun_at(self, index: int) -> Reign | None:
        """The entry that began the epoch of the entry at this index, if it is known and has a mark."""
        epoch = 0
        for reign in reversed(self.reigns):
            if reign.index <= index:
                epoch = epoch or reign.epoch
                if reign.epoch != epoch:
                    return None
                if reign.mark:
                    return reign
        return None

    def mark_at(self, index: int) -> int:
        """See `Reign.mark`; 0: not known."""
        reign = self.begun_at(index)
        return 0 if reign is None else reign.mark

    @property
    def all(self) -> Sequence[AcksRule]:
        """Every rule that may be in force."""
        return (self.counted, *(rule for _, rule in self.coming)) if self.coming else (self.counted,)

    @property
    def newest(self) -> AcksRule:
        """What the log says last."""
        return self.coming[-1][1] if self.coming else self.counted

    @property
    def lossy(self) -> bool:
        """Something that counted, here or elsewhere, may be missing from the log of a later leader."""
        return self.counted.kind == ASYNC or (bool(self.coming) and any(rule.kind == ASYNC for _, rule in self.coming))

    @property
    def are_default(self) -> bool:
        """Majority, and nothing else is coming: what a majority agrees on is held."""
        return not self.coming and self.counted == DEFAULT

    @property
    def by_hand(self) -> bool:
        """Somebody decides who leads, and nobody stands by himself; also while it is not sure that this is so."""
        return any(rule.failover == MANUAL for rule in self.all)

    @property
    def by_permit(self) -> bool:
        """Nobody stands by himself without an etcd's permit; also while it is not sure that this is so."""
        return any(rule.failover == ETCD for rule in self.all)

    def is_narrow(self, voters: int) -> bool:
        """A leader elected by a mere majority may lack what counted."""
        return any(rule.is_narrow(voters) for rule in self.all)

    def holders(self, voters: int) -> int:
        return strictest_holders(self.all, voters) if self.coming else self.counted.holders(voters)

    def votes(self, voters: int) -> int:
        return strictest_votes(self.all, voters)

    def offers(self, level: str) -> bool:
        """Whether reads of this level are promised."""
        return all(offered(rule.kind, level) for rule in self.all)
