"""Everything that a data file holds, typed and with rowids, and what is wrong with it: for whoever compares files."""

from pathlib import Path
from typing import Any

import apsw

from quorate.sql.tokens import quoted
from quorate.storage.guard import RESERVED

Contents = dict[str, list[Any]]
_COLUMNS_AT_ONCE = 400
_ALIASES = ("_rowid_", "rowid", "oid")


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

    def contents(self, *, inner: bool) -> Contents:
        """The schema, and every row of every table. `inner`: also the tables behind virtual tables, and in which
        order the schema came about."""
        found: Contents = {}
        schema = self._rows("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid")
        schema = [row for row in schema if not row[2].startswith(RESERVED)]
        found["schema"] = schema if inner else sorted(schema, key=repr)
        listed = self._rows("SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' ORDER BY name")
        for name, kind, no_rowid in listed:
            if kind not in (("table", "shadow") if inner else ("table",)) or name.startswith(RESERVED):
                continue
            if name == "sqlite_sequence":
                found[name] = self._rows("SELECT name, seq FROM sqlite_sequence ORDER BY name, seq")
            elif name.startswith("sqlite_stat"):
                rows = self._rows(f"SELECT * FROM {name}")  # noqa: S608
                found[name] = sorted((row for row in rows if not row[0].startswith(RESERVED)), key=repr)
            elif name != "sqlite_schema":
                found[name] = self._table(name, no_rowid=bool(no_rowid))
        found["broken references"] = self._rows("PRAGMA foreign_key_check")
        found["header"] = self._rows("PRAGMA user_version") + self._rows("PRAGMA application_id")
        return found

    def _table(self, name: str, *, no_rowid: bool) -> list[Any]:
        columns = self._rows("SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid", name)
        key = [quoted(column) for _, column in sorted((place, column) for column, place in columns if place)]
        taken = {column.lower() for column, _ in columns}
        order = next((alias for alias in _ALIASES if alias not in taken), "") if not no_rowid else ", ".join(key)
        first = [] if no_rowid or not order else [[(row[0],) for row in self._numbers(name, order)]]
        order = order or ", ".join(key) or "1"
        parts = [
            self._part(name, columns[at : at + _COLUMNS_AT_ONCE], order)
            for at in range(0, len(columns), _COLUMNS_AT_ONCE)
        ]
        return [sum(each, ()) for each in zip(*first, *parts, strict=True)]

    def _numbers(self, name: str, order: str) -> list[Any]:
        return self._rows(f"SELECT {order} FROM {quoted(name)} ORDER BY {order}")  # noqa: S608

    def _part(self, name: str, columns: list[Any], order: str) -> list[tuple[Any, ...]]:
        shown = []
        for column, _ in columns:
            each = quoted(column)
            shown.append(f"typeof({each}), iif(typeof({each}) = 'text', CAST({each} AS BLOB), {each})")
        rows = self._rows(f"SELECT {', '.join(shown)} FROM {quoted(name)} ORDER BY {order}")  # noqa: S608
        return [tuple(repr(value) if type(value) is float else value for value in row) for row in rows]

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
