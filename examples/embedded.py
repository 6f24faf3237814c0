"""A database in a folder, inside this process: `python examples/embedded.py FOLDER`."""

import sys

import quorate


def main(folder: str) -> None:
    with quorate.connect(folder) as db:
        db.execute("CREATE TABLE IF NOT EXISTS visits(day TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT")
        db.execute(
            "INSERT INTO visits VALUES (:day, 1) ON CONFLICT(day) DO UPDATE SET n = n + 1",
            {"day": "monday"},
        )
        with db.transaction() as tx:  # rolls back when the block raises
            tx.execute("UPDATE visits SET n = n + 10 WHERE day = 'monday'")
            tx.execute("INSERT OR IGNORE INTO visits VALUES ('tuesday', 0)")
        for day, n in db.execute("SELECT day, n FROM visits ORDER BY day"):
            print(day, n)


if __name__ == "__main__":
    main(sys.argv[1])
