"""The state of one replica of a single-leader group, and the few things every part of it does.

The parts (election, shipping, acks, writes, reads, snapshots) are modules of functions over this state,
each named as the papers name the sub-protocol; `core` has the table of what goes where.
"""

from collections import deque
from collections.abc import Sequence
from random import Random
from typing import Any, Protocol

from msgspec import Struct, structs

from quorate.core.kernel import (
    ORIGIN,
    Effect,
    ForgetDamage,
    GroupId,
    LogWrite,
    NodeId,
    Note,
    Now,
    Position,
    RecoveredGroup,
    Send,
    WriteHardState,
)
from quorate.core.quorum import counted_index, majority, vote_won
from quorate.core.settings import Settings
from quorate.core.single_leader.handing import Order, Transfer
from quorate.core.single_leader.log import Log
from quorate.core.single_leader.messages import AppendReply, VerifyReply
from quorate.core.single_leader.rules import Rules

FOLLOWER = "follower"
PRE_CANDIDATE = "pre_candidate"
CANDIDATE = "candidate"
LEADER = "leader"

PROBING = "probing"
"""One message at a time, until the follower's log is found to agree."""
REPLICATING = "replicating"
"""Entries are sent as they come, ahead of the answers."""
SNAPSHOT = "snapshot"
"""The follower is fetching a copy."""

NOBODY: NodeId = 0
NEVER_US = -(1 << 62)
UNKNOWN_VOTE: NodeId = -1
"""A damaged replica may have forgotten its vote: it votes for nobody in this epoch."""


class Host(Protocol):
    """What a group asks of the node it lives in."""

    me: NodeId
    boot: int
    now_us: int
    dice: Random
    settings: Settings
    disk_full: bool
    draining: bool

    def emit(self, effect: Effect) -> None: ...
    def persist(self, group: GroupId, writes: tuple[LogWrite, ...]) -> int: ...
    def reply(self, id: int, body: Any) -> None: ...
    def heard(self, now: Now, peer: NodeId) -> bool: ...
    def set_apply_timer(self, group: GroupId, delay_us: int) -> None: ...
    def set_gather_timer(self, group: GroupId, delay_us: int) -> None: ...
    def set_timer(self, group: GroupId, at_us: int) -> None: ...
    def cancel_timer(self, group: GroupId) -> None: ...
    def make_ready(self, group: GroupId) -> None: ...
    def keep_busy(self, group: GroupId) -> None: ...
    def mention(self, group: GroupId) -> None: ...
    def resign(self, group: GroupId, epoch: int) -> None: ...
    def start_round(self, group: GroupId) -> int: ...
    def wanted_acks(self, database: str) -> str | None: ...
    def address_of(self, node: NodeId) -> str: ...
    def name_of(self, node: NodeId) -> str: ...
    def understands(self, node: NodeId, kind: type) -> bool: ...


class Pending(Struct):
    """A `Persist` on its way to the disk, and what may happen once it is there."""

    sequence: int
    last: Position | None = None
    """The last entry it writes, if any."""
    hard_state: bool = False
    campaign: int = 0
    """The epoch that this replica stands for with its own vote in it; 0 when it does not."""
    switch: int = 0
    """The snapshot that becomes the data file; 0 when none does."""
    since_us: int = 0
    release: list[Effect] = []  # msgspec copies an empty list for each instance


class Progress(Struct):
    """What a leader knows of one other replica (etcd's name for it)."""

    next: int
    """The next index to send."""
    matched: int = 0
    """The highest index known to be durable there and equal to ours."""
    voter: bool = True
    """False while it was damaged and has not been made whole: it is not counted."""
    life: int = 0
    """The life in which it acknowledged that (`AppendReply.life`)."""
    told: int = 0
    """The highest counted index that was sent to it with entries or instead of them."""
    state: str = PROBING
    sent_us: int = 0
    """When something was last sent that should be answered; 0: nothing is outstanding."""
    reading: bool = False
    """Older entries are being read back from the log for it."""
    snapshot: int = 0
    snapshot_at: Position = ORIGIN
    snapshot_size: int = 0


class Waiting(Struct):
    """A caller's request that has not been answered."""

    id: int
    body: Any
    since_us: int


class Batch(Struct):
    """Writes under way together: executing, then replicating, then committing."""

    number: int
    requests: list[Waiting]
    outcomes: tuple[bytes, ...] = ()
    position: Position = ORIGIN
    """Its entry, or the one before when it needed none; ORIGIN while it is executing."""
    told: bool = False
    """Its callers have waited too long and were told so."""


