"""The script of an interactive transaction over a cluster, and what its client makes of answers: no input, no output.

No node needs to keep anything of such a transaction. Its client keeps the statements so far, each with a digest of what
it gave and a pin (`core.scripts`). To run one more, the whole script goes to a node, which runs it, compares, undoes it
all and answers what was new; COMMIT sends it once more, to stay. So a transaction outlives any node: its next statement
is run elsewhere, as is one whose answer was lost. That happens again and again without harm; only COMMIT needs a token.

One that has only read so far is a read: it goes where reads of its level go, and its COMMIT needs no node, for the last
answer compared all that it has read with one state. Savepoints are steps of the script; they wait for the next
statement. A statement that was refused, or whose time ran out, has shown nothing and so is not in the script.

One that begins immediate, or of which a node has said that it should (`Evaluated.escalate`), asks its leader to hold
the writer, and then sends what is new alone, with the ticket of the newest answer. Where the hold has ended it asks
again, with the whole script; so nothing depends on what a node keeps.
"""

from collections.abc import Sequence

from msgspec import structs

from quorate import errors
from quorate.client.checks import shown
from quorate.core.read_levels import LEADER, LINEARIZABLE, STRONGEST
from quorate.core.requests import Done, Expired, ScriptOutcome, WriteOutcome
from quorate.core.scripts import Evaluated, Hold, LetGo, Script, Step
from quorate.core.statements import Failed, Result, Statement, Token
from quorate.sql.classify import is_read
from quorate.sql.control import RELEASE, SAVEPOINT, Control, savepoint_of
from quorate.wire.answers import failure, results_of

NOT_BEGUN, OPEN, COMMITTING, COMMITTED, ROLLED_BACK, FAILED, UNSURE = (
    "not begun", "open", "committing", "committed", "rolled back", "failed", "unsure",
)  # fmt: skip
"""FAILED: what it has seen has changed, or its COMMIT was refused. UNSURE: the answer to its COMMIT was lost."""

DEFERRED, IMMEDIATE, EXCLUSIVE = "deferred", "immediate", "exclusive"
"""How a transaction begins, in SQLite's words: it holds nothing, or the writer; the last two mean the same."""


def check_begin(begin: object) -> str:
    """How a transaction is to begin, in small letters. Raises ProgrammingError."""
    word = begin.lower() if isinstance(begin, str) else ""
    if word not in (DEFERRED, IMMEDIATE, EXCLUSIVE):
        raise errors.ProgrammingError(
            f"a transaction begins deferred, immediate or exclusive, not {shown(begin)}", hint='begin="immediate"'
        )
    return word


def refuse_write(statement: Statement) -> None:
    """Raises ProgrammingError, in a transaction that only reads."""
    if not is_read(statement.sql):
        raise errors.ProgrammingError(
            f"this transaction only reads: {' '.join(statement.sql.split())[:60]!r} may write",
            hint="begin it without read_only=True",
        )


def refuse_token(token: object) -> None:
    """Raises ProgrammingError for a statement with a token, in a transaction."""
    if token is not None:
        raise errors.ProgrammingError(
            "a statement in a transaction has no token of its own", hint="with db.transaction(token=...) as tx:"
        )


def must_be_settled(outcome: WriteOutcome, *, clean: bool) -> bool:
    """Whether COMMIT may have been done, or may still be, though a node has answered that what the transaction had seen
    has changed. No node remembers that under the token, and once all is as it was before, the answer is another. So
    other sends of it (it is not `clean`) must be settled first, by the question what became of the token."""
    return not clean and isinstance(outcome, Failed) and outcome.error == errors.SerializationFailure.__name__


NESTED = "cannot start a transaction within a transaction"


def not_begun(control: Control) -> errors.OperationalError:
    """What a statement about a transaction is told where none is open, in SQLite's words."""
    if control.name:
        return no_savepoint(control.name)
    return errors.OperationalError(f"cannot {control.word.lower()} - no transaction is active")


def no_savepoint(name: str) -> errors.OperationalError:
    """What RELEASE and ROLLBACK TO are told of a name that no open savepoint has."""
    return errors.OperationalError(f"no such savepoint: {name}", sqlite_errorname="SQLITE_ERROR")


