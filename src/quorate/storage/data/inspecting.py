"""Everything that a data file holds, typed and with rowids, and what is wrong with it: for whoever compares files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import apsw

from quorate.sql.tokens import quoted
from quorate.storage.data.guard import RESERVED

Contents = dict[str, list[Any]]
_COLUMNS_AT_ONCE = 400
_ALIASES = ("_rowid_", "rowid", "oid")
_OURS = f"substr({{0}}, 1, {len(RESERVED)}) <> '{RESERVED}'"


def typed(rows: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Rows whose floats are equal only when they are written alike: 0.0 is not -0.0, nor 1.0 one."""
    return [tuple([repr(value) if type(value) is float else value for value in row]) for row in rows]


class Inspection:
    """A copy in memory of a database's committed state, taken from its file or from a connection."""

    def __init__(self, source: str | Path | apsw.Connection) -> None:
        opened = None if isinstance(source, apsw.Connection) else apsw.Connection(str(source))
        origin = opened if opened is not None else source
        assert isinstance(origin, apsw.Connection)
        self._copy = apsw.Connection(":memory:")
        with self._copy.backup("main", origin, "main") as backup:
            backup.step(-1)
        if opened is not None:
            opened.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            opened.close()

    def close(self) -> None:
        """The copy is gone."""
        self._copy.close(force=True)

    def _rows(self, sql: str, *parameters: str) -> list[Any]:
        return self._copy.execute(sql, parameters).fetchall()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """What a question gives."""
        return typed(self._rows(sql))

    def contents(self, *, inner: bool) -> Contents:
        """The answers to all questions. Where a table needs several, its rows are put together again."""
        found: Contents = {}
        for name, questions in self.questions(inner=inner).items():
            parts = [self.ask(sql) for sql in questions]
            found[name] = parts[0] if len(parts) == 1 else [sum(each, ()) for each in zip(*parts, strict=True)]
        return found

    def questions(self, *, inner: bool) -> dict[str, tuple[str, ...]]:
        """What to ask this database, or one that should be like it, about its schema and every row of every table.
        `inner`: also about the tables behind virtual tables, and the order in which the schema came about."""
        order = "rowid" if inner else "type, name"
        ours = _OURS.format("tbl_name")
        schema = f"SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE {ours} ORDER BY {order}"  # noqa: S608
        found: dict[str, tuple[str, ...]] = {"schema": (schema,)}
        listed = self._rows("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' ORDER BY name")
        shadows = ", ".join(f"'{name}'" for name, kind, _ in listed if kind == "shadow" and "'" not in name)
        skipped = "" if inner else f" AND tbl NOT IN ({shadows})"
        for name, kind, no_rowid in listed:
            if kind not in (("table", "shadow") if inner else ("table",)) or name.startswith(RESERVED):
                continue
            if name == "sqlite_sequence":
                found[name] = ("SELECT name, seq FROM sqlite_sequence ORDER BY name, seq",)
            elif name.startswith("sqlite_stat"):
                rows = f"SELECT * FROM {name} WHERE {_OURS.format('tbl')}{skipped}"  # noqa: S608
                found[name] = (f"{rows} ORDER BY tbl, idx{', sample' if name == 'sqlite_stat4' else ''}",)
            elif name != "sqlite_schema":
                found[name] = tuple(self._of_table(name, no_rowid=bool(no_rowid)))
        if self._references_can_be_checked():
            # SQLite goes through the tables in the order of a hash, which hangs on how many there are.
            check = 'SELECT "table", rowid, parent, fkid FROM pragma_foreign_key_check ORDER BY 1, 2, 3, 4'
            found["broken references"] = (check,)
        found["user_version"] = ("PRAGMA user_version",)
        found["application_id"] = ("PRAGMA application_id",)
        return found

    def _references_can_be_checked(self) -> bool:
        """Not when a foreign key refers to what is not unique."""
        try:
            self._rows("PRAGMA foreign_key_check")
        except apsw.SQLError:
            return False
        return True

    def _of_table(self, name: str, *, no_rowid: bool) -> list[str]:
        columns = self._rows("SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid", name)
        key = [quoted(column) for _, column in sorted((place, column) for column, place in columns if place)]
        taken = {column.lower() for column, _ in columns}
        rowid = "" if no_rowid else next((alias for alias in _ALIASES if alias not in taken), "")
        order = rowid or ", ".join(key) or "1"
        shown = [f"typeof({each}), iif(typeof({each}) = 'text', CAST({each} AS BLOB), {each})"
                 for each in (quoted(column) for column, _ in columns)]  # fmt: skip
        source = f"FROM {quoted(name)} ORDER BY {order}"
        parts = [", ".join(shown[at : at + _COLUMNS_AT_ONCE]) for at in range(0, len(shown), _COLUMNS_AT_ONCE)]
        return [f"SELECT {part} {source}" for part in ([rowid] if rowid else []) + parts]

    def problems(self) -> dict[str, str]:
        """What is wrong: of the file itself under "file", of a virtual table under its name."""
        found: dict[str, str] = {}
        for (line,) in self._rows("PRAGMA integrity_check(30)"):
            if line == "ok":
                continue
            virtual = next((word for word in ("FTS", "RTree", "rtree") if word in line), "")
            found.setdefault(line.rsplit(" ", 1)[-1].removeprefix("main.") if virtual else "file", line)
        for name, sql in self._rows("SELECT name, sql FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"):
            module = sql.lower().split(" using ")[1]
            if module.startswith("fts"):
                self._check_fts(name, found)
            elif module.startswith("rtree"):
                (line,) = self._rows("SELECT rtreecheck(?)", name)[0]
                if line != "ok":
                    found[name] = line
        return found

    def _check_fts(self, name: str, found: dict[str, str]) -> None:
        try:
            self._rows(f"INSERT INTO {quoted(name)}({quoted(name)}) VALUES ('integrity-check')")  # noqa: S608
        except apsw.Error as error:
            found[name] = f"{name}: {error}"
