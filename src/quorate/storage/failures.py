"""From an exception of apsw to what a caller is told, or to what the driver must hear."""

import apsw

from quorate.core.limits import COMPUTED_BYTES_MAX, RESULT_BYTES_MAX, ROW_BYTES_MAX
from quorate.core.statements import Failed
from quorate.storage.data.guard import Guard
from quorate.storage.descriptors import short_of_descriptors
from quorate.storage.interface import Broken, DiskIsFull, Divergent, NoDescriptors, OverBudget

_CLASSES: dict[type[BaseException], str] = {
    apsw.SQLError: "ProgrammingError",
    apsw.BindingsError: "ProgrammingError",
    apsw.RangeError: "ProgrammingError",
    apsw.ReadOnlyError: "ProgrammingError",
    apsw.MisuseError: "ProgrammingError",
    KeyError: "ProgrammingError",
    apsw.ConstraintError: "IntegrityError",
    apsw.MismatchError: "IntegrityError",
    apsw.TooBigError: "TooLarge",
    OverflowError: "DataError",
    TypeError: "DataError",
    ValueError: "DataError",
    UnicodeEncodeError: "DataError",
    UnicodeDecodeError: "DataError",
    apsw.AuthError: "NotSupportedError",
}
_HINTS: dict[type[BaseException], str] = {
    OverflowError: "integers have at most 64 bits; store larger ones as text",
    TypeError: "values are None, int, float, str or bytes",
    UnicodeDecodeError: "the column holds text that is not UTF-8; read it with CAST(... AS BLOB)",
    apsw.ReadOnlyError: "a read cannot change anything",
}


NONE_LEFT = "no file descriptor is left (the system's limit of open files; see ulimit -n, open_replicas)"


class RefusedError(Exception):
    """A statement that is not run at all, or is undone whole."""

    def __init__(self, error: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.failed = Failed(error, message, hint)


class NoFunctionError(RefusedError):
    """A column is merged by a program's own resolver, which this node does not have."""

    def __init__(self, message: str) -> None:
        hint = "give every node of the database the same file, list it in `resolvers` of node.toml, and restart"
        super().__init__("OperationalError", message, hint)


class EntryTooLarge(RefusedError):
    """A write changes more than one entry of the log may carry."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(
            "TooLarge",
            f"the rows that the write changes take more than {bytes_max} bytes",
            "change fewer rows at a time",
        )


class ResultTooLarge(Exception):
    """A result grew beyond what one answer may hold."""

    def __init__(self) -> None:
        super().__init__(f"the result has more than {RESULT_BYTES_MAX} bytes")


def no_number_left(statement: int) -> Failed:
    """SQLite says of this, too, that the database or disk is full."""
    message = "AUTOINCREMENT has no number left: a row of the table has had 9223372036854775807"
    return Failed("OperationalError", message, "give the row a number yourself", "SQLITE_FULL", statement)


def raise_if_fatal(error: BaseException) -> None:
    """Raise DiskIsFull, Broken or Divergent when the error is the disk's or the file's and not the statement's;
    OverBudget when nothing is wrong but the time is over."""
    if isinstance(error, apsw.InterruptError):
        raise OverBudget("it takes longer than it may here") from error
    if isinstance(error, apsw.FullError):
        raise DiskIsFull(str(error)) from error
    extended = getattr(error, "extendedresult", 0)
    if isinstance(error, apsw.IOError):
        if extended == apsw.SQLITE_IOERR_SHMSIZE:
            raise DiskIsFull(str(error)) from error
        raise Broken(f"{_name(error)}: {error}") from error
    if isinstance(error, apsw.CantOpenError) and short_of_descriptors():
        raise NoDescriptors(NONE_LEFT) from error
    if isinstance(error, apsw.CorruptError | apsw.NotADBError):
        if extended == apsw.SQLITE_CORRUPT_VTAB:  # one virtual table, such as an integrity-check of FTS5
            return
        raise Divergent(f"{_name(error)}: {error}") from error
    if isinstance(error, apsw.ThreadingViolationError | apsw.ConnectionClosedError | apsw.CursorClosedError):
        raise error


def failed_of(error: BaseException, statement: int, guard: Guard) -> Failed:
    """What the caller is told. Raises what `raise_if_fatal` raises."""
    raise_if_fatal(error)
    if isinstance(error, RefusedError):  # from a function that the program has defined
        return Failed(error.failed.error, error.failed.message, error.failed.hint, "", statement)
    if isinstance(error, apsw.AuthError) and guard.refusal is not None:
        name, message, hint = guard.refusal
        return Failed(name, message, hint, "SQLITE_AUTH", statement)
    if isinstance(error, ResultTooLarge):
        return Failed(
            "TooLarge",
            str(error),
            "read it with stream(), which has no limit on a cluster, or fewer rows at a time",
            "",
            statement,
        )
    kind = type(error)
    message = str(error)
    hint = _HINTS.get(kind, "")
    if kind is KeyError:
        message = f"no value was given for the parameter :{error.args[0]}"
    elif kind is apsw.TooBigError:
        message = f"{message}: a row, and so each value in it, has at most {ROW_BYTES_MAX} bytes"
        hint = f"cut what is larger into several rows; a read may compute values of {COMPUTED_BYTES_MAX} bytes"
    elif kind is apsw.BindingsError:
        message = _binding_message(message)
    return Failed(_CLASSES.get(kind, "OperationalError"), message, hint, _name(error), statement)


def _binding_message(message: str) -> str:
    """apsw's own, without the part about its internals."""
    return message.split("  Current offset")[0]


def _name(error: BaseException) -> str:
    """SQLite's name of the error's extended code, or empty."""
    code = getattr(error, "extendedresult", 0) or getattr(error, "result", 0)
    name = apsw.mapping_extended_result_codes.get(code) or apsw.mapping_result_codes.get(code & 255)
    return name if code and isinstance(name, str) else ""