class Keeper:
    """The script of one transaction. Its driver sends what `ask` and `commit` give, and hands in what came back."""

    __slots__ = (
        "_asked", "_database", "_failure", "_held", "_hold", "_level", "_may_hold", "_name", "_places",
        "_read_only", "_savepoints", "_steps", "_strongest", "_ticket", "escalate", "state", "writes",
    )  # fmt: skip

    def __init__(
        self,
        database: str,
        *,
        level: str = LINEARIZABLE,
        strongest: bool = False,
        read_only: bool = False,
        settings: Sequence[Statement] = (),
        hold: bool = False,
        name: str = "",
    ) -> None:
        """`hold`: it begins immediate. `name`: under which it may hold the writer, and no other does; empty: it never
        does."""
        self.state = NOT_BEGUN
        self.writes = False
        """Some statement may have written: the leader runs the script."""
        self.escalate = ""
        """Why COMMIT is likely to fail, or dear, unless the transaction holds the writer; empty: it is not."""
        self._database = database
        self._level = level
        self._strongest = strongest
        self._read_only = read_only
        self._steps: list[Step] = [Step(setting) for setting in settings]
        self._savepoints: list[str] = []
        """Names of those that are open, the innermost last. On the nodes each is called by its place here."""
        self._asked: Statement | None = None
        """The statement of the request that is under way."""
        self._places: list[int] = []
        """Where in the script the steps stand that its answer is about."""
        self._failure: errors.Error | None = None
        self._name = name
        self._hold = name if hold else ""
        """Its name, if it holds the writer, or is to."""
        self._ticket = ""
        """Of what is open on the leader, as far as we know."""
        self._held = 0
        """So many steps have run there."""
        self._may_hold = False
        """Something may be open."""

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All that has been run, or will be at COMMIT: what the token of a caller is bound to."""
        return tuple(step.statement for step in self._steps)

    @property
    def is_open(self) -> bool:
        """It can go on."""
        return self.state == OPEN

    @property
    def is_holding(self) -> bool:
        """As far as we know, what it has done is open on its leader."""
        return bool(self._ticket)

    @property
    def is_over(self) -> bool:
        """It was ended, by whoever began it."""
        return self.state in (COMMITTED, ROLLED_BACK, UNSURE)

    def begin(self) -> None:
        """Raises ProgrammingError when it was begun before."""
        if self.state != NOT_BEGUN:
            raise errors.ProgrammingError(f"this transaction is {self.state}", hint="begin another")
        self.state = OPEN

    def check(self) -> None:
        """Raises what ended the transaction, or ProgrammingError when it is over or busy."""
        if self._failure is not None:
            raise self._failure
        if self.state != OPEN:
            hint = "use it inside its with block" if self.state == NOT_BEGUN else "begin another"
            raise errors.ProgrammingError(f"this transaction is {self.state}", hint=hint)
        if self._asked is not None:
            raise errors.InterfaceError(
                "this transaction is running a statement", hint="use a transaction of its own in each task or thread"
            )

    def ask(self, statement: Statement) -> Script:
        """The request that runs this statement behind all others. Raises what `check` raises, and ProgrammingError for
        a write where only reads were announced."""
        self.check()
        reads = is_read(statement.sql)
        if self._read_only:
            refuse_write(statement)
        self._asked = statement
        if self.escalate and not self._hold and not self._read_only:
            self._hold = self._name
        return self._request(writes=self.writes or not reads)

    def again(self) -> Script:
        """The request once more, from the first statement on: what was open is so no more."""
        self._ticket = ""
        statement = self._asked
        reads = statement is None or is_read(statement.sql)
        return self._request(writes=self.writes or not reads)

    def _request(self, *, writes: bool) -> Script:
        """The script as it is, and what is asked about. One that only reads goes without its savepoints."""
        if self._hold:
            return self._request_of_holder()
        numbers = [number for number, step in enumerate(self._steps) if writes or not _word(step)]
        steps = [self._steps[number] for number in numbers]
        self._places = [number for number, step in zip(numbers, steps, strict=True) if not step.digest]
        if self._asked is not None:
            steps.append(Step(self._asked))
        if writes:
            return Script(self._database, tuple(steps), level=LEADER)
        return Script(self._database, tuple(steps), level=self._level, strongest=self._strongest)

    def _request_of_holder(self) -> Script:
        self._may_hold = True
        first = self._held if self._ticket else 0
        steps = self._steps[first:]
        self._places = [number for number, step in enumerate(steps, first) if not step.digest]
        if self._asked is not None:
            steps.append(Step(self._asked))
        return Script(self._database, tuple(steps), level=LEADER, hold=Hold(self._hold, self._ticket))

    def let_go(self) -> LetGo | None:
        """What is to be asked when it is over, or is left alone; None: nothing holds the writer."""
        self._ticket = ""
        wanted, self._may_hold = self._may_hold, False
        return LetGo(self._database, self._hold) if wanted else None

    @property
    def wants_snapshot(self) -> bool:
        """Whether it reads one state, and nothing of it is in the script."""
        return self._read_only and not self._steps

    @property
    def level(self) -> str:
        """Its read level."""
        return STRONGEST if self._strongest else self._level

    def failed(self, error: errors.Error) -> None:
        """It cannot go on: the state that it was reading is lost."""
        self.dropped()
        self.state, self._failure = FAILED, error

    def dropped(self) -> None:
        """There will be no answer: the statement has not run, or COMMIT was not done; the transaction goes on."""
        self._asked = None
        self._ticket = ""
        if self.state == COMMITTING:
            self.state = OPEN

    def heard(self, outcome: ScriptOutcome) -> Result:
        """What the statement gave. Raises what it failed with, or SerializationFailure, which ends the transaction."""
        statement, self._asked = self._asked, None
        if self.state != OPEN:  # somebody has rolled it back meanwhile
            self.check()
        if isinstance(outcome, Failed):
            raise self._failed(outcome)
        assert statement is not None, "an answer to nothing"
        self._take(outcome, [*self._places, len(self._steps)], statement)
        assert isinstance(outcome, Evaluated)
        last = outcome.outcomes[-1]
        if isinstance(last, Failed):
            raise failure(last)
        return last

    def _take(self, outcome: ScriptOutcome, places: Sequence[int], statement: Statement | None) -> None:
        """Note what the steps gave that had not run yet. Raises InternalError."""
        if not isinstance(outcome, Evaluated) or len(outcome.outcomes) != len(places):
            raise errors.InternalError(f"a node answered the statement of a transaction with {type(outcome).__name__}")
        if statement is not None:
            self._steps.append(Step(statement))
            self.writes = self.writes or not is_read(statement.sql)
        for place, digest, pin in zip(places, outcome.digests, outcome.pins, strict=True):
            self._steps[place] = structs.replace(self._steps[place], digest=digest, pin=pin)
        self.escalate = outcome.escalate
        self._ticket, self._held = outcome.ticket, len(self._steps)

    def _failed(self, failed: Failed) -> errors.Error:
        """Why a request came to nothing; that what was seen has changed is the end."""
        error = failure(failed)
        if isinstance(error, errors.SerializationFailure):
            self.state, self._failure = FAILED, error
        return error

    # ---- savepoints ------------------------------------------------------------------------------------

    def control(self, control: Control) -> None:
        """Do what a statement about a savepoint says. No node is asked: it waits for the next statement. Raises
        ProgrammingError when there is no such savepoint."""
        self.check()
        names = self._savepoints
        if control.word == SAVEPOINT:
            names.append(control.name)
            depth = len(names)
        else:
            depth = self.depth_of(control.name)
            if not depth:
                raise no_savepoint(control.name)
            del names[depth - (control.word == RELEASE) :]
        self._steps.append(Step(Statement(Control(control.word, str(depth)).sql)))

    def depth_of(self, name: str) -> int:
        """How many savepoints are open up to the innermost of this name; 0: there is none."""
        return max((place for place, each in enumerate(self._savepoints, 1) if each == name), default=0)

    # ---- the end ---------------------------------------------------------------------------------------

    def before_commit(self) -> Script | None:
        """What must be asked before COMMIT can be: that a rollback to a savepoint is run, when nothing came after it.
        The answer goes to `heard_before_commit`."""
        self.check()
        if not self.writes:
            return None
        while self._steps and _word(self._steps[-1]) in (SAVEPOINT, RELEASE):
            self._steps.pop()
        request = self._request(writes=True)
        return request if self._places else None

    def heard_before_commit(self, outcome: ScriptOutcome) -> None:
        """Raises SerializationFailure, which ends the transaction."""
        if isinstance(outcome, Failed):
            raise self._failed(outcome)
        self._take(outcome, self._places, None)

    def commit(self) -> Script | None:
        """The request that commits, but for its token; None when nothing needs to be asked."""
        self.check()
        if not self.writes:
            self.state = COMMITTED
            return None
        self.state = COMMITTING
        hold = Hold(self._hold, self._ticket) if self._ticket and self._held == len(self._steps) else None
        if hold is None:
            self._ticket = ""
        return Script(self._database, tuple(self._steps), commit=True, level=LEADER, hold=hold)

    def committed(self, outcome: WriteOutcome, token: Token) -> None:
        """The answer to it. Raises what forbade it, SerializationFailure for example: then nothing was done. Expired,
        when nobody can tell."""
        self.state = OPEN
        if self._ticket:
            self._ticket, self._may_hold = "", False
        if isinstance(outcome, Failed):
            self.state, self._failure = FAILED, failure(outcome)
            raise self._failure
        if not isinstance(outcome, Done):
            self.state = UNSURE if isinstance(outcome, Expired) else ROLLED_BACK
        results_of(outcome, token)
        self.state = COMMITTED

    def unsure(self) -> None:
        """The answer to COMMIT was lost."""
        self.state = UNSURE

    def rollback(self) -> None:
        """Undo everything: no node has anything to forget. Rolling back what is over does nothing."""
        if self.state in (OPEN, FAILED):
            self.state, self._failure = ROLLED_BACK, None


def _word(step: Step) -> str:
    """What a step does to a savepoint; empty: it is about something else."""
    found = savepoint_of(step.statement.sql)
    return found[0] if found is not None else ""
