"""What callers ask of a node and what they are answered: the vocabulary of the client protocol.

Everything here travels in frames between a client and a node, and inside the node as the body of
`Request` and `Reply`. New fields go last and have defaults; that is the rule that keeps old and new
versions able to talk.
"""

from msgspec import Raw, Struct

from quorate.core.auth.users import (
    CreateToken,
    CreateUser,
    DeleteToken,
    DeleteUser,
    GrantRole,
    RevokeRole,
    SetPassword,
)
from quorate.core.bookmarks import Bookmark, Reached
from quorate.core.bounds import Boot, Count, Epoch, GroupId, Index, NodeId, Signed, Small
from quorate.core.certificates import RevokeCertificate, SetTls
from quorate.core.copy_requests import OpenCopy, ReadCopy
from quorate.core.limits import REQUEST_BYTES_MAX
from quorate.core.read_levels import LINEARIZABLE
from quorate.core.row_requests import ByRow, ChangeSchema, Minted, ReadRow, RunRow, SchemaFits, WriteRow
from quorate.core.scripts import Attempted, BeginAttempt, Evaluated, HoldEnded, LetGo, Script
from quorate.core.statements import Failed, Result, Statement, Token
from quorate.core.view_requests import CloseView, OpenView, ReadView

# --------------------------------------------------------------------------------------------------
# Requests
# --------------------------------------------------------------------------------------------------


class Run(Struct, frozen=True, tag="run", gc=False):
    """Run statements, all or none of them. Reads when every statement is a read, else one write.

    Writes must carry a token. `load` switches triggers and foreign-key actions off (for imports).
    """

    database: str
    statements: tuple[Statement, ...]
    level: str = LINEARIZABLE
    token: Token | None = None
    load: bool = False
    strongest: bool = False
    """The caller named no read level: the strongest that the database promises is meant."""
    after: Bookmark | None = None
    """What the caller has seen: it is answered, and its write runs, only where all of that is."""


class Outcome(Struct, frozen=True, tag="outcome"):
    """What became of a token? An unknown token is *cancelled*: it can never take effect afterwards."""

    database: str
    token: Token


class CreateDatabase(Struct, frozen=True, tag="create"):
    database: str
    replication: str
    """Its name in `core.replication`."""
    options: dict[str, str]
    """Those that are chosen; the others get their defaults."""
    replicas: Small
    token: Token
    exists_ok: bool = False


class DropDatabase(Struct, frozen=True, tag="drop"):
    """Delete a database for good. Its group is closed wherever it lives, and its name may be used again."""

    database: str
    token: Token
    if_exists: bool = False


class AlterDatabase(Struct, frozen=True, tag="alter"):
    """Change what the catalog wants of a database; its group's leader brings it about by a log entry."""

    database: str
    options: dict[str, str]
    """Those that are to change."""
    token: Token


class AddMember(Struct, frozen=True, tag="add_member"):
    """Take a node into the cluster, and give it a replica of each of these databases."""

    node: NodeId
    name: str
    address: str
    token: Token
    databases: tuple[str, ...] = ()


class RemoveMember(Struct, frozen=True, tag="remove_member"):
    """Take a node out for good: its replicas go to members that have none of that database, if there are any."""

    node: NodeId
    token: Token


class ReplaceMember(Struct, frozen=True, tag="replace_member"):
    """Put a member, which may be new, in the place of another, which is taken out for good."""

    node: NodeId
    successor: NodeId
    token: Token


class LostAsk(Struct, frozen=True, tag="lost"):
    """What does this node keep of tails that were lost? With an index: that entry, with its payload; with a state as
    well: note first how far its replay is (`begun`, with the index of the log then seen; `replayed`)."""

    database: str = ""
    """Empty: of every database."""
    group: GroupId = 0
    epoch: Epoch = 0
    index: Index = 0
    state: str = ""
    seen: Index = 0


class Status(Struct, frozen=True, tag="status"):
    """What does this node know of itself, its peers and its groups?"""

    members_only: bool = False
    """Leave the groups out: clients ask again and again who there is. Nodes that do not know this key name all."""
    database: str = ""
    """Say also who leads this one, if there are several."""


