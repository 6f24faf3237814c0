"""Interactive transactions over the wire: a client sends the statements of its transaction so far, each time.

No node keeps anything of an open transaction. To run its next statement a client sends all of them; the node runs them
on what is executed by then, checks that those which ran before give what they gave (`Step.digest`), and undoes them
(`Evaluated`). To commit, they are sent once more, and what they do is kept. So a client that stalls delays nobody, and
a transaction goes on when the node that ran its first statements is gone.
"""

from random import Random

from msgspec import Struct, structs

from quorate.core.bookmarks import Bookmark
from quorate.core.bounds import Count, Index, Signed
from quorate.core.read_levels import LINEARIZABLE
from quorate.core.statements import Failed, Result, Statement, Token


class Pin(Struct, frozen=True, array_like=True, gc=False):
    """What a statement may not see differently when it runs again; set by the node that runs it first."""

    now_us: Signed
    """Wall clock of its 'now', CURRENT_TIMESTAMP and their like."""
    seed: Count
    """Of its random() and randomblob()."""
    reserved: tuple[tuple[str, Signed], ...] = ()
    """The numbers of the rows that an INSERT adds: for each table, that of the first."""


class Step(Struct, frozen=True, array_like=True, gc=False):
    """One statement of a transaction. `digest` and `pin` are empty until it has run once."""

    statement: Statement
    digest: bytes = b""
    pin: Pin | None = None

    @property
    def sql(self) -> str:
        """The statement's text."""
        return self.statement.sql


def pinned(steps: tuple[Step, ...], now_us: int, rng: Random) -> tuple[Step, ...]:
    """The same, each with a pin."""
    if all(step.pin is not None for step in steps):
        return steps
    return tuple([step if step.pin else structs.replace(step, pin=Pin(now_us, rng.getrandbits(63))) for step in steps])


class RunOfAttempts(Struct, frozen=True, array_like=True, gc=False):
    """Which attempt this is of a call that commits once, however many it makes. All have the same token."""

    id: str
    attempt: Index


class Hold(Struct, frozen=True, array_like=True, gc=False):
    """A transaction is to hold its leader's writer, as long as that lasts: what it has done stays open, and nobody else
    writes. It is a lease, which may end at any time; then all statements run again, and are compared."""

    name: str
    """The transaction's own, the same in all its requests."""
    ticket: str = ""
    """From the newest answer (`Evaluated.ticket`): what is open under it has run all earlier steps, and a request that
    evaluates has only those behind them. Empty: the hold is asked for, by a request with all steps."""
    next: str = ""
    """The leader's own: the ticket of what is open when this request has run."""


class BeginAttempt(Struct, frozen=True, tag="begin_attempt", gc=False):
    """Begin another attempt under this token. The outcome is `Attempted` with its number, and from now on no lower one
    can be committed; or Done with the number of the attempt that has been committed, in a row of one."""

    database: str
    token: Token


class Attempted(Struct, frozen=True, tag="attempted", gc=False):
    """This is the newest attempt, and none has been committed."""

    attempt: Index


class Script(Struct, frozen=True, tag="script", gc=False):
    """Run a transaction's statements in order. Those with a digest must give what they gave before; otherwise the
    outcome is a Failed of `SerializationFailure`, and nothing is done nor remembered.

    `commit` false: undo them all; the outcome is `Evaluated`. `commit` true: keep them (all have digests); the outcome
    is Done without results, remembered under the token; with `run`, Done as for `BeginAttempt`.
    """

    database: str
    steps: tuple[Step, ...]
    commit: bool = False
    token: Token | None = None
    level: str = LINEARIZABLE
    """As in `Run`, for a script that only reads."""
    strongest: bool = False
    run: RunOfAttempts | None = None
    after: Bookmark | None = None
    """As `Run.after`."""
    hold: Hold | None = None

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Those of its steps."""
        return tuple([step.statement for step in self.steps])


class Evaluated(Struct, frozen=True, tag="evaluated", gc=False):
    """What the steps without a digest gave, in order."""

    results: tuple[Result | None, ...]
    """None for a statement that failed."""
    failures: tuple[Failed | None, ...]
    """None for one that did not. What failed is undone alone, and the transaction goes on."""
    digests: tuple[bytes, ...]
    pins: tuple[Pin | None, ...]
    escalate: str = ""
    """Why it would fail, or cost too much, to run all this again: hold the writer instead."""
    ticket: str = ""
    """The transaction holds the writer, and goes on under this ticket; empty: it does not."""

    @property
    def outcomes(self) -> tuple[Result | Failed, ...]:
        """What each gave, or how it failed."""
        return tuple([result or failed for result, failed in zip(self.results, self.failures, strict=True)])  # type: ignore[misc]


class HoldEnded(Struct, frozen=True, tag="hold_ended", gc=False):
    """What this ticket is for is not open any more, and nothing was done: send all steps."""


class LetGo(Struct, frozen=True, tag="let_go", gc=False):
    """The transaction of this name is over, or waits for nothing: let others write. Its outcome is Done, also where
    nothing was held."""

    database: str
    name: str
