"""Values, as literals in the text or as parameters beside it."""

from random import Random

from quorate.lab.sql.shape import Column, Table, Value, quoted
from quorate.lab.sql.weights import VALUES, chance, pick

_TEXTS = (
    "",
    "a",
    "A",
    "a ",
    "b",
    "B",
    "bb",
    "1",
    "1.0",
    "2",
    " 1",
    "x'61'",
    "O'Brien",
    "é",
    "É",
    "😀",
    "word one",
    "%",
)
_REALS = (1.0, 2.0, 3.0, 1.5, -1.0, 0.1, 1e300, 9.2e18, float("inf"), 2.0**53)
_HUGE = (2**31, 2**53 + 1, 2**62, -(2**63), 2**40 + 7)
_BLOBS = (b"", b"a", b"\0", b"A", b"1", b"\xff\xfe", b"a" * 40)


def value(rng: Random, *, key: bool = False) -> Value:
    """Some value. `key`: one that any kind of key is likely to take, and none beyond which there is no rowid."""
    kind = pick(rng, VALUES)
    if key and kind in ("null", "huge", "not utf-8", "real", "blob") and chance(rng, 80):
        kind = "small"
    if kind == "small":
        return rng.randrange(-2, 12)
    if kind == "real":
        return rng.choice(_REALS)
    if kind == "text":
        return rng.choice(_TEXTS)
    if kind == "blob":
        return rng.choice(_BLOBS)
    if kind == "huge":
        return rng.choice(_HUGE)
    if kind == "zeroes":
        return rng.choice((0, 0.0, -0.0, "0", "-0.0"))
    if kind == "nul":
        return rng.choice(("a\0b", "\0", "a\0"))
    return None


def typed(rng: Random, column: Column) -> Value:
    """A value that this column is likely to take."""
    kind = column.type.upper()
    if chance(rng, 12):
        return value(rng)
    if "INT" in kind or kind in ("NUMERIC", "BOOLEAN"):
        return rng.choice(_HUGE) if chance(rng, 2) else rng.randrange(-2, 14)
    if kind == "REAL":
        return rng.choice((*_REALS, 0.0, -0.0, float(rng.randrange(9))))
    if kind in ("TEXT", "VARCHAR(9)"):
        return rng.choice((*_TEXTS, f"t{rng.randrange(20)}", "a\0b"))
    if kind == "BLOB":
        return rng.choice((*_BLOBS, bytes([rng.randrange(97, 110)])))
    return value(rng)


def literal(given: Value) -> str:
    """A value as it stands in SQL."""
    if given is None:
        return "NULL"
    if isinstance(given, bytes):
        return f"x'{given.hex()}'"
    if isinstance(given, str):
        if "\0" in given:
            return f"CAST(x'{given.encode().hex()}' AS TEXT)"
        return "'" + given.replace("'", "''") + "'"
    if isinstance(given, float):
        if given in (float("inf"), float("-inf")):
            return "9e999" if given > 0 else "-9e999"
        return repr(given)
    return str(given)


class Texts:
    """Writes a statement's values: some into its text, some as parameters, in the order of the text."""

    def __init__(self, rng: Random, *, binds: bool) -> None:
        self._rng = rng
        self._binds = binds
        self.parameters: list[Value] = []

    def put(self, given: Value) -> str:
        """A literal, or a mark whose parameter this is."""
        if self._binds and chance(self._rng, 60):
            self.parameters.append(float("nan") if given is None and chance(self._rng, 20) else given)
            return "?"
        return literal(given)

    def some(self, column: Column | None = None, *, key: bool = False) -> str:
        """A value, for a column if one is given."""
        if chance(self._rng, 1):
            return self._rng.choice(("CAST(x'ff' AS TEXT)", "CAST(x'6180' AS TEXT)", "zeroblob(5000)"))
        if column is not None and column.source and chance(self._rng, 70):
            return column.source
        if column is None or (key and column.type != "INTEGER"):
            return self.put(value(self._rng, key=key))
        if key and chance(self._rng, 97):
            return self.put(None if chance(self._rng, 20) else self._rng.randrange(-2, 30))
        return self.put(typed(self._rng, column))


def where(rng: Random, texts: Texts, table: Table) -> str:
    """A condition that few or many rows meet; never one that says so by chance alone."""
    column = rng.choice(table.columns)
    rowid = table.rowid
    kinds = ["equal", "equal", "equal", "range", "null", "in", "like", "or"]
    kinds += ["rowid", "rowid", "modulo"] if rowid else []
    kinds += ["match"] if table.kind == "fts" else []
    kind = rng.choice(kinds)
    if kind == "match":
        return f"{table.sql} MATCH {literal(rng.choice(('a', 'b', 'word', 'one', 'a OR b', 'w1')))}"
    if kind == "rowid":
        return f"{rowid} = {rng.randrange(1, 14)}"
    if kind == "modulo":
        return f"{rowid} % {rng.randrange(2, 5)} = {rng.randrange(2)}"
    if kind == "range":
        return f"{column.sql} {rng.choice(('<', '>', '>=', '<='))} {texts.some(column)}"
    if kind == "null":
        return f"{column.sql} IS {rng.choice(('NULL', 'NOT NULL'))}"
    if kind == "in":
        return f"{column.sql} IN ({', '.join(texts.some(column) for _ in range(rng.randrange(1, 4)))})"
    if kind == "like":
        return f"quote({column.sql}) LIKE '%{rng.choice('abt019')}%'"
    if kind == "or":
        other = rng.choice(table.columns)
        return f"({column.sql} = {texts.some(column)} OR {other.sql} IS {texts.some(other)})"
    return f"{column.sql} = {texts.some(column)}"


def expression(rng: Random, texts: Texts, column: Column, columns: tuple[Column, ...]) -> str:
    """What an UPDATE may set a column to."""
    other = rng.choice(columns)
    if chance(rng, 25):
        return texts.some(column)
    return rng.choice(
        (
            f"{column.sql} + 1", f"-{column.sql}", f"{column.sql} || 'x'", other.sql, f"CAST({column.sql} AS REAL)",
            f"upper({column.sql})", f"{column.sql} * 1.0", "NULL", f"-1 * {column.sql}", f"CAST({other.sql} AS BLOB)",
            f"lower({column.sql})",
        )
    )  # fmt: skip


__all__ = ["Texts", "expression", "literal", "quoted", "typed", "value", "where"]