class Read(Struct):
    """A linearizable read that waits for a confirmation and then for an applied index."""

    id: int
    statements: tuple[Any, ...]
    since_us: int
    asker: NodeId = NOBODY
    """Another replica that asked how far to apply, instead of a caller of this node."""
    index: int = -1


class Reading(Struct):
    """The reads of one replica that are not answered yet, by what they wait for."""

    waiting: list[Read] = []
    """For a round to begin."""
    round: int = 0
    """The heartbeat sequence that a majority must answer; 0 while no round is under way."""
    index: int = -1
    """What was counted when the round began."""
    confirming: list[Read] = []
    """For that round."""
    confirmed: dict[NodeId, int] = {}
    """The highest heartbeat that each voter answered from within our epoch."""
    applying: list[Read] = []
    """Confirmed; for their index to be applied."""
    asked: dict[int, Read] = {}
    """On a follower: for the leader to say how far to apply."""
    numbers: int = 0
    """Counts on from the boot, so that a late answer to an earlier life answers nothing in this one."""


class Incoming(Struct):
    """A snapshot that this replica is fetching."""

    leader: NodeId
    theirs: int
    """The sender's number for it."""
    ours: int
    position: Position
    offset: int = 0
    storing: bool = False
    complete: bool = False
    """All of it is here, and verified."""


class Check(Struct):
    """A digest that this replica was asked for, until a newer one is wanted."""

    leader: NodeId
    epoch: int
    number: int
    position: Position
    begun: bool = False
    """The data file has come to stand at the position."""
    passed: bool = False
    """The data file stood beyond the position when it was asked."""
    digest: str = ""
    failed: str = ""


class Verification(Struct):
    """One comparison of all replicas, as their leader conducts it."""

    number: int
    position: Position
    callers: list[int] = []
    attempt: int = 1
    heard_us: dict[NodeId, int] = {}
    """When each replica last said that it is at work (at first: when it was asked)."""
    asked_us: int = 0
    answers: dict[NodeId, VerifyReply] = {}
    """The final word of each replica, or ours about one that is away."""


class Verifying(Struct):
    """What one replica knows of the comparison of its content with that of others."""

    numbers: int = 0
    check: Check | None = None
    running: Verification | None = None
    """As leader."""
    wanted: bool = False
    """As leader: to name a position and ask for it as soon as no batch is being executed."""
    callers: list[int] = []
    """Who waits for the next comparison."""
    equal_at: int = 0
    """The newest index at which a majority was found to hold what this replica held; 0: none in this life."""


