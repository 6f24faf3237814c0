"""CREATE TABLE and CREATE INDEX: every kind of key, column and constraint."""

from dataclasses import replace
from random import Random

from quorate.lab.sql.shape import Catalog, Column, Drawn, Table, quoted
from quorate.lab.sql.values import literal, typed
from quorate.lab.sql.weights import ACTIONS, CLAUSES, KEYS, STRICT_TYPES, TYPES, chance, pick

_NAMES = ("a", "b", "c", "d", "e", "f", "g")
_ODD_NAMES = ("rowid", "oid", "_rowid_", "a b", "select", "É", 'q"q', "Key")
_ALIASES = ("_rowid_", "rowid", "oid")
WIDE = (30, 30, 30, 130, 130, 130, 500, 1_000, 1_999, 2_000)
"""How many columns a wide table may have; SQLite takes 2,000 at most."""


class _Writer:
    """One CREATE TABLE under way."""

    def __init__(self, rng: Random, catalog: Catalog, name: str) -> None:
        self.rng = rng
        self.catalog = catalog
        self.name = name
        self.strict = chance(rng, 12)
        self.columns: list[Column] = []
        self.terms: list[str] = []
        self.constraints: list[str] = []
        self.features: set[str] = {"STRICT"} if self.strict else set()
        self.targets: list[str] = []
        self.unique: list[str] = []
        self.key: tuple[str, ...] = ()
        self.no_rowid = False
        self.whole_rowid = ""
        """The column that is the rowid."""

    # ---- columns

    def type(self) -> str:
        return pick(self.rng, STRICT_TYPES if self.strict else TYPES)

    def clause(self, percent: float = 30) -> str:
        """ON CONFLICT of a constraint, sometimes."""
        if not chance(self.rng, percent):
            return ""
        kind = pick(self.rng, {name: weight for name, weight in CLAUSES.items() if name})
        self.features.add(f"declared ON CONFLICT {kind}")
        return f" ON CONFLICT {kind}"

    def collation(self, type_: str) -> str:
        if type_ not in ("TEXT", "", "ANY", "VARCHAR(9)") or not chance(self.rng, 25):
            return ""
        name = self.rng.choice(("NOCASE", "RTRIM", "BINARY", "NOCASE"))
        self.features.add(f"COLLATE {name}")
        return f" COLLATE {name}"

    def add_column(self, name: str) -> None:
        rng, type_ = self.rng, self.type()
        column = Column(name, type_)
        text = f"{column.sql} {type_}".rstrip() + self.collation(type_)
        if chance(rng, 12):
            text += " NOT NULL" + self.clause()
            text += f" DEFAULT {literal(typed(rng, Column('', type_ or 'INT')))}" if chance(rng, 70) else ""
        elif chance(rng, 12):
            text += f" DEFAULT {rng.choice((literal(typed(rng, column)), '(1 + 1)', '(lower(1))'))}"
        if chance(rng, 16):
            text += " UNIQUE" + self.clause()
            self.targets.append(column.sql)
            self.features.add("UNIQUE")
        if chance(rng, 5):
            text += f" CHECK (length({column.sql}) < {rng.randrange(3, 30)})"
            self.features.add("CHECK")
        self.columns.append(column)
        self.terms.append(text)

    def add_generated(self) -> None:
        rng, of = self.rng, self.rng.choice(self.columns)
        stored = chance(rng, 50)
        name = self.catalog.name("g")
        text = rng.choice(("length({0})", "abs({0})", "{0} || '-'", "coalesce({0}, 0) + 1", "typeof({0})", "-{0}"))
        type_ = "ANY " if self.strict else ""
        sql = f"{quoted(name)} {type_}AS ({text.format(of.sql)}) {'STORED' if stored else 'VIRTUAL'}"
        if chance(rng, 20):
            sql += " UNIQUE"
            self.unique.append(of.sql)
            self.features.add("UNIQUE generated column")
        self.features.add("STORED column" if stored else "VIRTUAL column")
        at = rng.randrange(len(self.columns) + 1)
        self.columns.insert(at, Column(name, written=False))
        self.terms.insert(at, sql)

    # ---- keys

    def add_key(self, kind: str) -> None:
        self.features.add(f"key: {kind}")
        if kind == "none":
            return
        if kind == "composite":
            self._composite()
            return
        name = self.rng.choice(("id", "id", "k", "Key", "rowid"))
        clause = self.clause(25)
        self.columns.insert(0, Column(name, {"int": "INT", "untyped": ""}.get(kind, kind.upper())))
        self.key = (name,)
        sql = quoted(name)
        if kind in ("integer", "autoincrement"):
            text = f"{sql} INTEGER PRIMARY KEY{clause}{' AUTOINCREMENT' if kind == 'autoincrement' else ''}"
            self.columns[0] = Column(name, "INTEGER")
            self.whole_rowid = name
            self.no_rowid = kind == "integer" and chance(self.rng, 6)
        elif kind == "integer desc":
            text = f"{sql} INTEGER PRIMARY KEY DESC{clause}"
            self.columns[0] = Column(name, "INTEGER")
        else:
            type_ = ("ANY" if self.strict else "") if kind == "untyped" else kind.upper()
            not_null = " NOT NULL" if chance(self.rng, 20) else ""
            text = f"{sql} {type_}{self.collation(type_)} PRIMARY KEY{clause}{not_null}"
            self.no_rowid = chance(self.rng, 40)
        self.terms.insert(0, text)
        self.targets.append(sql)

    def _composite(self) -> None:
        usable = [column for column in self.columns if column.written]
        key = self.rng.sample(usable, min(len(usable), self.rng.randrange(1, 4)))
        self.key = tuple(column.name for column in key)
        collations = ("", "", "", " COLLATE NOCASE", " DESC")
        terms = ", ".join(column.sql + self.rng.choice(collations) for column in key)
        self.constraints.append(f"PRIMARY KEY ({terms}){self.clause(25)}")
        self.no_rowid = chance(self.rng, 50)
        self.targets.append(", ".join(column.sql for column in key))
        if len(key) == 1 and key[0].type == "INTEGER" and not self.no_rowid and "DESC" not in terms:
            self.whole_rowid = key[0].name

    def finish(self) -> Drawn:
        ending = []
        if self.no_rowid:
            self.features.add("WITHOUT ROWID")
            ending.append("WITHOUT ROWID")
        if self.strict:
            ending.append("STRICT")
        taken = {column.name.lower() for column in self.columns}
        free = [alias for alias in _ALIASES if alias not in taken]
        rowid = quoted(self.whole_rowid) if self.whole_rowid else self.rng.choice(free) if free else ""
        table = Table(
            self.name,
            tuple(self.columns),
            key=self.key,
            rowid="" if self.no_rowid else rowid,
            targets=tuple(self.targets),
            unique=(*self.unique, *self.targets),
            strict=self.strict,
            features=tuple(sorted(self.features)),
        )
        exists = "IF NOT EXISTS " if chance(self.rng, 5) else ""
        terms = ", ".join((*self.terms, *self.constraints))
        sql = f"CREATE TABLE {exists}{quoted(self.name)}({terms}) {', '.join(ending)}".rstrip()
        return Drawn(sql, features=("CREATE TABLE", *table.features), then=lambda catalog: catalog.add(table))


