"""The functions of SQL that Django's statements for SQLite call, with Django's results and without Django.

Each is given what SQLite holds. `FUNCTIONS` and `AGGREGATES` name those that every node has; `regexp` is apart, for a
regular expression can run for hours and nothing can end it, so it is only for a program's own folder.
"""

import datetime as dt
import hashlib
import math
import re
from collections.abc import Callable
from typing import Any

TEXT_MAX = 1 << 24
"""Characters that LPAD, RPAD and REPEAT may make."""

_OFFSET = re.compile(r"\d{1,2}:\d{1,2}(?::\d{1,2}(?:[.,]\d{1,12})?)?|\d{1,2}")


# ------------------------------------------------------------------ moments


def _date(text: str) -> dt.date:
    year, month, day = map(int, text.split("-"))
    return dt.date(year, month, day)


def _time(text: str) -> dt.time:
    hour, minute, second = text.split(":")
    whole, _, fraction = second.partition(".")
    return dt.time(int(hour), int(minute), int(whole), int((fraction + "000000")[:6]))


def _timestamp(text: str) -> Any:
    """A date, or a moment without the zone that the text may name; None for an empty text."""
    if not text:
        return None
    if " " not in text:
        return _date(text)
    day, clock = text.split()
    clock = clock.partition("-" if "-" in clock else "+")[0]
    return dt.datetime.combine(_date(day), _time(clock))


def _zone(name: str) -> dt.tzinfo:
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def _split_zone(zone: str) -> tuple[str, str, str]:
    """The name of a zone, and the sign and amount of what is added to it."""
    for sign in "+-":
        name, found, offset = zone.rpartition(sign)
        if found and _OFFSET.fullmatch(offset):
            return name, sign, offset if ":" in offset else f"{offset}:00"
    return zone, "", ""


def _moment(value: Any, zone: str | None = None, own_zone: str | None = None) -> Any:
    """What a text in `own_zone` says in `zone`; None for what is no moment."""
    if value is None:
        return None
    try:
        moment = _timestamp(value)
    except (TypeError, ValueError):
        return None
    if own_zone:
        moment = moment.replace(tzinfo=_zone(own_zone))
    if zone is not None and zone != own_zone:
        name, sign, offset = _split_zone(zone)
        if offset:
            hours, minutes = offset.split(":")
            shift = dt.timedelta(hours=int(hours), minutes=int(minutes))
            moment += shift if sign == "+" else -shift
        moment = moment.astimezone(_zone(name or own_zone or ""))
    return moment


def _unknown(lookup: str) -> ValueError:
    return ValueError(f"Unsupported lookup type: {lookup!r}")


def _first_day(lookup: str, moment: Any) -> str | None:
    """The day on which the moment's year, quarter, month, week or day begins; None: it is none of those."""
    if lookup == "year":
        return f"{moment.year:04d}-01-01"
    if lookup == "quarter":
        return f"{moment.year:04d}-{moment.month - (moment.month - 1) % 3:02d}-01"
    if lookup == "month":
        return f"{moment.year:04d}-{moment.month:02d}-01"
    if lookup == "week":
        moment -= dt.timedelta(days=moment.weekday())
    elif lookup != "day":
        return None
    return f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"


def _clock(lookup: str, moment: Any) -> str | None:
    if lookup == "hour":
        return f"{moment.hour:02d}:00:00"
    if lookup == "minute":
        return f"{moment.hour:02d}:{moment.minute:02d}:00"
    if lookup == "second":
        return f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"
    return None


def date_trunc(lookup: str, value: Any, zone: str | None, own_zone: str | None) -> str | None:
    """The first day of the year, quarter, month, week or day."""
    moment = _moment(value, zone, own_zone)
    if moment is None:
        return None
    day = _first_day(lookup, moment)
    if day is None:
        raise _unknown(lookup)
    return day


def time_trunc(lookup: str, value: Any, zone: str | None, own_zone: str | None) -> str | None:
    """The time of day at which its hour, minute or second begins."""
    moment = _moment(value, zone, own_zone)
    if moment is None:
        if value is None:
            return None
        try:
            moment = _time(value)
        except (ValueError, TypeError, AttributeError):
            return None
    clock = _clock(lookup, moment)
    if clock is None:
        raise _unknown(lookup)
    return clock


def datetime_trunc(lookup: str, value: Any, zone: str | None, own_zone: str | None) -> str | None:
    """The moment at which its year ... second begins."""
    moment = _moment(value, zone, own_zone)
    if moment is None:
        return None
    day = _first_day(lookup, moment)
    if day is not None:
        return f"{day} 00:00:00"
    clock = _clock(lookup, moment)
    if clock is None:
        raise _unknown(lookup)
    return f"{_first_day('day', moment)} {clock}"


def cast_date(value: Any, zone: str | None, own_zone: str | None) -> str | None:
    """The day of a moment."""
    moment = _moment(value, zone, own_zone)
    return None if moment is None else str(moment.date().isoformat())


def cast_time(value: Any, zone: str | None, own_zone: str | None) -> str | None:
    """The time of day of a moment."""
    moment = _moment(value, zone, own_zone)
    return None if moment is None else str(moment.time().isoformat())


_PARTS: dict[str, Callable[[Any], int]] = {
    "week_day": lambda moment: (moment.isoweekday() % 7) + 1,
    "iso_week_day": lambda moment: int(moment.isoweekday()),
    "week": lambda moment: int(moment.isocalendar()[1]),
    "iso_year": lambda moment: int(moment.isocalendar()[0]),
    "quarter": lambda moment: math.ceil(moment.month / 3),
}
_FIELDS = frozenset({"year", "month", "day", "hour", "minute", "second", "microsecond"})


