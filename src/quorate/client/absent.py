"""What connections and cursors of `sqlite3` have and those here have not.

Python lets a program set any attribute of most objects. A program that comes from `sqlite3` would set `row_factory`,
hear nothing, and get other rows than it asked for. So connections and cursors have slots, and the names below say what
to do.
"""

from typing import Any, NoReturn

from quorate.errors import NotSupportedError

_PAGE = "see docs/coming-from-sqlite3.md"


class Absent:
    """An attribute that is not there: reading it raises AttributeError, setting it NotSupportedError. Setting it to
    `anyway`, which is how it is, does nothing."""

    __slots__ = ("_anyway", "_hint", "_name")

    def __init__(self, hint: str, *anyway: object) -> None:
        self._hint = hint
        self._anyway = anyway
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> NoReturn:
        raise AttributeError(f"{owner.__name__} has no {self._name}: {self._hint}; {_PAGE}")

    def __set__(self, instance: object, value: Any) -> None:
        if value in self._anyway:
            return
        raise NotSupportedError(f"{self._name} is not there", hint=f"{self._hint}; {_PAGE}")


_FUNCTIONS = "functions and collations of an application would have to be on every node"
NOT_ON_A_CLUSTER = f"{_FUNCTIONS}; compute values in the program, before they are written or after they are read"


class AbsentFromRows:
    """What a cursor of `sqlite3` has besides."""

    __slots__ = ()

    executescript = Absent("connection.executescript(...) runs a script")


class AbsentFromConnections:
    """What a connection of `sqlite3` has besides."""

    __slots__ = ()

    text_factory = Absent("text is str", str)
    isolation_level = Absent("autocommit=False, batch() and transaction() join statements", None)
    create_aggregate = Absent(_FUNCTIONS)
    create_window_function = Absent(_FUNCTIONS)
    set_progress_handler = Absent("a call has a timeout")
    set_authorizer = Absent("there is none")
