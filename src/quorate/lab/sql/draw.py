"""Drawing whole schemas, requests and batches."""

from random import Random

from quorate.lab.sql import alters, changes, tables, triggers, virtual
from quorate.lab.sql.shape import Catalog, Drawn, Request
from quorate.lab.sql.weights import REQUESTS, STATEMENTS, TABLES, chance, pick

_ODD = (
    "", "SELECT", "SELECT 1; SELECT 2", "INSERT INTO nowhere VALUES (1)", "PRAGMA page_size=512", "VACUUM",
    "ATTACH ':memory:' AS z", "DELETE FROM sqlite_sequence", "UPDATE sqlite_sequence SET seq = seq + 3",
    "DELETE FROM sqlite_stat1",
    "PRAGMA journal_mode=OFF", "CREATE TEMP TABLE z(a)", "INSERT INTO quorate_applied VALUES (1)",
    "CREATE TABLE w(k PRIMARY KEY, g AS (k * 2)) WITHOUT ROWID", "CREATE TABLE r(rowid, oid, _rowid_)",
)  # fmt: skip
"""What is wrong with every database, or refused by ours."""


class Drawer:
    """Draws statements for one database. The same random numbers and the same answers give the same statements."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.catalog = Catalog()

    def schema(self) -> list[Drawn]:
        """Statements that make some tables, with indexes, triggers and views: run one by one, and told by `learn`
        before the next is asked for. Drawn for a catalog that believes in what came before."""
        rng, catalog = self.rng, Catalog()
        found: list[Drawn] = []

        def keep(*drawn: Drawn | None) -> None:
            for each in drawn:
                if each is not None:
                    found.append(each)
                    catalog.learn(each)

        for _ in range(rng.choice((1, 2, 2, 3, 4))):
            keep(*self._tables(catalog))
        for _ in range(rng.choice((0, 1, 2, 3))):
            table = catalog.any_table(rng, "table")
            if table is not None:
                keep(tables.draw_index(rng, catalog, table))
        if chance(rng, 25):
            keep(triggers.draw_view(rng, catalog))
        for view in catalog.of_kind("view"):
            keep(*(triggers.draw_trigger(rng, catalog, view, event) for event in triggers.EVENTS))
        for _ in range(rng.choice((0, 0, 1, 2, 4))):
            table = catalog.any_table(rng, "table")
            if table is not None:
                keep(triggers.draw_trigger(rng, catalog, table))
        self.catalog.numbers = catalog.numbers
        return found

    def _tables(self, catalog: Catalog) -> list[Drawn]:
        kind = pick(self.rng, TABLES)
        if kind == "wide":
            return [tables.draw_wide(self.rng, catalog)]
        if kind == "fts":
            return [virtual.draw_fts(self.rng, catalog)]
        if kind == "fts external":
            return virtual.draw_external_fts(self.rng, catalog)
        if kind == "rtree":
            return [virtual.draw_rtree(self.rng, catalog)]
        if kind == "parent and child":
            return tables.draw_family(self.rng, catalog)
        return [tables.draw_table(self.rng, catalog)]

    def statement(self, *, schema: bool = True) -> Drawn:
        """One statement; without `schema` none that changes the schema."""
        rng = self.rng
        while True:
            kind = pick(rng, STATEMENTS)
            if kind == "odd":
                drawn: Drawn | None = Drawn(rng.choice(_ODD), features=("odd",))
            elif kind == "schema":
                drawn = alters.draw_schema_change(rng, self.catalog) if schema else None
            else:
                drawn = changes.draw_change(rng, self.catalog, kind)
                if drawn is None and not self.catalog.tables:
                    drawn = tables.draw_table(rng, self.catalog)
            if drawn is not None:
                return drawn

    def request(self) -> Request:
        """What one caller asks for."""
        rng = self.rng
        kind = pick(rng, REQUESTS)
        if kind == "shift" and self.catalog.of_kind("table"):
            return Request(changes.draw_shift(rng, self.catalog))
        count = 1 if kind == "one" else rng.choice((2, 2, 3, 4, 6))
        statements = tuple(self.statement() for _ in range(count))
        return Request(statements, held=kind == "held", load=kind == "load")

    def learn(self, drawn: Drawn) -> None:
        """This statement worked, and is there to stay."""
        self.catalog.learn(drawn)
