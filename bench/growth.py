"""The parts that ask what more costs: more rows, wider values, more databases, more followers. Quorate alone."""

import time
from functools import partial
from typing import Any

from bench import procs
from bench.results import QUORATE, Sample
from bench.session import Session
from bench.system_quorate import QuorateSystem
from bench.work import Contender, Key
from quorate.errors import Error

CLIENTS = 64
VALUE_CLIENTS = 16
VALUE_ROWS = 500
SETTLE_S = 2.0
CREATING_S_MAX = 600.0
STARTING_S_MAX = 60.0


def more_rows(session: Session) -> None:
    """The same updates and reads on tables of different sizes."""
    with QuorateSystem(session.fresh_folder()) as quorate:
        contenders: dict[Key, Contender] = {}
        for rows in session.plan.sizes:
            name = f"rows{rows}"
            quorate.create(name)
            quorate.fill(name, rows, session.plan.value_bytes)
            spec: dict[str, Any] = {
                "database": name,
                "connections": CLIENTS,
                "rows": rows,
                "value_bytes": session.plan.value_bytes,
            }
            contenders["rows", QUORATE, "update", rows] = partial(quorate.load, "update", **spec)
            contenders["rows", QUORATE, "select, eventual", rows] = partial(
                quorate.load, "select", level="eventual", **spec
            )
        session.run(contenders)


def wider_values(session: Session) -> None:
    """Updates and reads of values of different sizes."""
    with QuorateSystem(session.fresh_folder()) as quorate:
        contenders: dict[Key, Contender] = {}
        for value_bytes in session.plan.values:
            name = f"values{value_bytes}"
            quorate.create(name)
            quorate.fill(name, VALUE_ROWS, value_bytes)
            spec: dict[str, Any] = {
                "database": name,
                "connections": VALUE_CLIENTS,
                "rows": VALUE_ROWS,
                "value_bytes": value_bytes,
            }
            contenders["values", QUORATE, "update", value_bytes] = partial(quorate.load, "update", **spec)
            contenders["values", QUORATE, "select, eventual", value_bytes] = partial(
                quorate.load, "select", level="eventual", **spec
            )
        session.run(contenders)


def active_databases(session: Session) -> None:
    """The same number of clients over more and more databases."""
    plan = session.plan
    rows = min(plan.rows, 1_000)
    with QuorateSystem(session.fresh_folder()) as quorate:
        names = [f"active{number}" for number in range(max(plan.active))]
        quorate.create_all(names)
        for name in names:
            quorate.fill(name, rows, plan.value_bytes)
        leaders = quorate.leaders()
        session.run(
            {
                ("active", QUORATE, "update", count): partial(
                    quorate.load,
                    "update",
                    connections=CLIENTS,
                    rows=rows,
                    value_bytes=plan.value_bytes,
                    targets=[(leaders[name], name) for name in names[:count]],
                )
                for count in plan.active
            }
        )


def idle_databases(session: Session) -> None:
    """CPU time, memory and descriptors of three nodes that hold databases nobody uses; and how fast they are made."""
    with QuorateSystem(session.fresh_folder()) as quorate:
        made = 0
        for count in session.plan.idle:
            before, began = made, time.monotonic()
            try:
                while made < count and time.monotonic() < began + CREATING_S_MAX:
                    following = min(count, made + 50)
                    quorate.create_all([f"idle{number}" for number in range(made, following)])
                    made = following
            except Error as error:
                session.note(f"idle databases: the creation of number {made} and following failed: {error}")
                break
            if made < count:
                session.note(f"idle databases: {made} were made in {CREATING_S_MAX:g} s, {count} were wanted")
                break
            took_s = time.monotonic() - began
            session.say(f"{count} databases, the last {made - before} of them in {took_s:.1f} s")
            session.keep(("idle", QUORATE, "create", count), Sample(per_s=round((made - before) / took_s, 1)))
            time.sleep(SETTLE_S)
            session.keep(("idle", QUORATE, "databases", count), resting(quorate, session.plan.idle_s))
            session.keep(("idle", QUORATE, "start of a node", count), starting(quorate))


def starting(quorate: QuorateSystem) -> Sample:
    """One of the nodes is stopped in order and started again: how long until it answers, and what it then holds."""
    name = quorate.cluster.names[0]
    quorate.cluster.terminate(name)
    began = time.monotonic()
    quorate.cluster.restart(name, timeout=STARTING_S_MAX)
    took_ms = (time.monotonic() - began) * 1e3
    pids = [quorate.cluster.place(name).pid]
    time.sleep(SETTLE_S)
    return Sample(
        p50_ms=round(took_ms, 1),
        server_cpu_us=round(procs.cpu_s(pids) * 1e6),
        memory_mb=round(procs.memory_mb(pids), 1),
        peak_mb=round(procs.peak_memory_mb(pids), 1),
        descriptors=procs.descriptors(pids),
    )


def resting(quorate: QuorateSystem, seconds: float) -> Sample:
    """What the nodes cost while nobody asks them anything."""
    began, before = time.monotonic(), procs.cpu_s(quorate.pids)
    time.sleep(seconds)
    share = (procs.cpu_s(quorate.pids) - before) / (time.monotonic() - began)
    return Sample(
        server_cpu_share=round(share, 4),
        memory_mb=round(procs.memory_mb(quorate.pids), 1),
        peak_mb=round(procs.peak_memory_mb(quorate.pids), 1),
        descriptors=procs.descriptors(quorate.pids),
    )


def more_followers(session: Session) -> None:
    """Updates on groups of more and more replicas, each on a cluster of its own, one cluster at a time."""
    plan = session.plan
    for followers in plan.followers:
        with QuorateSystem(session.fresh_folder(), followers + 1) as quorate:
            quorate.create("wide", replicas=followers + 1)
            quorate.fill("wide", plan.rows, plan.value_bytes)
            spec: dict[str, Any] = {
                "database": "wide",
                "connections": CLIENTS,
                "rows": plan.rows,
                "value_bytes": plan.value_bytes,
            }
            session.run({("followers", QUORATE, "update", followers): partial(quorate.load, "update", **spec)})