def draw_table(rng: Random, catalog: Catalog) -> Drawn:
    """An ordinary table of a few columns."""
    writer = _Writer(rng, catalog, rng.choice(("t", "T ", "x")) + catalog.name(""))
    names = list(_NAMES[: rng.randrange(1, 6)])
    if chance(rng, 9):
        for at, name in enumerate(rng.sample(_ODD_NAMES, min(len(names), rng.choice((1, 1, 2, 3))))):
            names[at] = name
        writer.features.add("odd column names")
    kind = pick(rng, KEYS)
    for name in names:
        writer.add_column(name)
    while chance(rng, 18):
        writer.add_generated()
    if kind == "none" or chance(rng, 70):
        parent = catalog.any_table(rng, "table")
        if parent is not None and chance(rng, 15):
            _refer(writer, parent)
    writer.add_key(kind)
    if chance(rng, 10):
        usable = [column.sql for column in writer.columns if column.written]
        unique = ", ".join(rng.sample(usable, min(2, len(usable))))
        writer.constraints.insert(0, f"UNIQUE ({unique}){writer.clause(25)}")
        writer.targets.append(unique)
    return writer.finish()


def _refer(writer: _Writer, parent: Table) -> None:
    """A foreign key to some table that is there (or to itself)."""
    rng = writer.rng
    target = (parent.targets or ("",))[0]
    if "," in target or not target:
        return
    source = f"(SELECT {rng.choice(('min', 'max'))}({target}) FROM {parent.sql})"
    own = Column(writer.catalog.name("r"), "INT" if not writer.strict else "ANY", source=source)
    text = f"{own.sql} {own.type} REFERENCES {parent.sql}({target})"
    for event in ("DELETE", "UPDATE"):
        action = pick(rng, ACTIONS)
        if action:
            text += f" ON {event} {action}"
            writer.features.add(f"ON {event} {action}")
    if chance(rng, 30):
        text += " DEFERRABLE INITIALLY DEFERRED"
        writer.features.add("DEFERRABLE")
    writer.features.add("REFERENCES")
    writer.columns.append(own)
    writer.terms.append(text)


