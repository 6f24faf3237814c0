"""A table whose rows are taken away, by triggers, by foreign keys or by REPLACE, while a statement is at them.

Some seeds have it beside all else. Its random numbers are its own, so that the other seeds stay as they are.
"""

from random import Random

from quorate.lab.sql.shape import Drawn, Request
from quorate.lab.sql.weights import chance

PERCENT = 6
"""Of the seeds that have such a table."""
_SHAPES = (
    "k TEXT PRIMARY KEY, e, u", "id INTEGER PRIMARY KEY, k UNIQUE, e, u", "k UNIQUE, e, u UNIQUE",
    "id INTEGER PRIMARY KEY AUTOINCREMENT, k UNIQUE, e, u", "k PRIMARY KEY, e, u) WITHOUT ROWID",
)  # fmt: skip
_REFERENCES = ("", "", " REFERENCES vanishing_parent(id) ON DELETE CASCADE ON UPDATE CASCADE")
_FEW = "(SELECT count(*) FROM vanishing) < 40"
_LETTERS = "abcdefgh"


class Vanishing:
    """Draws the table and what is done to it."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        shape = rng.choice(_SHAPES)
        self.rowid = "" if "WITHOUT" in shape else "id" if shape.startswith("id") else "rowid"
        self.shape = shape.replace(" e,", f" e{rng.choice(_REFERENCES)},")

    def schema(self) -> list[Drawn]:
        """The table, its parent, some rows, an index and triggers."""
        rng = self.rng
        close = "" if "WITHOUT" in self.shape else ")"
        rows = ", ".join(f"('{number}', {number})" for number in range(rng.randrange(1, 6)))
        found = [
            "CREATE TABLE vanishing_parent(id INTEGER PRIMARY KEY, x)",
            "INSERT INTO vanishing_parent(id) VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
            f"CREATE TABLE vanishing({self.shape}{close}",
            f"INSERT INTO vanishing(k, e) VALUES {rows}",
        ]
        if chance(rng, 40):
            found.append("CREATE INDEX vanishing_e ON vanishing(e)")
        for number in range(rng.choice((1, 1, 2, 3))):
            time = rng.choice(("BEFORE", "BEFORE", "", "AFTER"))
            event = rng.choice(("UPDATE", "UPDATE", "UPDATE", "UPDATE OF e", "DELETE"))
            body = " ".join(self._step() for _ in range(rng.choice((1, 1, 2))))
            found.append(f"CREATE TRIGGER vanishing_{number} {time} {event} ON vanishing BEGIN {body} END")
        return [Drawn(sql, features=("vanishing",)) for sql in found]

    def _step(self) -> str:
        key = self.rowid or "k"
        return self.rng.choice((
            "DELETE FROM vanishing WHERE k = OLD.k;",
            "DELETE FROM vanishing;",
            f"DELETE FROM vanishing WHERE {key} > OLD.{key};",
            "DELETE FROM vanishing_parent WHERE id = OLD.e;",
            f"UPDATE vanishing SET {key} = {key} + 20 WHERE k = OLD.k;",
            "UPDATE OR REPLACE vanishing SET k = '1' WHERE k = OLD.k;",
            f"REPLACE INTO vanishing(k, e) SELECT OLD.k, OLD.e WHERE {_FEW};",
            f"INSERT OR IGNORE INTO vanishing(k) SELECT OLD.k WHERE {_FEW};",
        ))  # fmt: skip

    def request(self) -> Request:
        """An INSERT of several rows, of which some are there."""
        rng = self.rng
        keys = [rng.choice((str(rng.randrange(6)), rng.choice(_LETTERS))) for _ in range(rng.randrange(2, 7))]
        rows = ", ".join(f"('{key}', {rng.randrange(10)})" for key in keys)
        into = f"INTO vanishing(k, {rng.choice('eu')}) VALUES {rows}"
        if chance(rng, 25):
            sql = f"REPLACE {into}"
        else:
            to = rng.choice(("e = 1", "u = excluded.u", "e = e", f"{self.rowid or 'u'} = {self.rowid or 'u'} + 7"))
            sql = f"INSERT {rng.choice(('', '', 'OR IGNORE '))}{into} ON CONFLICT DO UPDATE SET {to}"
        statements = (Drawn(sql, features=("vanishing",)),) * rng.choice((1, 1, 1, 2))
        return Request(statements, held=chance(rng, 10))
