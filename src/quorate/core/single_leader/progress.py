"""What a leader knows of one other replica, and how that changes (the names are those of etcd's tracker).

A follower is probed until its log is found to agree, then entries are replicated to it ahead of its answers; one that
lacks what the log no longer has fetches a snapshot. `shipping` and `snapshots` decide when; nobody else changes it.
"""

from collections.abc import Sequence

from msgspec import Struct

from quorate.core.entries import ORIGIN, Entry, Position

PROBING = "probing"
"""One message at a time, until the follower's log is found to agree."""
REPLICATING = "replicating"
"""Entries are sent as they come, ahead of the answers."""
SNAPSHOT = "snapshot"
"""The follower is fetching a copy, and its log goes on behind it."""


class Progress(Struct):
    """What a leader knows of one other replica. Only its own methods change it."""

    next: int
    """The next index to send."""
    matched: int = 0
    """The highest index known to be durable there and equal to ours."""
    voter: bool = True
    """False while its log was damaged and has not been made whole: it is not counted."""
    whole: bool = True
    """False while its data file is damaged: it cannot take over."""
    life: int = 0
    """The life in which it acknowledged that (`AppendReply.life`)."""
    told: int = 0
    """The highest commit index that was sent to it with entries or instead of them."""
    state: str = PROBING
    sent_us: int = 0
    """When something was last sent that should be answered; 0: nothing is outstanding."""
    reading: bool = False
    """Older entries are being read back from the log for it."""
    copying: bool = False
    """It is fetching a copy; unless `state` is SNAPSHOT, for its data file alone: the log goes on meanwhile."""
    opening: bool = False
    """That copy is being made."""
    snapshot: int = 0
    snapshot_at: Position = ORIGIN
    snapshot_size: int = 0
    copy_us: int = 0
    """When a copy, or a piece of one, was last offered, sent or asked for."""

    # ---- states ------------------------------------------------------------------------------------------

    def become_probe(self) -> None:
        """What was sent may be lost: begin again behind what is known to be there."""
        self.state = PROBING
        if self.matched:
            self.next = self.matched + 1

    def become_snapshot(self, now_us: int) -> None:
        """It needs a copy before the log can go on."""
        self.state = SNAPSHOT
        self.sent_us = now_us

    def restarted(self, last: int) -> None:
        """Its disk may have lost what it had; `last` is the end of our log."""
        self.matched = self.told = 0
        self.next = last + 1
        self.reading = False

    # ---- the log -----------------------------------------------------------------------------------------

    def sent(self, entries: Sequence[Entry], committed: int, now_us: int) -> None:
        """These were sent, with the commit index. While it is being probed, the same is sent again next."""
        self.told = committed
        self.sent_us = now_us
        if self.state == REPLICATING and entries:
            self.next = entries[-1].index + 1

    def sent_committed(self, committed: int) -> None:
        """The commit index was sent alone."""
        self.told = committed

    def reads_back(self, *, reading: bool) -> None:
        """Older entries are being read back for it, or have come."""
        self.reading = reading

    def acknowledge(self, matched: int, now_us: int, *, voter: bool, whole: bool) -> None:
        """Its log is equal to ours up to here, and durable: what follows is replicated to it."""
        self.matched = matched = max(self.matched, matched)
        self.voter, self.whole = voter, whole
        self.next = max(self.next, matched + 1)
        self.state = REPLICATING
        self.sent_us = 0 if self.next == matched + 1 else now_us

    def regress(self, following: int) -> None:
        """Its log differs before what was sent: probe it from here on."""
        self.next = following
        self.state = PROBING

    def spoke_in(self, life: int) -> bool:
        """What it had acknowledged in an earlier life counts no more. False when this was said in an earlier one
        itself, and only arrives now."""
        if life > self.life:
            if self.life:
                self.matched = 0
            self.life = life
        return life == self.life

    def lost(self, *, voter: bool, whole: bool) -> None:
        """It has no log or no data file that can be built upon."""
        if whole or not voter:  # else its log stays as it is
            self.matched = 0
        self.voter, self.whole = voter, whole

    # ---- copies ------------------------------------------------------------------------------------------

    def begin_copy(self, now_us: int) -> bool:
        """It waits for a copy; whether one has to be made."""
        self.copying = True
        self.snapshot = 0
        self.snapshot_at = ORIGIN
        self.copy_us = now_us
        begins, self.opening = not self.opening, True
        return begins

    def copy_made(self) -> None:
        """A copy was made, or could not be."""
        self.opening = False

    def hold_copy(self, snapshot: int, position: Position, size: int) -> None:
        """This is the copy that it is to fetch."""
        self.snapshot = snapshot
        self.snapshot_at = position
        self.snapshot_size = size

    def copy_moved(self, now_us: int) -> None:
        """A copy, or a piece of one, was offered or asked for."""
        self.copy_us = now_us

    def end_copy(self) -> int:
        """It fetches none any more. The number of the copy that is to be closed; 0: none is open."""
        closing, self.snapshot = self.snapshot, 0
        self.snapshot_at = ORIGIN
        self.copying = False
        if self.state == SNAPSHOT:
            self.state = PROBING
            self.sent_us = 0
        return closing

    def installed(self, position: Position) -> None:
        """It has a copy that stands here: its log goes on behind that."""
        self.next = position.index + 1

    def made_whole(self) -> None:
        """It has a copy of the data file; where its log ends, it says with the next entries."""
        self.whole = True
