"""Every number a node's protocols use. Times in microseconds, sizes in bytes."""

from msgspec import Struct

from quorate.core.limits import ENTRY_BYTES_MAX


class Settings(Struct, frozen=True, omit_defaults=True):
    """Defaults suit one data centre; the simulator draws its own."""

    heartbeat_us: int = 100_000
    """How often each pair of nodes says "alive"."""
    suspect_us: int = 600_000
    """A peer that was not heard for this long is taken for dead; a leader that has had no answers from a
    majority for this long steps down (check-quorum; Ongaro 2014, section 6.2). Longer where the network was measured
    to need it (`core.timeouts`), as are the next two; this is the least."""
    suspect_max_us: int = 3_000_000
    """The most. Equal to the least: all three are fixed."""
    election_us: int = 150_000
    """Candidates wait a random time between one and two of these for votes (Ongaro 2014, section 3.4)."""
    retry_us: int = 200_000
    """What a follower has not acknowledged for this long is sent again."""
    answer_timeout_us: int = 5_000_000
    """A caller that has waited this long is told the truth: refused, or unsure."""

    batches_ahead: int = 2
    """Batches of one group that may be replicated at a time."""
    gather_us: int = 500
    """How long a batch may wait for callers who wrote lately, so that few are not served alone before many. It does
    not when half of those who were under way at a time lately are there: a lone writer waits for nobody."""
    batch_requests_max: int = 512
    batch_bytes_max: int = 4 << 20
    entry_bytes_max: int = ENTRY_BYTES_MAX
    """A batch that makes a larger entry is run again, each request alone."""
    batch_us: int = 50_000
    """How long the requests of one batch may be expected to run: meanwhile the node does nothing else."""
    long_us: int = 20_000
    """A write that runs for longer than this is undone, and run anew beside all else; 0: it goes on where it is."""
    long_bytes: int = 1 << 20
    """A request of so many bytes is taken for one that will."""
    write_limit_us: int = 600_000_000
    """When a write is ended, however long its caller would wait."""
    hold_us: int = 2_000_000
    """How long a transaction may hold the writer while others wait for it."""
    hold_idle_us: int = 500_000
    """How long its caller may leave it alone meanwhile."""
    at_once: bool = False
    """What a step makes ready goes on within that step: for a node whose requests come one at a time, so that there is
    nobody to gather (`Node.step`)."""
    waiting_requests_max: int = 20_000
    """Requests that wait in one group before new ones are refused as not done."""
    burst_us: int = 1_000_000
    """How long a new request may have to wait for its turn; more, and it is refused (`core.admission`)."""
    standing_us: int = 200_000
    """The same once requests have been waiting without a break for as long as a burst may last."""

    ship_bytes_max: int = 1 << 20
    """Entries in one message (at least one entry)."""
    ship_entries_ahead: int = 64
    """Entries sent to a follower before it has acknowledged earlier ones."""
    apply_bytes_max: int = 1 << 20
    apply_entries_max: int = 64
    """Entries that are applied together at the most."""
    cache_bytes_max: int = 8 << 20
    """Newest entries of a group kept in memory; older ones are read back from the log."""

    apply_delay_us: int = 40_000
    """How long a follower may gather committed entries before it applies them together: rows that change again and
    again then cost one page and not many. A read that waits for them, or leadership, applies them at once."""
    settle_delay_us: int = 200_000
    """The same for a leader's open transaction; a read that waits for it, at any level, has it committed at once."""
    settle_entries_max: int = 512
    settle_bytes_max: int = 4 << 20
    """Batches, and bytes of them, that an open transaction may hold before it is committed."""
    checkpoint_entries: int = 4_000
    checkpoint_bytes: int = 32 << 20
    """Unsynced bytes of a data file, or bytes of entries, after which a checkpoint is asked for."""
    log_keep_entries: int = 4_096
    """Entries kept in the log behind a checkpoint, so that a follower that was away needs no snapshot."""
    log_keep_bytes: int = 256 << 20
    """About how many bytes of them at the most."""
    promote_within: int = 64
    """A learner that lacks no more entries than this may become a voter."""
    snapshot_chunk_bytes: int = 256 << 10
    copies_max: int = 2
    """Copies of databases that a node keeps for callers at a time (`core.copies`)."""
    copy_idle_us: int = 60_000_000
    """A copy that its caller has not read for this long is let go of."""
    copy_part_bytes: int = 1 << 20
    """How much of it one answer carries."""
    views_max: int = 32
    """Read views that a node keeps for callers at a time (`core.read_views`)."""
    view_us: int = 300_000_000
    """How long one is kept at the most."""
    view_idle_us: int = 60_000_000
    """One that its caller has not read for this long is let go of."""
    view_wal_bytes: int = 256 << 20
    """When the write-ahead log of a data file is larger than this, its views are let go of."""
    verify_us: int = 0
    """In about so much time a leader compares the replicas of each of its groups once; 0: only when it is asked."""
    verify_attempts: int = 8
    """Positions tried before a replica that had passed each of them is taken for one that cannot answer."""

    auth_stale_us: int = 300_000_000
    """How long a node that does not hear from the catalog's leader goes on by the users and roles that it knows; then
    it refuses clients."""
    trusted: bool = False
    """Whoever asks this node has its folder: nobody has to log in."""

    has_tls: bool = False
    """Whether this node has a certificate."""
    has_etcd: bool = False
    """Whether this node is told of an etcd that can permit elections."""

    close_idle_us: int = 1_000_000
    """How often storage is asked to close data files that were not used lately."""
    close_idle_periods: int = 60
    """How many of these a data file must have been unused."""