class Verify(Struct, frozen=True, tag="verify"):
    """Compare what all replicas of a database hold at one position, and have the wrong ones rebuilt."""

    database: str


class Failover(Struct, frozen=True, tag="failover"):
    """Let the replica on this node lead the database; no name: the live follower that has most of its log."""

    database: str
    to: str = ""
    accept_loss: bool = False
    """Where nobody leads: elect it by a majority, though the acks ask for more votes. What those alone had who do not
    vote is lost."""


class Upgrade(Struct, frozen=True, tag="upgrade"):
    """Raise the cluster's format number to this; there is no way back. Refused while any member cannot read it."""

    format: Small
    token: Token


class Replay(Struct, frozen=True, tag="replay"):
    """Apply again, as far as it still fits, what a lost entry changed. A write like any other, with a token made of the
    entry's place; its one result lists what did not fit, its row count says how many rows did."""

    database: str
    payload: bytes
    token: Token


class CommitHeld(Struct, frozen=True, tag="held"):
    """Only inside an embedded node: log and commit the interactive transaction that the caller's
    thread has been running on the replica's writer. `Execute` carries it alone in its batch."""

    database: str
    token: Token


MemberChange = AddMember | RemoveMember | ReplaceMember
RequestBody = (
    Run | Outcome | CreateDatabase | AlterDatabase | LostAsk | Replay | Status | Verify | Upgrade
    | AddMember | RemoveMember | ReplaceMember | Failover | OpenCopy | ReadCopy | DropDatabase | Script
    | BeginAttempt | LetGo | WriteRow | ReadRow | RunRow | ChangeSchema | OpenView | ReadView | CloseView
    | CreateUser | SetPassword | DeleteUser | GrantRole | RevokeRole | CreateToken | DeleteToken
    | SetTls | RevokeCertificate
)  # fmt: skip
"""What may be asked from outside."""
Write = Run | Script | BeginAttempt | Outcome | Replay | CommitHeld


# --------------------------------------------------------------------------------------------------
# Outcomes: what a write is remembered by, and what a read returns. Encoded once by whoever ran it.
# --------------------------------------------------------------------------------------------------


class Done(Struct, frozen=True, tag="done", gc=False):
    """It happened. `truncated`: this is a repetition and the rows were too large to remember."""

    results: tuple[Result, ...]
    truncated: bool = False


class Cancelled(Struct, frozen=True, tag="cancelled"):
    """The token was asked about before it had taken effect, and now never will."""


class Expired(Struct, frozen=True, tag="expired"):
    """The token is older than what is remembered; nobody can tell any more."""


WriteOutcome = Done | Failed | Cancelled | Expired | Attempted
ScriptOutcome = Evaluated | HoldEnded | WriteOutcome
"""Of a `Script`. Failed: the transaction is over (`Evaluated` has the statements that failed alone)."""


# --------------------------------------------------------------------------------------------------
# Answers
# --------------------------------------------------------------------------------------------------


class Answer(Struct, frozen=True, tag="answer", gc=False):
    """A request was carried through. `outcome` is an encoded `WriteOutcome` (for `Verify` a `VerifyReport`, for
    `Failover` a `FailoverReport`, for `OpenCopy` a `CopyReport`, for `ReadCopy` a `CopyPart`,
    for `OpenView` and `ReadView` a `Viewed`)."""

    outcome: Raw
    index: Index = 0
    """Where the database's log stood; the sender's next tokens carry it."""
    epoch: Epoch = 0
    """Of what is there; 0: this answer is of no place in a log."""
    group: GroupId = 0
    age_us: Signed = -1
    """Microseconds by which, at most, what a read has seen lags behind; -1: not known."""

    @property
    def place(self) -> Reached:
        """What a session has seen that has this answer."""
        return Reached(self.group, self.epoch, self.index)


class NotLeader(Struct, frozen=True, tag="not_leader"):
    """Not done here: ask the leader, at this address when it is known."""

    leader: str = ""
    group: GroupId = 0
    """Of a database of several leaders: the group of that one, or of this node if no address is named. The request's
    token is to name it."""