class Group:
    """One replica. Holds state; decides nothing by itself."""

    def __init__(self, host: Host, found: RecoveredGroup) -> None:
        self.host = host
        self.settings = host.settings
        self.me = host.me
        if found.damaged:  # nothing in its log can be built upon, not even its shape
            found = structs.replace(found, epochs=(), last=found.base.index, tail=(), applied=found.base)
        self.group = found.group
        self.database = found.database
        self.partition = found.partition
        self.voters = found.voters
        self.others = tuple(voter for voter in found.voters if voter != host.me)

        self.first = found.voters[found.group % len(found.voters)] if found.voters and found.epoch == 0 else NOBODY
        """Who is to lead a new group first; NOBODY in one that has been led."""
        self.eager = not self.others or self.first == self.me
        """Stands at once when its data file is open: alone, or first in a new group."""

        self.epoch = found.epoch
        self.vote = UNKNOWN_VOTE if found.damaged else found.vote
        self.log = Log(found.base, found.epochs, found.last, found.tail)
        self.rules = Rules(found.acks, found.acks_coming)
        self.damaged = found.damaged
        self.damages = 0
        """How often this life's replica was found damaged."""
        self.role = FOLLOWER
        self.leader: NodeId = NOBODY

        self.persisted = found.last
        self.pending: deque[Pending] = deque()
        self.counted = max(found.base.index, min(found.applied.index, found.last))
        self.applied = found.applied
        self.opened = False
        """The data file is open and `applied` is what it says."""
        self.applying = 0
        """The index an `Apply` or `Commit` under way leads to; 0 when none is."""
        self.apply_blocked = False
        """Applying failed for want of room; it is tried again at the next tick."""
        self.no_room_until_us = 0
        """The data file found no room: do not stand for a while."""
        self.checkpointed = found.applied.index
        self.checkpointing = False
        self.bytes_since_checkpoint = 0
        self.unsynced = 0

        self._begin()

    def _begin(self) -> None:
        """What every life begins without."""
        self.votes: dict[NodeId, bool] = {}
        self.progress: dict[NodeId, Progress] = {}
        self.led_since_us = 0
        self.noop = 0
        """Index of the no-op of the epoch that this replica leads."""
        self.held = 0
        """As leader: the highest index that is held as the acks rules ask; what is counted may be ahead of it, by the
        no-op or the like, but nobody is told that a write is done before it is held."""
        self.agreed = 0
        """The highest index known to be held by a majority, in its leader's epoch: it stays whatever the acks are."""
        self.rewind = 0
        """The log differs from the leader's from this index on, and the data file has it: a copy is on its way."""
        self.loss_at = 0
        """Where the leader's log has the entry of an epoch that began with an accepted loss, and ours another; 0: no
        such place is known."""
        self.saving = False
        self.saved = 0
        """The log from this index on is kept among the lost tails, and may be dropped."""
        self._ask_nothing()

        self.queue: deque[Waiting] = deque()
        self.crowd = 0
        """How many requests were under way at a time lately."""
        self.gathering = 0
        """How many waited when the next batch began to wait for more; 0 when none does."""
        self.batch: Batch | None = None
        """The one that is executing."""
        self.batches = 0
        self.flight: deque[Batch] = deque()
        """Those that are logged and not counted, or not durable here, oldest first."""
        self.stack: list[int] = []
        """The entries of the batches that the open transaction holds; empty when none is open."""
        self.stack_bytes = 0
        self.covered = 0
        """The index that the data file will stand at when the open transaction is committed."""
        self.settle_due = False
        """Somebody waits for the data file: nothing more is put on top before the stack is committed."""
        self.read_us = NEVER_US
        """When a read last waited for the data file."""

        self.reading = Reading(numbers=self.host.boot << 32)
        self.incoming: Incoming | None = None
        self.switching = False
        """A fetched copy is becoming the data file."""
        self.rebuilt = False
        """A copy was installed since this replica was found damaged."""
        self.whole_at = -1
        """How far a leader, confirmed by a majority of others, said that a rebuilt replica must be; -1: not yet."""
        self.heal_read = 0
        """The first number under which that was asked since the rebuild; any later one is as good."""
        self.verifying = Verifying(numbers=self.host.boot << 32)
        self.mended = ""
        """Why this replica was damaged before it was rebuilt in this life; empty when it was not."""
        self.alone = 0
        """How many of the next requests run in a batch of their own."""

    def _ask_nothing(self) -> None:
        """Nobody has said who is to lead."""
        self.transfer: Transfer | None = None
        self.resumes_until_us = 0
        """It has handed over lately: if nobody takes over, it may stand though nobody does by himself."""
        self.order: Order | None = None
        self.transfer_to: NodeId = NOBODY
        """Who was told to stand."""
        self.transfer_again_us = 0
        self.transfer_tries = 0

    # ---- speaking, and what must be durable before ------------------------------------------------

    def send(self, to: NodeId, message: Any) -> None:
        """Send now, or once the epoch and vote it speaks for are durable."""
        for pending in reversed(self.pending):
            if pending.hard_state:
                pending.release.append(Send(to, message))
                return
        self.host.emit(Send(to, message))

    def send_after_persist(self, to: NodeId, message: Any) -> None:
        """Send once everything handed to the disk so far is durable."""
        if self.pending:
            self.pending[-1].release.append(Send(to, message))
        else:
            self.host.emit(Send(to, message))

    def persist(self, *writes: LogWrite, last: Position | None = None) -> Pending:
        """Hand writes to the disk; the returned record says what waits for them."""
        pending = Pending(self.host.persist(self.group, writes), last=last, since_us=self.host.now_us)
        self.pending.append(pending)
        return pending

    def persist_hard_state(self) -> Pending:
        pending = self.persist(WriteHardState(self.group, self.epoch, self.vote))
        pending.hard_state = True
        return pending

    def drop_from(self, first: int) -> None:
        """Forget the log from this index on."""
        self.log.truncate(first)
        self.persisted = min(self.persisted, first - 1)
        for pending in self.pending:  # what they vouch for ends where it is overwritten
            if pending.last is not None and pending.last.index >= first:
                pending.last = self.log.last

    def note(self, name: str, **fields: Any) -> None:
        self.host.emit(Note(name, {"group": self.group, "epoch": self.epoch, **fields}))

    def reply(self, id: int, body: Any) -> None:
        self.host.reply(id, body)

    # ---- questions -----------------------------------------------------------------------------------

    @property
    def quorum(self) -> int:
        return majority(len(self.voters))

    @property
    def is_narrow(self) -> bool:
        """A leader elected by a mere majority may lack what counted: nobody is, unless a person accepts the loss."""
        return self.rules.is_narrow(len(self.voters))

    @property
    def lossy(self) -> bool:
        """Something that counted, here or elsewhere, may be missing from the leader's log."""
        return self.rules.lossy or self.loss_at > 0

    @property
    def holds_writes(self) -> bool:
        """Leadership is being handed over: nothing new is begun."""
        return self.transfer_to != NOBODY or (self.transfer is not None and self.transfer.holds)

    @property
    def leads_ready(self) -> bool:
        """Leads, and everything of earlier epochs is applied: may execute and may answer for the log."""
        return self.role == LEADER and self.opened and self.applied.index >= self.noop > 0

    def held_by(self, matched: dict[NodeId, int]) -> int:
        """The highest index that is held as the acks rules ask, given what is durable where."""
        return counted_index(self.voters, matched, self.rules.holders(len(self.voters)))

    def agreed_by(self, matched: dict[NodeId, int]) -> int:
        """The highest index that a majority holds durably."""
        return counted_index(self.voters, matched)

    def wins(self, votes: dict[NodeId, bool]) -> bool | None:
        """Whether these votes make a leader: True, False when they no longer can, None while it is open."""
        accepts = self.order is not None and self.order.is_loose
        return vote_won(self.voters, votes, self.quorum if accepts else self.rules.votes(len(self.voters)))

    def epoch_at(self, index: int) -> int | None:
        """The epoch of the entry at this index, also of one that the log has forgotten; None when nobody here knows."""
        return self.rules.epoch_at(index) if index < self.log.base.index else self.log.epoch_at(index)

    @property
    def life(self) -> int:
        """See `AppendReply.life`."""
        return (self.host.boot << 20) + self.damages

    def append_reply(self, *, matched: int, accepted: bool, conflict: Position | None = None) -> AppendReply:
        """What this replica says of its log, `conflict` where it ends unless something else is said."""
        conflict = self.log.last if conflict is None else conflict
        return AppendReply(self.group, self.epoch, accepted, matched, conflict, not self.damaged, self.life)

    def leader_address(self) -> str:
        """Where a caller should go; empty when nobody knows."""
        leader = self.first if self.leader == NOBODY and self.epoch <= 1 else self.leader
        return self.host.address_of(leader) if leader not in (NOBODY, self.me) else ""

    def leader_is_alive(self, now: Now) -> bool:
        """Some other node leads and this node still hears it (the lease that refuses disturbers)."""
        return self.leader not in (NOBODY, self.me) and self.host.heard(now, self.leader)

    def log_hangs(self, now: Now) -> bool:
        """Our own disk has not answered for so long that others had better lead."""
        return bool(self.pending) and now.mono_us - self.pending[0].since_us > 2 * self.settings.suspect_us

    def up_to_date(self, last: Position) -> bool:
        """Is a log that ends there at least as complete as ours? (Ongaro 2014, section 3.6.1)"""
        return last >= self.log.last

    @property
    def apply_waits(self) -> bool:
        """There is something to apply that could not be applied yet."""
        return self.opened and self.applied.index < min(self.counted, self.persisted)

    def needs_snapshot(self) -> bool:
        """Damaged, and nothing that is here can be built upon."""
        return bool(self.damaged) and not self.rebuilt

    def heal_if_whole(self) -> None:
        """A rebuilt replica that durably holds everything counted is a voter again.

        How far that is, a leader says whom a majority of intact voters confirmed after we were rebuilt: an
        older leader, or an older message, knows of less. (A forgotten vote of this epoch stays forgotten, so
        it votes in later ones only.)
        """
        if self.damaged and self.rebuilt and not self.switching and self.persisted >= self.whole_at >= 0:
            self.damaged, self.mended = "", self.damaged
            self.host.emit(ForgetDamage(self.group))
            self.note("healed", was=self.mended)
            if self.leader not in (NOBODY, self.me):
                matched = min(self.counted, self.persisted)
                self.send(self.leader, self.append_reply(matched=matched, accepted=True))

    def may_stand(self) -> bool:
        if self.log.last.index == 0 and self.host.wanted_acks(self.database) is None:
            return False  # the first entries of a group say what acks it has
        return not (self.damaged or self.host.disk_full or self.host.draining or self.switching) and self.opened

    # ---- what several parts do -----------------------------------------------------------------------

    def set_election_timer(self, now: Now, *, soon: bool = False) -> None:
        """Stand after a random time unless a leader is heard first; `soon` when one was just lost."""
        span = self.settings.election_us
        low, high = (span // 10, span) if soon else (span, 2 * span)
        self.host.set_timer(self.group, now.mono_us + self.host.dice.randint(low, high))

    def answer_all(self, waiting: Sequence[Waiting], body: Any) -> None:
        for request in waiting:
            self.reply(request.id, body)
