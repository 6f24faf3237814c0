"""Interactive transactions through Python drivers, beside PostgreSQL with synchronous replication and psycopg 3."""

import importlib.util
from functools import partial
from typing import Any

import quorate
from bench.load_transactions import DIFFERENT, INSERT, LISTED, ONE, PAGE
from bench.results import POSTGRESQL, QUORATE, Sample
from bench.session import Session
from bench.system_postgres import ACCOUNT
from bench.work import Contender, Key, Timing, generate, sample_of

PART = "transactions"
CLIENTS = (1, 8, 32, 64)
PAGE_CLIENTS = 32
ASLEEP = "different rows, one asleep in a transaction"
IMMEDIATE = f"{PAGE}, immediate"
QUORATE_TABLES = (
    "CREATE TABLE parents(id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT)",
    "CREATE TABLE children(id INTEGER PRIMARY KEY AUTOINCREMENT, parent INTEGER NOT NULL REFERENCES parents, v TEXT)",
    "CREATE TABLE pages(k INTEGER PRIMARY KEY, v TEXT)",
)
POSTGRES_TABLES = (
    "CREATE TABLE parents(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);"
    "CREATE TABLE children(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent bigint NOT NULL REFERENCES"
    " parents, v text);"
    f"CREATE TABLE pages AS SELECT * FROM kv WHERE k < {LISTED}; ALTER TABLE pages ADD PRIMARY KEY (k); ANALYZE pages"
)


def transactions(session: Session) -> None:
    """The same program on both: a round each, in turn."""
    systems = {QUORATE: _quorate(session)}
    if importlib.util.find_spec("psycopg") is None:
        session.note("without postgresql in transactions: psycopg is not installed (pip install 'quoratedb[bench]')")
    elif (found := _postgres(session)) is not None:
        systems[POSTGRESQL] = found

    def against(variant: str, clients: int, **spec: Any) -> None:
        contenders: dict[Key, Contender] = {
            (PART, name, variant, clients): partial(_load, {**where, "clients": clients, **spec})
            for name, where in systems.items()
        }
        if spec.get("sleeper"):
            awake = {**spec, "sleeper": False}
            for name, where in systems.items():
                key = (PART, name, f"{DIFFERENT}, none asleep", clients)
                contenders[key] = partial(_load, {**where, "clients": clients, **awake})
        session.run(contenders)

    for clients in CLIENTS:
        for kind in (DIFFERENT, ONE, INSERT):
            against(kind, clients, kind=kind)
    against(PAGE, PAGE_CLIENTS, kind=PAGE)
    against(ASLEEP, PAGE_CLIENTS, kind=DIFFERENT, sleeper=True)
    if _holds(session):
        systems.pop(POSTGRESQL, None)
        against(IMMEDIATE, PAGE_CLIENTS, kind=PAGE, begin="immediate")


def _holds(session: Session) -> bool:
    """Whether a transaction over a cluster can hold the writer from its beginning."""
    with quorate.connect(f"{session.quorate().cluster.url}/main") as db:
        try:
            db.transaction(begin="immediate")
        except quorate.NotSupportedError as error:
            session.note(f"no {IMMEDIATE}: {error}")
            return False
    return True


def _quorate(session: Session) -> dict[str, Any]:
    system = session.quorate()
    url = f"{system.cluster.url}/main"
    with quorate.connect(url, timeout=30) as db:
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'pages'").fetchone():
            db.batch([*QUORATE_TABLES, f"INSERT INTO pages SELECT * FROM kv WHERE k < {LISTED}"])
    return {"system": QUORATE, "url": url, "rows": session.plan.rows, "watch": system.pids}


def _postgres(session: Session) -> dict[str, Any] | None:
    system = session.postgres()
    if system is None:
        return None
    if system.sql("SELECT to_regclass('pages') IS NULL") == "t":
        system.sql(POSTGRES_TABLES)
    url = f"host=127.0.0.1 port={system.ports[0]} user={ACCOUNT} dbname=postgres"
    return {"system": POSTGRESQL, "url": url, "rows": session.plan.rows, "watch": system.pids}


def _load(spec: dict[str, Any], timing: Timing) -> Sample:
    whole = {**spec, "seconds": timing.seconds, "warm_up": timing.warm_up}
    return sample_of(generate("bench.load_transactions", whole))
