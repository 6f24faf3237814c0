"""A read of the schema, without the tables of the replica itself.

Each data file has a few tables of its own (`quorate_...`). A tool that lists tables, copies or compares a schema must
not meet them. SQLite cannot hide a table, so a read that names the schema reads a subquery in its place. The schema of
temporary objects is an empty one: there are none.
"""

import re

from quorate.sql.tokens import NAME, STRING, WORD, Token, tokens, unquoted

_MAIN = frozenset({"sqlite_master", "sqlite_schema"})
_TEMPORARY = frozenset({"sqlite_temp_master", "sqlite_temp_schema"})
_TABLE_LIST = "pragma_table_list"
_MENTIONED = re.compile(r"sqlite_(?:temp_)?(?:master|schema)|pragma_table_list", re.IGNORECASE | re.ASCII)
_CLAUSES = frozenset({"FROM", "SELECT", "WHERE", "BY", "HAVING", "VALUES"})
_ENDS = frozenset(
    {
        "", ")", ",", ";", "CROSS", "EXCEPT", "FULL", "GROUP", "HAVING", "INNER", "INTERSECT", "JOIN", "LEFT", "LIMIT",
        "NATURAL", "ON", "ORDER", "RIGHT", "UNION", "USING", "WHERE", "WINDOW",
    }
)  # fmt: skip
"""What may follow a table that has no alias."""
OURS = "lower(substr({}, 1, 8)) = 'quorate_'"
"""Whether a name is one of the replica's."""


def without_ours(sql: str) -> str:
    """The same SELECT without the replica's own tables, wherever it names the schema as a table."""
    if not _MENTIONED.search(sql):
        return sql
    found = list(tokens(sql))
    pieces: list[str] = []
    end = 0
    for at, (kind, text, first, behind) in enumerate(found):
        name = unquoted(kind, text).lower() if kind in (WORD, NAME, STRING) else ""
        if name not in _MAIN and name not in _TEMPORARY and name != _TABLE_LIST:
            continue
        schema, start, before = "", first, at
        if at >= 2 and found[at - 1][1] == ".":
            schema, start, before = unquoted(*found[at - 2][:2]).lower(), found[at - 2][2], at - 2
        after = found[at + 1][1] if at + 1 < len(found) else ""
        if schema not in ("", "main", "temp") or after in (".", "(") or not _names_table(found, before):
            continue
        alias = f' AS "{name}"' if after in _ENDS else ""
        pieces += [sql[end:start], _instead(name, temporary=schema == "temp"), alias]
        end = behind
    return "".join(pieces) + sql[end:]


def _names_table(found: list[Token], at: int) -> bool:
    """Whether a table is named at this place: behind FROM or JOIN, or after a comma in a FROM clause."""
    previous = found[at - 1][1] if at else ""
    if previous != ",":
        return previous in ("FROM", "JOIN")
    depth = 0
    for _, text, _, _ in reversed(found[: at - 1]):
        depth += {")": 1, "(": -1}.get(text, 0)
        if depth < 0 or (depth == 0 and text in _CLAUSES):
            return text == "FROM"
    return False


def _instead(name: str, *, temporary: bool) -> str:
    if name == _TABLE_LIST:
        return f"(SELECT * FROM pragma_table_list WHERE schema <> 'temp' AND NOT {OURS.format('name')})"  # noqa: S608
    none = "0" if temporary or name in _TEMPORARY else f"NOT {OURS.format('tbl_name')}"
    return f"(SELECT type, name, tbl_name, rootpage, sql FROM main.sqlite_schema WHERE {none})"  # noqa: S608


def table_list(schema: str, table: str) -> str:
    """What PRAGMA table_list gives, without the replica's own tables."""
    conditions = [f"NOT {OURS.format('name')}", "schema <> 'temp'"]
    for column, value in (("schema", schema), ("name", table)):
        if value:
            conditions.append(f"{column} = '{value.replace(chr(39), chr(39) * 2)}' COLLATE NOCASE")
    return f"SELECT * FROM pragma_table_list WHERE {' AND '.join(conditions)}"  # noqa: S608 - quoted above
