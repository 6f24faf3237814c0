"""Which ack policy holds: the one that the group's log names, from an ACKS entry on.

The group's log is the truth; the catalog holds what is wanted, and a leader whose log says something else appends an
entry (`writes.reconcile`). Until that entry is committed the stricter of the old and the new rule holds, for counting
as for voting: a replica that has the entry and cannot know whether it is committed asks for what both ask for.

The entry itself, like the no-op, counts by majority whatever the rules are: or `sync` with a dead follower could
never be weakened. That is enough. Any leader to come has a majority's votes, so it has the entry, and with it
everything before it; and a replica whose entry was not committed before another epoch began meets the no-op of that
epoch in every majority.
"""

from collections.abc import Iterable, Sequence

from quorate.core.ack_policy import (
    ASYNC,
    DEFAULT,
    ETCD,
    MANUAL,
    AckPolicy,
    Leadership,
    mark_of,
    read_entry,
    read_noop,
    strictest_holders,
    strictest_votes,
)
from quorate.core.entries import ACKS, NOOP, Entry
from quorate.core.options import SingleLeaderOptions
from quorate.core.read_levels import offered
from quorate.core.replica import Host


def wanted_rule(host: Host, database: str) -> AckPolicy | None:
    """What the catalog wants of this database; None when it has not been read yet, or does not know it."""
    options = host.wanted_options(database)
    assert options is None or isinstance(options, SingleLeaderOptions), "the catalog says that it has no leader"
    return None if options is None else options.rule


class Rules:
    """The rule that is committed, and those that lie behind it in the log."""

    def __init__(self, controls: Iterable[Entry] = (), coming: Iterable[Entry] = ()) -> None:
        """`controls`: the control entries that the data file keeps; `coming`: those behind it."""
        self.coming: list[tuple[int, AckPolicy]] = []
        self.leaderships: list[Leadership] = []
        """Every epoch since the group had more than one voter, and every change of the rule since. A tail may be found
        lost long after its place in the log was trimmed; this is how two replicas still find where they parted."""
        self.wanted: AckPolicy | None = None
        """What the catalog wants; None: not known yet."""
        self.differs = False
        """That is something else than what the log says."""
        self.committed = DEFAULT
        self.since = 0
        """Index of the entry that named it; 0 when the log never named any."""
        for entry in controls:
            self.appended((entry,))
            self.counts(entry.index)
        self.appended(coming)

    def replaced(self, controls: Iterable[Entry]) -> None:
        """The data file is another's, which keeps these; what is left of the log follows it."""
        theirs = Rules(controls)
        behind = theirs.leaderships[-1].index if theirs.leaderships else theirs.since
        self.coming = [each for each in self.coming if each[0] > theirs.since]
        kept = [leadership for leadership in self.leaderships if leadership.index > behind]
        self.committed, self.since = theirs.committed, theirs.since
        self.leaderships = [*theirs.leaderships, *kept]
        self.want(self.wanted)

    def want(self, rule: AckPolicy | None) -> None:
        """The catalog wants this, or the log says something else than before."""
        self.wanted = rule
        self.differs = rule is not None and rule != self.newest

    def appended(self, entries: Iterable[Entry]) -> None:
        """These entries were added to the log."""
        for entry in entries:
            if entry.kind == ACKS:
                rule, leader = read_entry(entry.payload)
                self.coming.append((entry.index, rule))
                self.want(self.wanted)
                if rule.traces or self.leaderships:
                    self.leaderships.append(Leadership(entry.epoch, entry.index, leader))
            elif entry.kind == NOOP and (self.lossy or self.leaderships or entry.payload):
                leader, accepted = read_noop(entry.payload)
                loses = accepted or self.newest.kind == ASYNC
                self.leaderships.append(Leadership(entry.epoch, entry.index, leader, loses, mark_of(entry.payload)))

    def truncated(self, first: int) -> None:
        """Everything from this index on is gone from the log. (What a majority holds never is, and that includes every
        rule that is in force.)"""
        self.coming = [each for each in self.coming if each[0] < first]
        self.leaderships = [leadership for leadership in self.leaderships if leadership.index < first]
        self.want(self.wanted)

    def counts(self, index: int) -> None:
        """The log is committed up to here."""
        while self.coming and self.coming[0][0] <= index:
            self.since, self.committed = self.coming.pop(0)

    def epoch_at(self, index: int) -> int | None:
        """The epoch of an entry, also of one that the log has forgotten; None when nothing was written down then."""
        known = [leadership.epoch for leadership in self.leaderships if leadership.index <= index]
        return known[-1] if known else None

    def begun_at(self, index: int) -> Leadership | None:
        """The entry that began the epoch of the entry at this index, if it is known and has a mark."""
        epoch = 0
        for leadership in reversed(self.leaderships):
            if leadership.index <= index:
                epoch = epoch or leadership.epoch
                if leadership.epoch != epoch:
                    return None
                if leadership.mark:
                    return leadership
        return None

    def mark_at(self, index: int) -> int:
        """See `Leadership.mark`; 0: not known."""
        leadership = self.begun_at(index)
        return 0 if leadership is None else leadership.mark

    @property
    def all(self) -> Sequence[AckPolicy]:
        """Every rule that may be in force."""
        return (self.committed, *(rule for _, rule in self.coming)) if self.coming else (self.committed,)

    @property
    def newest(self) -> AckPolicy:
        """What the log says last."""
        return self.coming[-1][1] if self.coming else self.committed

    @property
    def lossy(self) -> bool:
        """Something that was committed, here or elsewhere, may be missing from the log of a later leader."""
        return self.committed.kind == ASYNC or (
            bool(self.coming) and any(rule.kind == ASYNC for _, rule in self.coming)
        )

    @property
    def are_default(self) -> bool:
        """Majority, and nothing else is coming: what a majority agrees on is held."""
        return not self.coming and self.committed == DEFAULT

    @property
    def by_hand(self) -> bool:
        """Somebody decides who leads, and nobody stands by himself; also while it is not sure that this is so."""
        return any(rule.failover == MANUAL for rule in self.all)

    @property
    def by_permit(self) -> bool:
        """Nobody stands by himself without an etcd's permit; also while it is not sure that this is so."""
        return any(rule.failover == ETCD for rule in self.all)

    def is_narrow(self, voters: int) -> bool:
        """A leader elected by a mere majority may lack what was committed."""
        return any(rule.is_narrow(voters) for rule in self.all)

    def holders(self, voters: int) -> int:
        return strictest_holders(self.all, voters) if self.coming else self.committed.holders(voters)

    def votes(self, voters: int) -> int:
        return strictest_votes(self.all, voters)

    def offers(self, level: str) -> bool:
        """Whether reads of this level are promised."""
        return all(offered(rule.kind, level) for rule in self.all)
