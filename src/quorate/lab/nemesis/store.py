"""A small store: its tables, its goods, and what an order does to them.

An order is one batch: it takes from the stock (a CHECK forbids less than nothing), writes the order, and
writes its lines. Nothing in the schema stops the same order from being written twice: that is left to the
token, so that the account can find out.
"""

import random
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

Call = tuple[str, tuple[Any, ...]]
"""One statement and its parameters, as `batch` takes them."""

SCHEMA = (
    "CREATE TABLE products(sku TEXT PRIMARY KEY, name TEXT NOT NULL, cents INTEGER NOT NULL) STRICT",
    "CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT",
    "CREATE TABLE stock(sku TEXT PRIMARY KEY REFERENCES products(sku), n INTEGER NOT NULL CHECK(n >= 0)) STRICT",
    """CREATE TABLE orders(
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        reference TEXT NOT NULL,
        customer INTEGER NOT NULL REFERENCES customers(id)
    ) STRICT""",
    "CREATE INDEX orders_by_reference ON orders(reference)",
    """CREATE TABLE order_lines(
        number INTEGER NOT NULL REFERENCES orders(number),
        sku TEXT NOT NULL REFERENCES products(sku),
        n INTEGER NOT NULL CHECK(n > 0),
        PRIMARY KEY(number, sku)
    ) STRICT, WITHOUT ROWID""",
)

GOODS = (
    ("mug", "Mug", 900, 1_000_000),
    ("jug", "Jug", 2400, 1_000_000),
    ("cup", "Cup", 700, 1_000_000),
    ("pot", "Tea pot", 3900, 1_000_000),
    ("bowl", "Bowl", 1100, 1_000_000),
    ("plate", "Plate", 1300, 1_000_000),
    ("vase", "Vase, the last ones", 8900, 40),
)
"""sku, name, price, how many there are. Vases run out while the store is open: those orders must fail whole."""

RARE_SHARE = 0.03
"""How many orders ask for the goods that run out."""

CUSTOMERS = 50


class Order(Struct, frozen=True):
    """What a customer asked for. The reference is the token of the write."""

    reference: str
    customer: int
    lines: tuple[tuple[str, int], ...]


def stocking() -> list[Call]:
    """The statements that fill the empty store."""
    calls: list[Call] = []
    for sku, name, cents, n in GOODS:
        calls.append(("INSERT INTO products VALUES (?, ?, ?)", (sku, name, cents)))
        calls.append(("INSERT INTO stock VALUES (?, ?)", (sku, n)))
    names = [(number, f"Customer {number}") for number in range(1, CUSTOMERS + 1)]
    return calls + [("INSERT INTO customers VALUES (?, ?)", each) for each in names]


def make_order(reference: str, rng: random.Random) -> Order:
    """One to three different goods, a few of each."""
    chosen = rng.sample(GOODS[:-1], rng.randint(1, 3))
    if rng.random() < RARE_SHARE:
        chosen[0] = GOODS[-1]
    lines = tuple(sorted((sku, rng.randint(1, 3)) for sku, _, _, _ in chosen))
    return Order(reference, rng.randint(1, CUSTOMERS), lines)


def order_calls(order: Order) -> list[Call]:
    """The batch that places an order: all of it, or none."""
    calls: list[Call] = [("UPDATE stock SET n = n - ? WHERE sku = ?", (n, sku)) for sku, n in order.lines]
    calls.append(("INSERT INTO orders(reference, customer) VALUES (?, ?)", (order.reference, order.customer)))
    for sku, n in order.lines:
        calls.append(
            (
                "INSERT INTO order_lines VALUES ((SELECT max(number) FROM orders WHERE reference = ?), ?, ?)",
                (order.reference, sku, n),
            )
        )
    return calls


class Books(Struct, frozen=True):
    """What one replica says about the store."""

    orders: dict[str, int]
    """How often each reference stands there."""
    stock: dict[str, int]
    lines: tuple[tuple[int, str, int], ...]
    lineless: int
    """Orders without any line: half an order."""

    def sold(self) -> dict[str, int]:
        sold = {sku: 0 for sku, _, _, _ in GOODS}
        for _, sku, n in self.lines:
            sold[sku] += n
        return sold


# Each can be read in pages, as long as nobody writes.
ORDERS_QUERY = "SELECT reference, count(*) FROM orders GROUP BY reference ORDER BY reference LIMIT ? OFFSET ?"
STOCK_QUERY = "SELECT sku, n FROM stock ORDER BY sku LIMIT ? OFFSET ?"
LINES_QUERY = "SELECT number, sku, n FROM order_lines ORDER BY number, sku LIMIT ? OFFSET ?"
LINELESS_QUERY = "SELECT count(*) FROM orders WHERE number NOT IN (SELECT number FROM order_lines) LIMIT ? OFFSET ?"
PLACED_QUERY = "SELECT coalesce(max(number), 0) FROM orders"
"""The number of the newest order: never smaller than the number of orders acknowledged so far."""


def read_books(query: Any) -> Books:
    """Read a replica's books through `query(sql) -> rows`, which fills in LIMIT and OFFSET."""
    return Books(
        orders=dict(query(ORDERS_QUERY)),
        stock=dict(query(STOCK_QUERY)),
        lines=tuple((number, sku, n) for number, sku, n in query(LINES_QUERY)),
        lineless=query(LINELESS_QUERY)[0][0],
    )


class Account(Struct, frozen=True):
    """What became of the orders, computed from what callers were told and what the replicas hold."""

    acknowledged: int
    lost: int
    """Acknowledged, and missing on some replica."""
    duplicated: int
    """Standing more than once on some replica."""
    invented: int
    """Standing on some replica, although the caller was told that it did not happen."""
    stock_agrees: bool
    """On every replica: what there was, less what was sold, is what there is; and no order is half there."""
    replicas_equal: bool


def settle(acknowledged: Sequence[str], not_done: Sequence[str], replicas: Sequence[Books]) -> Account:
    """Compare what callers were told with what each replica holds."""
    lost: set[str] = set()
    duplicated: set[str] = set()
    invented: set[str] = set()
    for books in replicas:
        lost |= {reference for reference in acknowledged if reference not in books.orders}
        duplicated |= {reference for reference, count in books.orders.items() if count > 1}
        invented |= {reference for reference in not_done if reference in books.orders}
    return Account(
        acknowledged=len(acknowledged),
        lost=len(lost),
        duplicated=len(duplicated),
        invented=len(invented),
        stock_agrees=bool(replicas) and all(agrees(books) for books in replicas),
        replicas_equal=bool(replicas) and all(books == replicas[0] for books in replicas),
    )


def agrees(books: Books) -> bool:
    """Initial stock less what was sold is what is there, and every order has its lines."""
    sold = books.sold()
    return books.lineless == 0 and all(books.stock.get(sku) == there - sold[sku] for sku, _, _, there in GOODS)