def draw_family(rng: Random, catalog: Catalog) -> list[Drawn]:
    """A parent, and one or two children that refer to it."""
    parent = draw_table(rng, catalog)
    while not _parent(parent).targets:
        parent = draw_table(rng, catalog)
    found = [parent]
    for _ in range(rng.randrange(1, 3)):
        writer = _Writer(rng, catalog, catalog.name("child"))
        for name in _NAMES[: rng.randrange(1, 3)]:
            writer.add_column(name)
        _refer(writer, _parent(parent))
        writer.add_key(rng.choice(("none", "integer", "text", "composite")))
        found.append(writer.finish())
    return found


def _parent(drawn: Drawn) -> Table:
    """The table that this statement would make."""
    trial = Catalog()
    trial.learn(drawn)
    return next(iter(trial.tables.values()))


def draw_wide(rng: Random, catalog: Catalog) -> Drawn:
    """A table of up to 2,000 columns, with a hidden rowid, an integer key or none."""
    name, width = catalog.name("wide"), rng.choice(WIDE)
    columns = tuple(Column(f"c{at}") for at in range(width))
    terms = [column.name for column in columns]
    kind = rng.choice(("none", "integer", "without rowid"))
    key: tuple[str, ...] = ()
    rowid, ending = "rowid", ""
    if kind == "integer":
        terms[0] += " INTEGER PRIMARY KEY"
        key, rowid = ("c0",), "c0"
    elif kind == "without rowid":
        terms.append("PRIMARY KEY (c0, c1)")
        key, rowid, ending = ("c0", "c1"), "", " WITHOUT ROWID"
    table = Table(name, columns, key=key, rowid=rowid, targets=(", ".join(key),) if key else ())
    features = ("wide table", "2,000 columns" if width == 2_000 else "wide table")
    sql = f"CREATE TABLE {name}({', '.join(terms)}){ending}"
    return Drawn(sql, features=features, then=lambda catalog: catalog.add(table))


def draw_index(rng: Random, catalog: Catalog, table: Table) -> Drawn:
    """An index: unique or not, partial or whole, over columns or expressions."""
    name = catalog.name("i")
    features = {"CREATE INDEX"}
    terms = []
    columns = rng.sample(table.columns, min(len(table.columns), rng.choice((1, 1, 1, 2, 3))))
    for column in columns:
        term = column.sql
        if chance(rng, 20):
            term = rng.choice(("abs({0})", "lower({0})", "length({0})", "coalesce({0}, 0)", "{0} || ''", "-{0}"))
            term = term.format(column.sql)
            features.add("expression index")
        if chance(rng, 20):
            term += f" COLLATE {rng.choice(('NOCASE', 'RTRIM', 'BINARY'))}"
        terms.append(term + rng.choice(("", "", " DESC")))
    unique = "UNIQUE " if chance(rng, 35) else ""
    if unique:
        features.add("unique expression index" if "expression index" in features else "UNIQUE INDEX")
    partial = ""
    if chance(rng, 25):
        column = rng.choice(table.columns)
        partial = " WHERE " + rng.choice(("{0} IS NOT NULL", "{0} > 3", "typeof({0}) = 'text'", "{0} < 5")).format(
            column.sql
        )
        features.add("unique partial index" if unique else "partial index")
    sql = f"CREATE {unique}INDEX {name} ON {table.sql}({', '.join(terms)}){partial}"
    plain = unique and not partial and len(terms) == 1 and " " not in terms[0] and "(" not in terms[0]

    def then(catalog: Catalog) -> None:
        catalog.indexes[name] = table.name
        known = catalog.tables.get(table.name)
        if unique and known is not None:
            targets = (*known.targets, terms[0]) if plain else known.targets
            every = (*known.unique, *(column.sql for column in columns))
            catalog.tables[table.name] = replace(known, targets=targets, unique=every)

    return Drawn(sql, features=tuple(sorted(features)), then=then)