class Unsure(Struct, frozen=True, tag="unsure"):
    """It was logged, but whether it is committed is not known here. Ask again with the same token."""

    leader: str = ""


class Refused(Struct, frozen=True, tag="refused"):
    """Not done. `error` names the class to raise; `retryable`: the same may work later or elsewhere."""

    error: str
    message: str
    hint: str = ""
    retryable: bool = False
    again_us: Count = 0
    """When it is worth trying again, from now; 0: nobody knows."""


class Running(Struct, frozen=True, tag="running"):
    """No answer, which follows: the request takes long, and runs by itself from here on. Sent to other nodes too, it
    could keep one after the other busy."""


class StatusReport(Struct, frozen=True, tag="status_report"):
    cluster: str
    node: NodeId
    name: str
    boot: Boot
    members: tuple["MemberStatus", ...]
    groups: tuple["GroupStatus", ...]
    disk_full: bool = False
    """Its disk had no room for the log, or for the data file of one of its groups, when it last tried."""
    release: str = ""
    version: Small = 1
    """The cluster's format number, as far as this node has heard."""
    lowest: Small = 1
    highest: Small = 1
    """The formats that this node reads."""
    removed: bool = False
    """This node was taken out of its cluster."""
    changes: Count = 0
    """How often the members were changed, as far as this node knows."""
    dropped: tuple[GroupId, ...] = ()
    """Groups of dropped databases that can never come back to life on this node."""
    logins: str = ""
    """`on`: clients have to log in; `off`: there is no user; empty: this node has not read the catalog yet."""
    logins_age_us: Signed = -1
    """How long ago this node heard from the catalog's leader, where clients have to log in."""
    logins_stale: bool = False
    """That is too long ago: it refuses clients."""
    tls: str = ""
    """Which step the cluster has taken (`core.certificates`), as far as this node has read: off, accepted, required."""
    certificate: str = ""
    """The number of this node's certificate; empty: it has none, and speaks no TLS."""
    expires_us: Count = 0
    """Until when that certificate holds, by the wall clock."""
    revoked: bool = False
    """No peer believes it any more."""
    leaders: tuple["Leaders", ...] = ()
    """Of the database that was asked for: its groups, if there are several leaders."""

    snapshots: Count = 0
    """Read views that it keeps for callers (`core.read_views`)."""
    replication: str = ""
    """Of the database that was asked for; empty: this node has not heard of it."""


class Leaders(Struct, frozen=True, array_like=True):
    """One of several leaders of a database, with its followers."""

    group: GroupId
    addresses: tuple[str, ...]
    """Of the group's nodes."""


class MemberStatus(Struct, frozen=True):
    node: NodeId
    name: str
    address: str
    alive: bool
    highest: Small = 0
    """The newest format that it reads; 0: not heard from."""
    trip_us: Count = 0
    """How long a heartbeat's answer takes from here, on average; 0: not measured."""
    suspect_us: Count = 0
    """After how much silence it is taken for dead here (`core.timeouts`); 0: that is this node."""


class ReplicaStatus(Struct, frozen=True):
    """What a leader knows of one voter's log."""

    node: NodeId
    matched: Index
    state: str
    """leader, replicating, probing or snapshot"""


