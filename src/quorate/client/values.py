"""Parameters on their way in, checked before anything is sent; PEP 249's types and constructors.

SQLite holds NULL, 64-bit integers, floats, text and bytes. Everything else is the program's to convert: a
database that guesses how to store a date gives it back as something else.
"""

import datetime as dt
import decimal
from collections.abc import Iterable, Mapping
from typing import Any

from quorate.client.checks import check_text
from quorate.core.statements import Parameters, Value
from quorate.errors import DataError, ProgrammingError

INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**63 - 1

_HINTS: dict[type, str] = {
    dt.datetime: "pass value.isoformat(), or value.timestamp() for a number",
    dt.date: "pass value.isoformat()",
    dt.time: "pass value.isoformat()",
    dt.timedelta: "pass value.total_seconds()",
    decimal.Decimal: "pass str(value), or an integer number of the smallest unit",
    list: "pass one value for each ?; json.dumps(value) stores a list as text",
    tuple: "pass one value for each ?; json.dumps(value) stores it as text",
    dict: "json.dumps(value) stores it as text",
    set: "pass one value for each ?",
}


def check_parameters(parameters: object) -> Parameters:
    """One set of parameters as it travels. Raises DataError naming the parameter, or ProgrammingError."""
    if type(parameters) is tuple or type(parameters) is list:
        values: list[Value] = []
        for value in parameters:
            if type(value) is str and value.isascii():
                values.append(value)
            else:
                values.append(check_value(value, len(values) + 1))
        return tuple(values)
    if isinstance(parameters, Mapping):
        return {_name(key): check_value(value, f":{key}") for key, value in parameters.items()}
    if isinstance(parameters, str | bytes | bytearray | set | frozenset) or not isinstance(parameters, Iterable):
        raise ProgrammingError(
            f"parameters are a sequence or a dict, not {type(parameters).__name__}",
            hint="for a single parameter write (value,)",
        )
    return tuple(check_value(value, number) for number, value in enumerate(parameters, 1))


def _name(key: object) -> str:
    if not isinstance(key, str):
        raise ProgrammingError(f"the name of a parameter is text, not {type(key).__name__}")
    return check_text(key, "the name of a parameter")


def check_value(value: object, where: int | str) -> Value:
    """A value that SQLite can hold. `where` is the parameter's number or name. Raises DataError."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _checked_text(value, where)  # type: ignore[attr-defined, arg-type, return-value]
    if kind is int:
        return _checked_integer(value, where)  # type: ignore[arg-type]
    if value is None or kind is float or kind is bytes:
        return value  # type: ignore[return-value]
    if isinstance(value, bool | int):
        return _checked_integer(int(value), where)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return _checked_text(str.__str__(value), where)
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    hint = next((_HINTS[base] for base in kind.__mro__ if base in _HINTS), "")
    name = kind.__name__
    if not hint:
        if kind.__module__ != "builtins":  # numpy's bool is no bool
            name = f"{kind.__module__}.{name}"
        hint = "pass value.item()" if hasattr(value, "item") else "it holds None, int, float, str and bytes"
    raise DataError(f"parameter {where} has type {name}, which SQLite cannot hold", hint=hint)


def _checked_integer(value: int, where: int | str) -> int:
    if not INTEGER_MIN <= value <= INTEGER_MAX:
        raise DataError(f"parameter {where} is an integer beyond 64 bits", hint="store it as text or bytes")
    return value


def _checked_text(value: str, where: int | str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise DataError(f"parameter {where} is text with a lone surrogate, which is not UTF-8") from None
    return value


# --------------------------------------------------------------------------------------------------
# PEP 249
# --------------------------------------------------------------------------------------------------


class TypeObject:
    """Compares equal to the declared types that belong to it, as PEP 249 asks of type objects."""

    def __init__(self, name: str, *parts: str) -> None:
        self.name = name
        self._parts = parts

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            upper = other.upper()
            return any(part in upper for part in self._parts)
        return self is other

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"quorate.{self.name}"


STRING = TypeObject("STRING", "CHAR", "CLOB", "TEXT")
BINARY = TypeObject("BINARY", "BLOB", "BINARY")
NUMBER = TypeObject("NUMBER", "INT", "REAL", "FLOA", "DOUB", "NUMERIC", "DECIMAL", "BOOL")
DATETIME = TypeObject("DATETIME", "DATE", "TIME")
ROWID = TypeObject("ROWID", "INTEGER")

Binary = bytes


def Date(year: int, month: int, day: int) -> str:  # noqa: N802 - the name PEP 249 asks for
    """A date as SQLite's own functions read it."""
    return dt.date(year, month, day).isoformat()


def Time(hour: int, minute: int, second: int) -> str:  # noqa: N802 - the name PEP 249 asks for
    """A time of day as SQLite's own functions read it."""
    return dt.time(hour, minute, second).isoformat()


def Timestamp(  # noqa: N802 - the name PEP 249 asks for
    year: int, month: int, day: int, hour: int, minute: int, second: int
) -> str:
    """A moment as SQLite's own functions read it."""
    moment = dt.datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - PEP 249 gives it no zone
    return moment.isoformat(" ")


def DateFromTicks(ticks: float) -> str:  # noqa: N802 - the name PEP 249 asks for
    """The UTC date of a number of seconds since 1970."""
    return _utc(ticks).date().isoformat()


def TimeFromTicks(ticks: float) -> str:  # noqa: N802 - the name PEP 249 asks for
    """The UTC time of day of a number of seconds since 1970."""
    return _utc(ticks).time().isoformat()


def TimestampFromTicks(ticks: float) -> str:  # noqa: N802 - the name PEP 249 asks for
    """The UTC moment of a number of seconds since 1970."""
    return _utc(ticks).replace(tzinfo=None).isoformat(" ")


def _utc(ticks: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(ticks), dt.UTC)


def as_statement_sets(sets: Any) -> tuple[Parameters, ...]:
    """The sets of an `executemany`, checked; errors say which set. Raises DataError or ProgrammingError."""
    checked: list[Parameters] = []
    if not isinstance(sets, Iterable):
        raise ProgrammingError(f"sets are a list of sequences or dicts, not {type(sets).__name__}")
    for number, parameters in enumerate(sets):
        try:
            checked.append(check_parameters(parameters))
        except (DataError, ProgrammingError) as error:
            plain = error.args[0] if error.args else ""
            raise type(error)(f"set {number}: {plain}", hint=error.hint) from None
    return tuple(checked)
