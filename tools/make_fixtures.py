"""Makes the folders that tests/fixtures keeps of a format, as this release writes them.

`python tools/make_fixtures.py` writes the newest format, `--format N` an older one that this release still reads.
Run it once for each release, before it is published, and never again: later releases must open what was written
then. Beside the folders lies `rows.json`: every row that is in them.

format-N/
  embedded/   closed in order
  crashed/    the same, as a process that was killed left it: what was written last is in write-ahead logs only
  cluster/    a cluster of one node, with a second database
"""

import argparse
import json
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

import quorate
from quorate.core.formats import HERE
from quorate.core.recovered import Identity, Member
from quorate.runtime.cluster import LocalCluster
from quorate.runtime.founding import found, free_ports
from quorate.storage.folder import open_store

FIXTURES = Path(__file__).resolve().parent.parent / "tests" / "fixtures"
LEFT_OUT = ("-shm", "lock", ".log", ".toml", ".json")
"""What only a running process needs, and what is true of the machine that made it."""

SCHEMA = (
    "CREATE TABLE stock(sku TEXT PRIMARY KEY, n INT NOT NULL, price REAL, picture BLOB, note ANY) STRICT",
    (
        "CREATE TABLE orders(id INTEGER PRIMARY KEY AUTOINCREMENT, sku TEXT REFERENCES stock, n INT,"
        " twice INT AS (2 * n) STORED)"
    ),
    "CREATE TABLE totals(day TEXT, sku TEXT, n INT, PRIMARY KEY(day, sku)) WITHOUT ROWID",
    "CREATE INDEX orders_by_sku ON orders(sku, n)",
    "CREATE VIEW sold AS SELECT sku, sum(n) AS n FROM orders GROUP BY sku",
    "CREATE TRIGGER count_orders AFTER INSERT ON orders BEGIN UPDATE stock SET n = n - new.n WHERE sku = new.sku; END",
    "CREATE VIRTUAL TABLE pages USING fts5(title, body)",
)
TABLES = ("stock", "orders", "totals", "sold", "pages")


def fill(db: Any) -> None:
    """Every kind of table and value that travels; some of it deleted again."""
    db.batch(list(SCHEMA))
    db.executemany(
        "INSERT INTO stock VALUES (?, ?, ?, ?, ?)",
        [("mug", 900, 9.5, b"\x00\xff\x7f", None), ("tea", 40, None, None, 7), ("Tür", 2**62, -0.0, b"", "ö\n")],
    )
    db.executemany("INSERT INTO orders(sku, n) VALUES (?, ?)", [(("mug", "tea")[each % 2], 1) for each in range(40)])
    db.execute("DELETE FROM orders WHERE id % 7 = 0")
    db.executemany("INSERT INTO totals VALUES (?, ?, ?)", [(f"2026-01-{day:02}", "mug", day) for day in range(1, 9)])
    db.execute("INSERT INTO pages VALUES ('mugs', 'a mug is a cup with a handle'), ('tea', 'leaves and water')")
    db.batch(
        [
            "UPDATE stock SET note = 'both' WHERE sku = 'mug'",
            "UPDATE totals SET n = n + 100 WHERE day > '2026-01-05'",
        ]
    )


def rows_of(db: Any) -> dict[str, list[list[Any]]]:
    """Every row, as JSON can say it."""

    def said(value: Any) -> Any:
        return {"hex": value.hex()} if isinstance(value, bytes) else value

    return {
        table: [[said(value) for value in row] for row in db.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall()]
        for table in TABLES
    }


def copy(source: Path, target: Path) -> None:
    """A folder without what is left out."""
    shutil.copytree(source, target, ignore=lambda _folder, names: [name for name in names if name.endswith(LEFT_OUT)])


def make_embedded(work: Path, target: Path, number: int) -> dict[str, Any]:
    node = secrets.randbits(62) + 1
    identity = Identity(secrets.token_hex(8), node, "embedded", 0, (Member(node, "embedded", ""),), number)
    open_store(work, create=identity).close()
    with quorate.connect(work) as db:
        fill(db)
        rows = rows_of(db)
        copy(work, target / "crashed")
    copy(work, target / "embedded")
    return rows


def make_cluster(work: Path, target: Path, number: int) -> None:
    found(work, {"n1": f"127.0.0.1:{free_ports('127.0.0.1', 1)[0]}"}, {"log_keep": "8"}, number)
    with LocalCluster.start(1, work) as cluster:
        with quorate.Cluster(cluster.url) as whole:
            whole.create("shop", replicas=1)
        for name in ("main", "shop"):
            with quorate.connect(f"{cluster.url}/{name}") as db:
                fill(db)
    copy(work, target / "cluster")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", type=int, default=HERE.highest, choices=range(HERE.lowest, HERE.highest + 1))
    number = parser.parse_args().format
    target = FIXTURES / f"format-{number}"
    shutil.rmtree(target, ignore_errors=True)
    with tempfile.TemporaryDirectory() as work:
        rows = make_embedded(Path(work) / "embedded", target, number)
        make_cluster(Path(work) / "cluster", target, number)
    (target / "rows.json").write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