class GroupStatus(Struct, frozen=True):
    group: GroupId
    database: str
    partition: Small
    role: str
    """For people, in the words of its replication: leader, follower, candidate, pre_candidate or damaged, say."""
    leader: NodeId
    """0: none is known, or the replication has none."""
    epoch: Epoch
    last: Index
    committed: Index
    applied: Index
    first: Index
    options: dict[str, str]
    """Those in force, as the group's log says."""
    replicas: tuple[ReplicaStatus, ...] = ()
    verified: Index = 0
    """The newest index at which verify found this replica equal to a majority, in this life of the node."""
    damage: str = ""
    """Why the replica is damaged; or, once it was rebuilt, why it had been."""
    options_next: dict[str, str] = {}
    """Those that are being changed to: until their entry is committed, the stricter of both hold."""
    voters: tuple[NodeId, ...] = ()
    learners: tuple[NodeId, ...] = ()
    voters_next: tuple[NodeId, ...] = ()
    """Voters that are taking the place of `voters`: while they do, a majority of both is needed."""
    wanted: tuple[NodeId, ...] = ()
    """As a leader: the voters that the catalog wants, when they are not `voters`. Empty otherwise."""
    last_epoch: Epoch = 0
    """The epoch of the last entry: of two logs the one with the higher (last_epoch, last) has more."""
    permit: str = ""
    """Under `etcd`: why this replica, which would stand, has no permit to; empty: it has not asked, or leads."""
    age_us: Signed = -1
    """Microseconds by which, at most, reads lag behind here, if this replica has asked; -1: it has not."""
    speaks: bool = False
    """It answers for the group, so that what it says of the group counts: it leads; or, where nobody leads, it is a
    sound member. Of several the one with the highest epoch counts."""
    damaged: bool = False
    """What it holds cannot be trusted now."""
    schema: Count = 0
    """Without a leader: the last change of the schema that was carried out here."""
    silent: tuple[NodeId, ...] = ()
    """The members that are not heard here."""
    hints: tuple[tuple[NodeId, Count], ...] = ()
    """So many rows wait here for a member that missed them."""
    agreed_us: Signed = -1
    """How long ago the hash trees of all members were last found equal to the one here; -1: not in this life."""


class FailoverReport(Struct, frozen=True):
    """Who leads after a failover that somebody asked for; the outcome of the `Answer` to `Failover`."""

    database: str
    group: GroupId
    epoch: Epoch
    leader: str
    """A node's name."""
    was: str
    """Who led before: the same when nothing had to be done, empty when nobody did."""


class LostEntry(Struct, frozen=True, array_like=True):
    """One entry of a lost tail that a node keeps."""

    group: GroupId
    epoch: Epoch
    index: Index
    database: str
    wall_us: Signed
    """When the leader of that time ran it, by its clock."""
    saved_us: Signed
    bytes: Count
    state: str
    """kept, begun (somebody began to replay it) or replayed"""
    requests: Count


class LostReport(Struct, frozen=True, tag="lost_report"):
    entries: tuple[LostEntry, ...] = ()
    payload: bytes = b""
    """Of the one entry that was asked for."""
    seen: Index = 0
    gaps: tuple[tuple[GroupId, str, Index, Index], ...] = ()
    """(group, database, first index, last index) of what was lost and could not be read any more when it was saved."""
    unknown: tuple["Unknown", ...] = ()


class Unknown(Struct, frozen=True, array_like=True):
    """A leader's word: what `node` committed from this index on as leader of an earlier epoch is not here, and that
    node has not come back to show what it was, if anything."""

    group: GroupId
    database: str
    epoch: Epoch
    first: Index
    node: NodeId
    name: str = ""


ReplyBody = (
    Answer | NotLeader | Unsure | Refused | StatusReport | LostReport | Running | Minted | SchemaFits | ByRow
)  # fmt: skip


def too_large(body: RequestBody, size: int) -> Refused | None:
    """What is to be said of a request of so many bytes. A lost entry comes back as it was, whatever its size."""
    if size <= REQUEST_BYTES_MAX or isinstance(body, Replay):
        return None
    message = f"a request has at most {REQUEST_BYTES_MAX} bytes, and this one has {size}"
    return Refused("TooLarge", message, "send it in several parts")


class Ask(Struct, frozen=True, array_like=True, tag="ask", gc=False):
    """Client to node: one request under an id that is unique on its connection."""

    id: Count
    body: RequestBody
    waits_us: Count = 0
    """How much longer the caller waits; 0: it does not say. Nothing is done for a caller whose time is over."""


class Left(Struct, frozen=True, array_like=True, tag="left"):
    """Client to node: nobody waits for the answer to this id any more. A read is ended; a write takes its course."""

    id: int


class Told(Struct, frozen=True, array_like=True, tag="told", gc=False):
    """Node to client: the answer to that id."""

    id: Count
    body: ReplyBody
