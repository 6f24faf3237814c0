"""The parts of the benchmark that compare systems: each takes a session and leaves its measures there."""

from collections.abc import Callable
from functools import partial
from typing import Any

from bench import embedded, failover, generators, raw
from bench.growth import active_databases, idle_databases, more_followers, more_rows, wider_values
from bench.results import APSW, DISK, ETCD, POSTGRESQL, QUORATE, Sample
from bench.session import Session
from bench.transactions import transactions
from bench.work import Contender, Key, Timing

GROUPS = (1, 16, 64, 256)
"""Updates per transaction, for the raw limit of a group commit."""
OWN = "own connections"
SHARED = "one shared connection"


def limits(session: Session) -> None:
    """The disk, and SQLite in one process."""
    plan = session.plan
    contenders: dict[Key, Contender] = {
        ("raw", DISK, "fdatasync, growing file", 1): partial(raw.fdatasync, session.folder),
        ("raw", DISK, "fdatasync, filled file", 1): partial(raw.fdatasync, session.folder, grows=False),
    }
    with raw.plain(session.fresh_folder() / "plain.db", plan.rows, plan.value_bytes) as connection:
        for batch in GROUPS:
            contenders["raw", APSW, "group commit", batch] = partial(
                raw.group_commit, connection, rows=plan.rows, value_bytes=plan.value_bytes, batch=batch
            )
        contenders["raw", APSW, "point reads", 1] = partial(raw.point_reads, connection, rows=plan.rows)
        session.run(contenders)


def updates(session: Session) -> None:
    """Durable single-row UPDATE by key: x clients with a connection each, or x in flight on one connection."""
    plan = session.plan
    quorate, postgres, etcd = session.quorate(), session.postgres(), session.etcd()
    sizes: dict[str, Any] = {"rows": plan.rows, "value_bytes": plan.value_bytes}
    for clients in plan.clients:
        contenders: dict[Key, Contender] = {
            ("update", QUORATE, OWN, clients): partial(quorate.load, "update", connections=clients, **sizes)
        }
        if postgres:
            contenders["update", POSTGRESQL, OWN, clients] = partial(postgres.load, "update", clients=clients, **sizes)
        if etcd:
            contenders["update", ETCD, OWN, clients] = partial(etcd.load, "update", connections=clients, **sizes)
        session.run(contenders)
    for waiting in plan.shared:
        session.run({("update", QUORATE, SHARED, waiting): partial(quorate.load, "update", in_flight=waiting, **sizes)})


def selects(session: Session) -> None:
    """Point SELECT by key at each read level."""
    plan = session.plan
    quorate, postgres, etcd = session.quorate(), session.postgres(), session.etcd()
    sizes: dict[str, Any] = {"rows": plan.rows, "value_bytes": plan.value_bytes}
    read = partial(quorate.load, "select", **sizes)
    for clients in plan.clients:
        contenders: dict[Key, Contender] = {
            ("select", QUORATE, level, clients): partial(read, connections=clients, level=level)
            for level in ("linearizable", "leader", "eventual")
        }
        contenders["select", QUORATE, "eventual over 3 nodes", clients] = partial(
            read, connections=clients, level="eventual", targets=quorate.spread()
        )
        if postgres:
            contenders["select", POSTGRESQL, "primary", clients] = partial(
                postgres.load, "select", clients=clients, **sizes
            )
        if etcd:
            for name, serializable in (("linearizable", False), ("serializable", True)):
                contenders["select", ETCD, name, clients] = partial(
                    etcd.load, "select", connections=clients, serializable=serializable, **sizes
                )
        session.run(contenders)
    for waiting in plan.shared:
        session.run(
            {
                ("select", QUORATE, f"{level}, {SHARED}", waiting): partial(read, in_flight=waiting, level=level)
                for level in ("linearizable", "eventual")
            }
        )


def orm(session: Session) -> None:
    """Read a row, update it, commit."""
    plan = session.plan
    quorate, postgres = session.quorate(), session.postgres()
    sizes: dict[str, Any] = {"rows": plan.rows, "value_bytes": plan.value_bytes}
    for clients in plan.clients:
        contenders: dict[Key, Contender] = {
            ("orm", QUORATE, "read, then batch, client library", clients): partial(
                quorate.orm, clients=clients, **sizes
            ),
            ("orm", QUORATE, "read, then write, raw frames", clients): partial(
                quorate.load, "read-update", connections=clients, level="leader", **sizes
            ),
        }
        if postgres:
            contenders["orm", POSTGRESQL, "transaction", clients] = partial(
                postgres.load, "read-update", clients=clients, **sizes
            )
        session.run(contenders)


def in_process(session: Session) -> None:
    """The embedded node beside plain apsw."""
    plan = session.plan
    session.measures += embedded.measure(
        session.fresh_folder(), plan.rows, plan.value_bytes, plan.rounds, session.timing, session.told
    )


def killed_leaders(session: Session) -> None:
    """Time to the first new acknowledged write after `kill -9` of the leader."""

    def told(number: int, milliseconds: float) -> None:
        session.say(f"failover {number}: {milliseconds:,.0f} ms")

    sample = failover.measure(session.fresh_folder(), session.plan.kills, told)
    session.keep(("failover", QUORATE, "first new write after kill -9 of the leader", session.plan.kills), sample)


def generator(session: Session) -> None:
    """Was the load generator the bottleneck?"""
    session.checks += generators.against_echo(session.timing)
    quorate, etcd = session.quorate(), session.etcd()
    most = max(session.plan.clients)
    rows = session.plan.rows

    def ours(kind: str, level: str) -> generators.Load:
        return lambda connections, seed, timing: quorate.load(
            kind, timing, connections=connections, seed=seed, level=level, rows=rows
        )

    loads: list[tuple[str, str, int, generators.Load]] = [
        ("update", QUORATE, most, ours("update", "leader")),
        ("select, eventual", QUORATE, most, ours("select", "eventual")),
    ]
    if etcd:

        def theirs(connections: int, seed: int, timing: Timing) -> Sample:
            return etcd.load("update", timing, connections=connections, seed=seed, rows=rows)

        loads.append(("update", ETCD, most, theirs))
    session.checks += generators.doubled(loads, session.plan.rounds, session.timing)
    for check in session.checks:
        session.say(f"{check.system}, {check.what}: {check.value:,g} {check.unit}")


PARTS: dict[str, Callable[[Session], None]] = {
    "raw": limits,
    "update": updates,
    "select": selects,
    "orm": orm,
    "transactions": transactions,
    "generator": generator,
    "embedded": in_process,
    "rows": more_rows,
    "values": wider_values,
    "active": active_databases,
    "idle": idle_databases,
    "followers": more_followers,
    "failover": killed_leaders,
}
"""By the names that `--only` takes, in the order in which they are run."""

COMPARING = ("update", "select", "orm", "transactions", "generator")
"""Parts that share the three systems; they are stopped before any other part begins."""
