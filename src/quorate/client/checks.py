"""Arguments on their way in: each is looked at before anything is sent or run, so that a wrong one is named here and
not met as something that a codec, a socket or SQLite says of it."""

import os
from collections.abc import Callable, Iterable
from typing import TypeVar

from quorate.core.bounds import GROUP_BITS, INDEX_BITS
from quorate.errors import OperationalError, ProgrammingError

T = TypeVar("T")
_DATABASE_LENGTH_MAX = 128
_NAME_LENGTH_MAX = 1000


def shown(value: object) -> str:
    """A wrong value, for a message. Python writes no digits of an integer beyond all bounds."""
    return "an integer" if isinstance(value, int) and abs(value) > 10**18 else f"{value!r:.80}"


def check_text(value: object, what: str) -> str:
    """A text that is UTF-8, as a plain `str`. Raises ProgrammingError."""
    if not isinstance(value, str):
        raise ProgrammingError(f"{what} is a text, not {type(value).__name__}")
    text = value if type(value) is str else str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ProgrammingError(f"{what} has a lone surrogate, which is not UTF-8") from None
    return text


def check_database(name: object) -> str:
    """A database's name. Raises ProgrammingError."""
    text = check_text(name, "the name of a database")
    if not text or "/" in text or "\x00" in text or len(text) > _DATABASE_LENGTH_MAX:
        raise ProgrammingError(
            f"{text!r:.200} cannot be the name of a database",
            hint=f"it has 1 to {_DATABASE_LENGTH_MAX} characters, and no / and no NUL",
        )
    return text


def check_databases(names: object) -> tuple[str, ...]:
    """Names of databases. Raises ProgrammingError."""
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise ProgrammingError(f"databases are a list of names, not {type(names).__name__}")
    return tuple(check_database(name) for name in names)


def check_node(name: object) -> str:
    """What a member is called, or its address. Raises ProgrammingError."""
    text = check_text(name, "the name of a node")
    if not text or len(text) > _NAME_LENGTH_MAX:
        raise ProgrammingError(f"{text!r:.80} cannot be the name of a node")
    return text


def check_flag(value: object, what: str) -> bool:
    """True or False. Raises ProgrammingError."""
    if not isinstance(value, bool):
        raise ProgrammingError(f"{what} is True or False, not {shown(value)}")
    return value


def check_seen(seen: object) -> int | None:
    """The index that came with a MaybeDone. Raises ProgrammingError."""
    if seen is None:
        return None
    if isinstance(seen, bool) or not isinstance(seen, int) or not 0 <= seen < 1 << INDEX_BITS + GROUP_BITS:
        raise ProgrammingError("seen is the index that the MaybeDone carried", hint="pass error.seen")
    return int(seen)


def check_kind(value: object, kind: type[T], what: str) -> T:
    """An object that another call gave. Raises ProgrammingError."""
    if not isinstance(value, kind):
        raise ProgrammingError(f"{what}, not {type(value).__name__}")
    return value


def check_told(told: object) -> None:
    """Something that can be called. Raises ProgrammingError."""
    if not isinstance(told, Callable):  # type: ignore[arg-type]
        raise ProgrammingError(f"told is called with two numbers, and {type(told).__name__} cannot be")


def check_new_file(file: object) -> str:
    """The path of a file that is not there yet. Raises ProgrammingError, and OperationalError for one that is."""
    if not isinstance(file, str | os.PathLike):
        raise ProgrammingError(f"a file is named by its path, not by {type(file).__name__}")
    path = check_text(os.fspath(file), "the path of a file")
    if not path or "\x00" in path:
        raise ProgrammingError("the path of a file is empty or has a NUL")
    if os.path.lexists(path):
        raise OperationalError(f"{path} exists already", hint="name a new file")
    return path
