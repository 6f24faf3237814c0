"""Orders that are placed once, whatever happens to the leader: `python examples/orders.py URL`."""

import sys

import quorate


def place(db: quorate.Connection, order: str, sku: str) -> bool:
    """Place an order under its own token. False: sold out, or it certainly did not happen."""
    calls = [
        ("UPDATE stock SET n = n - 1 WHERE sku = ?", (sku,)),
        ("INSERT INTO orders VALUES (?, ?)", (order, sku)),
    ]
    try:
        db.batch(calls, token=order)
    except quorate.IntegrityError:  # the CHECK on the stock: nothing of the batch was done
        return False
    except quorate.MaybeDone as error:  # the answer was lost; ask until somebody knows
        try:
            db.outcome(error.token)
        except (quorate.Cancelled, quorate.IntegrityError):
            return False
    return True


def main(url: str) -> None:
    with quorate.connect(url, timeout=10.0) as db:
        db.execute("CREATE TABLE IF NOT EXISTS stock(sku TEXT PRIMARY KEY, n INTEGER CHECK(n >= 0)) STRICT")
        db.execute("CREATE TABLE IF NOT EXISTS orders(id TEXT PRIMARY KEY, sku TEXT) STRICT")
        db.execute("INSERT OR REPLACE INTO stock VALUES ('mug', 2)")
        for order in ("order-1", "order-2", "order-3"):
            print(order, "placed" if place(db, order, "mug") else "not placed")
        print(db.execute("SELECT n FROM stock WHERE sku = 'mug'").fetchone())


if __name__ == "__main__":
    main(sys.argv[1])
