"""Every error a user can meet. PEP 249's tree, then ours inside it.

The one rule: an error means **not done**, except `MaybeDone`, whose outcome can be asked for later with
its token (`connection.outcome(error.token)`), or seen where its hint says.
"""


class Warning(Exception):  # noqa: A001 - the name PEP 249 asks for
    """PEP 249's Warning; Quorate raises none so far."""


class Error(Exception):
    """Base of everything Quorate raises."""

    retryable: bool = False
    """The same call may succeed later, or on another node."""
    statement: int = -1
    """Which statement of a batch it is about, counted from 0; -1 when not about one."""

    def __init__(self, message: str = "", *, hint: str = "", sqlite_errorname: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        """What to do about it, in one sentence, or empty."""
        self.sqlite_errorname = sqlite_errorname
        """SQLite's own name for it, such as SQLITE_CONSTRAINT_UNIQUE, or empty."""

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class InterfaceError(Error):
    """The library was used in a way it cannot be: a closed connection, a handle carried over a fork."""


class DatabaseError(Error):
    """Base of what a database answers."""


class DataError(DatabaseError):
    """A value that SQLite cannot hold: an integer beyond 64 bits, a type with no counterpart."""


class TooLarge(DataError):
    """A value, a row, a statement, a request, its changes or its result is beyond a limit, which the message names."""


class OperationalError(DatabaseError):
    """Not the statement's fault: a node is away, a disk is full, time ran out before anything was sent."""


class IntegrityError(DatabaseError):
    """A constraint forbids it."""


class InternalError(DatabaseError):
    """Quorate itself is wrong. Please report it."""


class ProgrammingError(DatabaseError):
    """The statement or its parameters are wrong: syntax, an unknown table, a wrong count."""


class NotSupportedError(DatabaseError):
    """Refused on purpose, or not there yet; the message says which."""


class UnknownDatabase(ProgrammingError):
    """No database of this name exists in the cluster, or not any more."""


class TokenReused(ProgrammingError):
    """The token was used for other statements before; these were not run."""


class DatabaseExists(ProgrammingError):
    """A database of this name exists already."""


class UnknownUser(ProgrammingError):
    """No user, or no token, of this name exists in the cluster."""


class UserExists(ProgrammingError):
    """A user of this name exists already, with another password."""


class PermissionDenied(ProgrammingError):
    """The user has no role that permits this; nothing was done."""


class UnknownNode(ProgrammingError):
    """No member of this name is in the cluster."""


class AlreadyMember(ProgrammingError):
    """A node of this id, name or address is in the cluster already."""


class NodeRemoved(OperationalError):
    """The node was taken out of its cluster, for good; ask another."""

    retryable = True


class LastVoter(OperationalError):
    """Nobody else has a copy: taking this node out would lose the data."""


class NoMajority(OperationalError):
    """Too few nodes are alive for this change of members."""

    retryable = True


class ChangeUnderWay(OperationalError):
    """Members are just being changed, one change at a time; or somebody else altered the same database meanwhile."""

    retryable = True


class AlreadyOpen(OperationalError):
    """Another process has this folder open. `pid` is its process id (0: unknown)."""

    def __init__(self, message: str = "", *, pid: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.pid = pid


class Unavailable(OperationalError):
    """No leader could be reached in time, and the request did not happen."""

    retryable = True


class AuthenticationError(OperationalError):
    """The cluster does not know who this is: a login is missing or wrong, or does not hold any more. Nothing was
    done."""


class BookmarkLost(OperationalError):
    """A failover has lost writes that this session had seen or made; nothing was done. What is there by now is to be
    looked at; then the session is begun anew, without the bookmark."""


class Overloaded(OperationalError):
    """The node has too much waiting already, and refused this before starting it."""

    retryable = True
    again: float = 0.0
    """In so many seconds it is worth trying again, as far as the node can tell; 0: it cannot."""


class SerializationFailure(OperationalError):
    """What a transaction has read or done is not so any more: others changed it. Nothing of it was done; begin anew."""

    retryable = True


class SnapshotExpired(OperationalError):
    """The node does not keep the state any more that a transaction or a stream was reading. Nothing was done; begin
    anew."""

    retryable = True


class StatementTimeout(OperationalError):
    """The statement ran when its caller's time was over, or ran for too long at all; it was undone."""


class DiskFull(OperationalError):
    """The node's disk has no room; nothing was written."""

    retryable = True


class DataDamaged(OperationalError):
    """The data file of a database cannot be used, and no node with a whole one leads.

    From `connect` to a folder it says what is lost if one goes on with what can be read (`quorate adopt`); on a
    cluster's node these fields are empty.
    """

    def __init__(
        self,
        message: str = "",
        *,
        hint: str = "",
        database: str = "",
        good: int = 0,
        entries: int = 0,
        writes: int = 0,
        tables: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint)
        self.database = database
        self.good = good
        """Index of the last entry of the log whose changes the data file has or can be given."""
        self.entries = entries
        """How many entries behind that would be dropped; they are kept among the lost ones."""
        self.writes = writes
        """How many callers' writes they carry, as far as they can be read."""
        self.tables = tables
        """The tables that they changed, as far as they can be read."""


class Cancelled(OperationalError):
    """The request's token was asked about before it took effect; it now never will."""


class MaybeDone(OperationalError):
    """The one error that does not mean "not done": the answer was lost, the write may have happened.

    `connection.outcome(error.token)` settles it: it returns the result if the write happened, and
    otherwise makes sure that it never will. A change of the cluster (members, databases, who leads) has no token
    that settles it: then `token` is empty, and the hint says where to look.
    """

    def __init__(self, message: str = "", *, token: str = "", seen: int = 0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.token = token
        self.seen = seen


class Expired(MaybeDone):
    """The token is older than what the database remembers: nobody can tell any more."""
