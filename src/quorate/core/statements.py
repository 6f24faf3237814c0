"""The smallest words of the client protocol: a statement with its parameters, what it gave, the token of a write.

They travel in frames between a client and a node; `core.requests` says how.
"""

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from quorate.core.bounds import GroupId, Index, Signed

if TYPE_CHECKING:
    Value = None | int | float | str | bytes
else:
    Value = Any
    """msgspec cannot tell str from bytes in one union while it decodes; whoever binds a value checks it."""

VALUE_TYPES = (type(None), int, float, str, bytes)
"""What a value may be, for `isinstance`."""

Parameters = tuple[Value, ...] | dict[str, Value]


class Statement(Struct, frozen=True, array_like=True, gc=False):
    """One SQL statement with one set of parameters for each time it is to run."""

    sql: str
    sets: tuple[Parameters, ...] = ((),)
    many: bool = False
    """From `executemany`: row counts add up and rows are not returned."""


BOUND = "\0"
"""Between the name of a token that a caller chose and the digest of what it was first used for."""


class Token(Struct, frozen=True, array_like=True, gc=False):
    """Names one write so that it happens once however often it is sent.

    A token that the client made is its name alone: nobody else can have it. One that a caller chose is bound to its
    statements (`name + BOUND + digest`): the same name with another digest is refused. To ask what became of it the
    name is enough.
    """

    id: str
    seen: Index
    """The highest index of the database's log that the sender had heard of at its first send."""
    group: GroupId = 0
    """Of a database of several leaders: the group of the only one that may run it. `seen` is of that group's log."""

    @property
    def name(self) -> str:
        """What its caller calls it."""
        return self.id.partition(BOUND)[0]


class Result(Struct, frozen=True, array_like=True, gc=False):
    """What one statement gave."""

    columns: tuple[tuple[str, str | None], ...]
    """Name and declared type of each column; empty when the statement returns no rows."""
    rows: list[tuple[Value, ...]]
    rowcount: Signed
    """Rows changed by INSERT, UPDATE or DELETE; -1 for everything else."""
    lastrowid: Signed | None = None


class Failed(Struct, frozen=True, tag="failed"):
    """It did not happen and never will under this token. `error` names the class to raise."""

    error: str
    message: str
    hint: str = ""
    sqlite_errorname: str = ""
    statement: Signed = -1
    """Which statement of the request failed; -1 when it is not about one."""
