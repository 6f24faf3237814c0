"""What the generator knows of a database, and what a drawn statement would change about that."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

Value = None | int | float | str | bytes
Parameters = tuple[Value, ...]


def quoted(name: str) -> str:
    """A name as it stands in SQL."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    type: str = ""
    written: bool = True
    """False for generated columns: nobody writes them."""
    source: str = ""
    """An expression that a foreign key of this column likely accepts."""

    @property
    def sql(self) -> str:
        """Its name, quoted."""
        return quoted(self.name)


@dataclass(frozen=True)
class Table:
    """A table, a virtual table or a view, as far as statements must know it."""

    name: str
    columns: tuple[Column, ...]
    kind: str = "table"
    """table, view, fts, rtree."""
    key: tuple[str, ...] = ()
    rowid: str = ""
    """What names the rowid; empty where there is none to name."""
    targets: tuple[str, ...] = ()
    """What ON CONFLICT may name."""
    strict: bool = False
    unique: tuple[str, ...] = ()
    """Columns, quoted, of which something must be unique: themselves, an expression of them, or of some rows."""
    features: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """Its name, quoted."""
        return quoted(self.name)

    @property
    def written(self) -> tuple[Column, ...]:
        """The columns that a statement may set."""
        return tuple(column for column in self.columns if column.written)

    @property
    def order(self) -> str:
        """Terms that put its rows in an order that depends on nothing else."""
        if self.rowid:
            return self.rowid
        return ", ".join(map(quoted, self.key)) or ", ".join(column.sql for column in self.columns)


@dataclass
class Catalog:
    """What is there, as far as anybody told."""

    tables: dict[str, Table] = field(default_factory=dict)
    indexes: dict[str, str] = field(default_factory=dict)
    """Name -> table."""
    triggers: dict[str, str] = field(default_factory=dict)
    numbers: int = 0
    """How many names were given out."""

    def name(self, prefix: str) -> str:
        """A name that nothing had before."""
        self.numbers += 1
        return f"{prefix}{self.numbers}"

    def of_kind(self, *kinds: str) -> list[Table]:
        """The tables of some kinds, in the order in which they came."""
        return [table for table in self.tables.values() if table.kind in kinds]

    def any_table(self, rng: Random, *kinds: str) -> Table | None:
        """One of these kinds, or None."""
        found = self.of_kind(*kinds)
        return rng.choice(found) if found else None

    def add(self, table: Table) -> None:
        """There is a new table."""
        self.tables[table.name] = table

    def drop(self, name: str) -> None:
        """A table or view is gone, and what hung on it."""
        self.tables.pop(name, None)
        self.indexes = {index: table for index, table in self.indexes.items() if table != name}
        self.triggers = {trigger: table for trigger, table in self.triggers.items() if table != name}

    def rename(self, old: str, new: str) -> None:
        """A table has another name."""
        if old in self.tables:
            self.tables = {
                (new if name == old else name): (replace(table, name=new) if name == old else table)
                for name, table in self.tables.items()
            }
            self.indexes = {index: new if table == old else table for index, table in self.indexes.items()}
            self.triggers = {trigger: new if table == old else table for trigger, table in self.triggers.items()}

    def learn(self, drawn: "Drawn") -> None:
        """This statement worked."""
        if drawn.then is not None:
            drawn.then(self)


@dataclass(frozen=True)
class Drawn:
    """One statement, with what it exercises and what it would change about the catalog."""

    sql: str
    sets: tuple[Parameters, ...] = ((),)
    many: bool = False
    features: tuple[str, ...] = ()
    then: Callable[[Catalog], None] | None = None


@dataclass(frozen=True)
class Request:
    """What one caller asks for, all of it or nothing."""

    statements: tuple[Drawn, ...]
    held: bool = False
    """Run as an interactive transaction: a statement that fails leaves the earlier ones."""
    load: bool = False
    """With triggers and foreign keys off, as an import."""
