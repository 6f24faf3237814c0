"""Small worlds whose histories are right by construction: every operation happens at one instant between
its beginning and its end, on one copy of the data."""

import random
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
Apply = Callable[[Any], Any]
"""What an operation does to the world at its instant: what was asked -> what was seen."""


def strict(
    rng: random.Random, count: int, ask: Callable[[], tuple[str, Any]], apply: Callable[[str, Any], Any],
    *, processes: int = 5, unsure: float = 0.0, failing: float = 0.0,
) -> list[Row]:  # fmt: skip
    """A strictly serializable history. `unsure` of the operations end as info (half of them took effect),
    `failing` of them as fail (none did)."""
    rows: list[Row] = []
    running: dict[int, tuple[str, Any, Any, str, bool]] = {}  # process -> (f, asked, seen, end, done)
    names = list(range(processes))
    begun = 0
    while begun < count or running:
        idle = [name for name in names if name not in running]
        if begun < count and idle and (not running or rng.random() < 0.5):
            name = rng.choice(idle)
            f, value = ask()
            roll = rng.random()
            end = "info" if roll < unsure else "fail" if roll < unsure + failing else "ok"
            running[name] = (f, value, None, end, False)
            rows.append({"process": name, "type": "invoke", "f": f, "value": value})
            begun += 1
            continue
        name = rng.choice(sorted(running))
        f, value, seen, end, done = running[name]
        if not done:
            if end == "ok" or (end == "info" and rng.random() < 0.5):
                seen = apply(f, value)
            running[name] = (f, value, seen, end, True)
        else:
            rows.append({"process": name, "type": end, "f": f, "value": seen if end == "ok" else value})
            del running[name]
            if end == "info":  # a process whose end is unknown never acts again
                names[names.index(name)] = max(names) + 1
    return rows


def lists(rng: random.Random, count: int, *, keys: int = 4, rotate: int = 60, **more: Any) -> list[Row]:
    """Transactions on lists; after `rotate` appends a key gives way to a fresh one."""
    data: dict[int, list[int]] = {}
    live = list(range(keys))
    appended: dict[int, int] = {}

    def ask() -> tuple[str, Any]:
        mops: list[list[Any]] = []
        for _ in range(rng.randint(1, 4)):
            place = rng.randrange(keys)
            key = live[place]
            if rng.random() < 0.5:
                mops.append(["r", key, None])
            else:
                appended[key] = appended.get(key, 0) + 1
                mops.append(["append", key, appended[key]])
                if appended[key] >= rotate:
                    live[place] = max(live) + 1
        return "txn", mops

    def apply(_f: str, mops: Any) -> Any:
        seen = []
        for f, key, value in mops:
            if f == "append":
                data.setdefault(key, []).append(value)
                seen.append([f, key, value])
            else:
                seen.append([f, key, list(data.get(key, []))])
        return seen

    return strict(rng, count, ask, apply, **more)


def registers(rng: random.Random, count: int, *, keys: int = 4, **more: Any) -> list[Row]:
    """Transactions on registers; every write is of a new value."""
    data: dict[int, int] = {}
    last = 0

    def ask() -> tuple[str, Any]:
        nonlocal last
        mops: list[list[Any]] = []
        for _ in range(rng.randint(1, 4)):
            if rng.random() < 0.5:
                mops.append(["r", rng.randrange(keys), None])
            else:
                last += 1
                mops.append(["w", rng.randrange(keys), last])
        return "txn", mops

    def apply(_f: str, mops: Any) -> Any:
        seen = []
        for f, key, value in mops:
            if f == "w":
                data[key] = value
            seen.append([f, key, value if f == "w" else data.get(key)])
        return seen

    return strict(rng, count, ask, apply, **more)


def snapshots(
    rng: random.Random, count: int, *, keys: int = 5, processes: int = 6, registers: bool = False
) -> list[Row]:
    """Transactions under snapshot isolation: each reads the data as they were at one instant after it began,
    and fails if another that committed since wrote one of the keys that it writes."""
    data: dict[int, list[int]] = {key: [] for key in range(keys)}
    running: dict[int, tuple[list[list[Any]], dict[int, list[int]] | None]] = {}
    rows: list[Row] = []
    last = 0
    begun = 0
    write = "w" if registers else "append"
    while begun < count or running:
        idle = [name for name in range(processes) if name not in running]
        if begun < count and idle and rng.random() < 0.5:
            begun += 1
            mops: list[list[Any]] = []
            for _ in range(rng.randint(1, 4)):
                last += 1
                mops.append(
                    [write, rng.randrange(keys), last] if rng.random() < 0.4 else ["r", rng.randrange(keys), None]
                )
            running[idle[0]] = (mops, None)
            rows.append({"process": idle[0], "type": "invoke", "f": "txn", "value": mops})
        elif running:
            name = rng.choice(sorted(running))
            mops, snapshot = running[name]
            if snapshot is None:
                running[name] = (mops, {key: list(line) for key, line in data.items()})
                continue
            written = {key for f, key, _ in mops if f != "r"}
            kept = all(data[key] == snapshot[key] for key in written)
            seen = []
            for f, key, value in mops:
                line = snapshot[key]
                if f == "r":
                    value = (line[-1] if line else None) if registers else list(line)
                else:
                    line.append(value)
                seen.append([f, key, value])
            if kept:
                data.update({key: list(snapshot[key]) for key in written})
            rows.append(
                {"process": name, "type": "ok" if kept else "fail", "f": "txn", "value": seen if kept else mops}
            )
            del running[name]
    return rows


def serial(*transactions: tuple[int, list[list[Any]]]) -> list[Row]:
    """One transaction after another, each with its process."""
    rows: list[Row] = []
    for process, mops in transactions:
        rows += [{"process": process, "type": kind, "f": "txn", "value": mops} for kind in ("invoke", "ok")]
    return rows


def together(*transactions: list[list[Any]], ends: dict[int, str] | None = None) -> list[Row]:
    """All at once, each by a process of its own."""
    rows: list[Row] = []
    for kind in ("invoke", "end"):
        for process, mops in enumerate(transactions):
            end = (ends or {}).get(process, "ok")
            rows.append({"process": process, "type": kind if kind == "invoke" else end, "f": "txn", "value": mops})
    return rows