def datetime_extract(lookup: str, value: Any, zone: str | None = None, own_zone: str | None = None) -> int | None:
    """A part of a moment, such as its year."""
    moment = _moment(value, zone, own_zone)
    if moment is None:
        return None
    if lookup in _PARTS:
        return _PARTS[lookup](moment)
    if lookup not in _FIELDS:
        raise _unknown(lookup)
    return int(getattr(moment, lookup))


def time_extract(lookup: str, value: Any) -> int | None:
    """A part of a time of day."""
    if not value:
        return None
    try:
        moment = _time(value)
    except (ValueError, TypeError, AttributeError):
        return None
    if lookup not in _FIELDS:
        raise _unknown(lookup)
    return int(getattr(moment, lookup))


def _microseconds(span: dt.timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def time_diff(left: Any, right: Any) -> int | None:
    """Microseconds from one time of day to another."""
    if left is None or right is None:
        return None
    day = dt.date.min
    span = dt.datetime.combine(day, _time(left)) - dt.datetime.combine(day, _time(right))
    return _microseconds(span)


def timestamp_diff(left: Any, right: Any) -> int | None:
    """Microseconds from one moment to another."""
    if left is None or right is None:
        return None
    return _microseconds(_timestamp(left) - _timestamp(right))


def format_dtdelta(connector: str | None, left: Any, right: Any) -> Any:
    """A moment and a number of microseconds, combined."""
    if connector is None or left is None or right is None:
        return None
    connector = connector.strip()
    try:
        first, second = _operand(connector, left), _operand(connector, right)
    except (ValueError, TypeError):
        return None
    if connector == "+":
        return str(first + second)
    if connector == "-":
        return str(first - second)
    return first * second if connector == "*" else first / second


def _operand(connector: str, value: Any) -> Any:
    if connector not in ("+", "-"):
        return value
    return dt.timedelta(microseconds=value) if isinstance(value, int) else _timestamp(value)


# ------------------------------------------------------------------ text and numbers


def regexp(pattern: Any, text: Any) -> bool | None:
    """Whether a regular expression of Python's is found in a text. It may take for ever."""
    if pattern is None or text is None:
        return None
    return bool(re.search(pattern, text if isinstance(text, str) else str(text)))


def _may_make(length: int) -> None:
    if length > TEXT_MAX:
        raise ValueError(f"it would make more than {TEXT_MAX} characters")


def lpad(text: str, length: int, fill: str) -> str:
    """The text, filled at the left or cut to this length."""
    _may_make(length * max(1, len(fill)))
    missing = length - len(text)
    return text[:length] if missing <= 0 else (fill * length)[:missing] + text


def rpad(text: str, length: int, fill: str) -> str:
    """The text, filled at the right or cut to this length."""
    _may_make(length * max(1, len(fill)))
    return (text + fill * length)[:length]


def repeat(text: str, count: int) -> str:
    """The text, so many times."""
    _may_make(len(text) * count)
    return text * count


def _digest(name: str) -> Callable[[str], str]:
    return lambda text: hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()


def _unless_null(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: None if None in values else function(*values)


class Spread:
    """Variance or deviation of a group's numbers, in one pass; one without `samples` of a population."""

    def __init__(self, *, samples: bool, root: bool) -> None:
        self._samples, self._root = samples, root
        self._count, self._mean, self._squares = 0, 0.0, 0.0

    def step(self, value: Any) -> None:
        """One more; NULL is none."""
        if value is None:
            return
        self._count += 1
        delta = float(value) - self._mean
        self._mean += delta / self._count
        self._squares += delta * (float(value) - self._mean)

    def final(self) -> float | None:
        """NULL of too few."""
        divisor = self._count - 1 if self._samples else self._count
        if divisor < 1:
            return None
        variance = self._squares / divisor
        return math.sqrt(variance) if self._root else variance


FUNCTIONS: tuple[tuple[str, int, Callable[..., Any]], ...] = (
    ("django_date_extract", 2, datetime_extract),
    ("django_date_trunc", 4, date_trunc),
    ("django_datetime_cast_date", 3, cast_date),
    ("django_datetime_cast_time", 3, cast_time),
    ("django_datetime_extract", 4, datetime_extract),
    ("django_datetime_trunc", 4, datetime_trunc),
    ("django_time_extract", 2, time_extract),
    ("django_time_trunc", 4, time_trunc),
    ("django_time_diff", 2, time_diff),
    ("django_timestamp_diff", 2, timestamp_diff),
    ("django_format_dtdelta", 3, format_dtdelta),
    ("bitxor", 2, _unless_null(lambda left, right: left ^ right)),
    ("cot", 1, _unless_null(lambda value: 1 / math.tan(value))),
    ("lpad", 3, _unless_null(lpad)),
    ("rpad", 3, _unless_null(rpad)),
    ("repeat", 2, _unless_null(repeat)),
    ("reverse", 1, _unless_null(lambda text: text[::-1])),
    *((name, 1, _unless_null(_digest(name))) for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")),
)
"""Name, number of arguments and what computes it."""

AGGREGATES: tuple[tuple[str, Callable[[], Spread]], ...] = (
    ("stddev_pop", lambda: Spread(samples=False, root=True)),
    ("stddev_samp", lambda: Spread(samples=True, root=True)),
    ("var_pop", lambda: Spread(samples=False, root=False)),
    ("var_samp", lambda: Spread(samples=True, root=False)),
)
"""Of one argument each."""
