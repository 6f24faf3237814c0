"""Everything that a run can vary, zero included, so that faults also come alone. `drawing` draws it from a seed.

Swarm testing (Groce and others 2012): one fixed mix of all faults hides what only a missing fault shows.
"""

from msgspec import Struct

from quorate.core.ack_policy import AUTO
from quorate.core.settings import Settings

SECOND = 1_000_000
MILLISECOND = 1_000


class Dials(Struct, frozen=True, omit_defaults=True):
    """Times in microseconds, chances in parts of one."""

    nodes: int = 3
    clients: int = 3
    transactors: int = 0
    """Clients besides, who do everything in interactive transactions."""
    holds: float = 0.0
    """Chance that one begins immediate; of the others, many come to hold the writer by themselves."""
    runners: int = 0
    """Clients besides, who do everything in calls that commit once, several under one token."""
    shoppers: int = 0
    """Clients besides, who ask a database without a leader (`quorums`) by SQL."""
    databases: int = 1
    """The first is `main`; the others are created during the run."""
    leaders: str = ""
    """How many replicas of another database lead; empty: there is none of several leaders."""
    topology: str = "all"
    forget_after: str = "10d"
    notes: bool = False
    """Rows of it are deleted, and must stay so."""
    absence_us: int = 0
    """The mean time until one of its leaders is away for longer than it is waited for; 0: none is."""
    safety_us: int = 6 * SECOND
    liveness_us: int = 60 * SECOND
    """How long everything may take to come right after the faults have ended."""

    delay_us: int = 500
    tail_us: int = 500
    """Mean of the exponential part of a message's delay."""
    loss: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    """Chance that a bit of a message changes on the way: its frame must be found out, and its connection ends."""
    late: float = 0.0
    """Chance that a repetition comes seconds later."""
    bandwidth: int = 0
    """How many bytes a second a link between two nodes carries, each way; 0: any number."""
    echo: float = 0.0
    """Chance that what a node sent last, lost or not, arrives once more when it has restarted or got another file."""
    hints: float = 0.5
    """Chance that a transport tells its node of a lost or regained connection."""
    client_loss: float = 0.0
    client_late: float = 0.0
    """Chance that what a caller sends lingers on the way for up to seconds."""

    fsync_us: int = 200
    fsync_tail_us: int = 100
    storage_us: int = 0
    """How long storage takes to answer anything but a Persist."""
    cpu_us: int = 0
    """How long a node's processor is kept by each message, request or other event; 0: it takes no time."""
    run_us: int = 0
    """The same by each request that is run, on top."""
    long_write: float = 0.0
    """Chance that one write of a batch takes long (`beside`)."""
    leaves: float = 0.0
    """Chance that a caller goes away while he waits for a write, and his node hears of it."""
    slow_node: int = 0
    """How many times slower one follower is; 0: none is."""
    spike: float = 0.0
    """Load of many callers, as a multiple of what the processors can do, for `spike_us`; 0: there is no such load."""
    spike_us: int = 0
    base_load: float = 0.0
    """The same before and after."""
    stop_leader_us: int = 0
    """How long the leader is stopped at the beginning of the spike."""
    repeats: int = 0
    """How often such a caller asks again at the most."""
    endless_us: int = 0
    """How often somebody asks for a read that does not end by itself; 0: nobody does."""
    keep_pending: float = 0.5
    """At a crash: chance that some prefix of the unfinished writes is on disk all the same."""
    lose_unsynced: float = 0.5
    """Chance that a crash takes the whole machine, with what no fsync covered."""

    drift_ppm: int = 0
    wall_offset_us: int = 0

    # The mean time between two faults of a kind; 0 means never.
    crash_us: int = 0
    pause_us: int = 0
    partition_us: int = 0
    swizzle_us: int = 0
    slow_disk_us: int = 0
    full_disk_us: int = 0
    clock_jump_us: int = 0
    drain_us: int = 0
    """A node is told to finish, hand over and stop."""
    fsync_error_us: int = 0
    read_error_us: int = 0
    strobe_us: int = 0
    """A wall clock that jumps to and fro for a while."""
    flip_log_us: int = 0
    flip_data_us: int = 0
    """Bits change on the disk of one chosen node, in its log or in its data files (see `damage`)."""
    lie_us: int = 0
    """The disk of that node shows, in one place of the log or of a data file, what lay there before something else was
    written, or has put that elsewhere. (Only real files have places.)"""
    edit_us: int = 0
    """A row of a data file of that node is changed by somebody else, while the node runs."""
    old_copy_us: int = 0
    """The mean time until the folder of one node is copied, or put back from such a copy (`faults.old_copies`)."""
    old_copy_unseen: bool = False
    """Nobody who is there when the older copy is put back can tell."""
    unfit_us: int = 0
    """The mean time until several nodes, up to all but one, cannot bring data files forward (`faults.unfit`)."""
    lost_disk: float = 0.0
    """Chance that this node's disk is lost for good during the run. A wiped disk is a new node: it does not return."""
    lasting: str = ""
    """One fault of `sim.actors.lasting` that begins early and lasts through the whole safety phase."""
    fault_lasts_us: int = 1 * SECOND
    """The mean time until a fault ends."""
    leaders_first: float = 0.3
    """Chance that a crash, pause or partition picks a leader."""
    torn_step: float = 0.3
    """Chance that a crash falls between two effects of one step."""
    crash_on_vote: float = 0.0
    """Chance that a node dies just after it sent a vote, and comes back within milliseconds."""
    by_hand: float = 0.0
    """Chance that such a change is also about who decides that another node leads."""
    permits: float = 0.0
    """Chance that such a change makes an etcd permit elections, or ends that."""
    etcd_outage_us: int = 0
    """The mean time until etcd is away, from all or from one node; 0: it is there. (`Settings.has_etcd` says whether
    there is one.)"""
    etcd_spread: bool = False
    """Its own members stand beside all nodes: it is there for whoever sees a majority of these."""
    etcd_lost_answer: float = 0.0
    """Chance that etcd does as it was asked and the answer is lost."""
    accept_loss: float = 0.0
    """Chance that a failover where nobody leads may cost writes."""
    halves: float = 0.0
    """Chance that a partition parts two halves, with the leader in the smaller one more often than not."""
    cut_on_handover: float = 0.0
    """Chance that a leader is cut off from the others just after it told one of them to stand."""
    figure_eight_us: int = 0
    """The mean time until `single_leader.adversary` tries to bring about figure 8 of the Raft paper; 0: never."""
    cut_on_change: float = 0.0
    """Chance that a leader that changes members is left alone with the newcomers."""
    cut_on_leaving: float = 0.0
    """Chance that a leader that has just changed itself out of its group is cut off."""
    open_replicas: int = 0
    """How many data files a node may have open at once; 0 means any number."""
    damage: float = 0.0
    """Chance that a crash of one chosen node also damages the end of one of its logs. Never more than one
    node of a run: beyond a minority nothing is promised."""
    leave_dead: float = 0.2
    """Chance that, where a majority of every group remains, one node stays dead in the liveness phase."""

    acks: tuple[str, ...] = ()
    """Rules that databases are changed to while they are in use; none: all stay with majority."""
    fixed: str = ""
    """The acks with which one database is made, on all nodes, and which it keeps; it is then the only one in use."""
    alters: float = 0.0
    """Chance that an operation is such a change."""
    decides: str = AUTO
    """Who decides about the failovers of databases that are made in the run (`SingleLeaderOptions.failover`)."""

    quorums: str = ""
    """The one database has no leader, and these n, w, r and repair (`3/2/2/blocking`); empty: it has a leader."""

    keys: int = 3
    reads: int = 4
    writes: int = 4
    compares: int = 2
    counters: int = 2
    pairs: int = 1
    failing: int = 1
    journals: int = 1
    schema: int = 0
    weak_reads: int = 1
    drawn: int = 0
    large: int = 0
    sessions: int = 0
    """The weights of the kinds of operations."""
    exports: float = 0.0
    """Chance that a read fetches a copy of the database and reads there."""
    streams: float = 0.0
    """Chance that a read fetches its rows in pieces, all from one state."""
    verify_us: int = 0
    """The mean time between two comparisons of replicas that somebody asks for; 0: nobody does."""
    failover_us: int = 0
    """The mean time between two failovers that somebody asks for; 0: nobody does."""
    smooth: bool = False
    """Nothing else happens: no caller may be told anything but an answer."""
    upgrade_us: int = 0
    """The mean time between two steps of a rolling upgrade from an older release; 0: all run this one."""
    drops_us: int = 0
    """The mean time between two steps of somebody who creates a database, uses it and drops it; 0: nobody does."""
    users_us: int = 0
    """The mean time between two changes of users and roles, which callers try to get around; 0: nobody logs in."""
    in_force_us: int = 0
    """Within how long such a change is in force on every node that still serves; 0: whatever the settings say."""
    members_us: int = 0
    """The mean time between two changes of the members; 0: they stay."""
    spares: int = 0
    """How many new nodes may come in the whole run."""
    spread: float = 0.7
    """Chance that one that takes nobody's place gets a replica of every database."""
    wiped: float = 0.0
    """Chance that a node is replaced because its disk is lost for good."""
    think_us: int = 20 * MILLISECOND
    patience_us: int = 600 * MILLISECOND
    """How long a client waits for an answer before it tries again."""
    wander: float = 0.1
    """Chance that an operation begins at any node instead of the last one that answered."""
    client_crash: float = 0.0
    """Chance that a caller dies just after it has sent something."""
    attempts: int = 4
    """How often it tries before it asks for the outcome or gives up."""
    give_up: float = 0.2
    repeat: float = 0.1
    """Chance that a write is sent once more, long after its answer."""

    settings: Settings = Settings()

    @property
    def needs_sqlite(self) -> bool:
        """The model of the data does not know what callers do."""
        return bool(self.drawn or self.transactors or self.runners or self.shoppers or self.leaders)
