"""Three processes: a leader dies or is told to go, writing goes on, and whoever returns has everything."""

import signal

import quorate
from quorate.lab.nemesis.trial import DATABASE, Trial, ask_rows

NUMBERS = "SELECT n FROM numbers ORDER BY n LIMIT ? OFFSET ?"


def test_writing_goes_on_without_the_leader_and_all_replicas_become_equal(three: Trial) -> None:
    with quorate.Cluster(three.cluster.url) as cluster:
        cluster.create(DATABASE, acks="majority", replicas=3)
    with quorate.connect(three.url, timeout=10.0) as db:
        db.execute("CREATE TABLE numbers(n INTEGER PRIMARY KEY)")
        for n in range(20):
            db.execute("INSERT INTO numbers VALUES (?)", (n,))
        leader = three.leader()
        three.kill(leader)
        for n in range(20, 40):
            db.execute("INSERT INTO numbers VALUES (?)", (n,))
        assert three.leader() != leader
        assert db.execute("SELECT count(*) FROM numbers", read="linearizable").fetchone() == (40,)
    three.restart(leader)
    three.wait_level()
    for address in three.cluster.addresses:
        assert ask_rows(address, NUMBERS, (100, 0)) == [(n,) for n in range(40)], address


def test_a_repeated_token_takes_effect_once_across_a_failover(three: Trial) -> None:
    with quorate.connect(f"{three.cluster.url}/main", timeout=10.0) as db:
        db.execute("CREATE TABLE counter(n INTEGER NOT NULL)")
        db.execute("INSERT INTO counter VALUES (0)")
        bump = "UPDATE counter SET n = n + 1 RETURNING n"
        first = db.execute(bump, token="bump-1").fetchall()
        leader = three.cluster.leader("main")
        assert leader is not None
        three.kill(leader)
        assert db.execute(bump, token="bump-1").fetchall() == first == [(1,)]
        assert db.execute("SELECT n FROM counter").fetchone() == (1,)


def test_sigterm_hands_leadership_over_and_exits_with_0(three: Trial) -> None:
    with quorate.connect(f"{three.cluster.url}/main", timeout=10.0) as db:
        db.execute("CREATE TABLE t(n INTEGER)")
        leader = three.cluster.leader("main")
        assert leader is not None
        assert three.cluster.terminate(leader) == 0
        heir = three.cluster.leader("main")
        assert heir is not None, "leadership was handed over before the process ended"
        assert heir != leader
        db.execute("INSERT INTO t VALUES (1)")
        assert db.execute("SELECT n FROM t").fetchall() == [(1,)]


def test_a_paused_leader_that_wakes_up_serves_no_old_reads(three: Trial) -> None:
    with quorate.connect(f"{three.cluster.url}/main", timeout=10.0) as db:
        db.execute("CREATE TABLE t(n INTEGER)")
        db.execute("INSERT INTO t VALUES (1)")
        leader = three.cluster.leader("main")
        assert leader is not None
        three.pause(leader)
        db.execute("UPDATE t SET n = 2")
        three.resume(leader)
        old = three.cluster.place(leader).address
        with quorate.connect(f"quorate://{old}/main", timeout=10.0) as asleep:
            assert asleep.execute("SELECT n FROM t", read="linearizable").fetchone() == (2,)


def test_a_lone_node_cannot_write_and_says_that_nothing_was_done(three: Trial) -> None:
    with quorate.connect(f"{three.cluster.url}/main", timeout=10.0) as db:
        db.execute("CREATE TABLE t(n INTEGER)")
        keep, *others = three.cluster.names
        for name in others:
            three.cluster.kill(name, signal.SIGKILL)
        address = three.cluster.place(keep).address
        with quorate.connect(f"quorate://{address}/main", timeout=1.0) as lone:
            try:
                lone.execute("INSERT INTO t VALUES (1)", token="lonely")
            except (quorate.Unavailable, quorate.MaybeDone) as error:
                unsure = isinstance(error, quorate.MaybeDone)
            else:
                raise AssertionError("one node of three acknowledged a write")
        for name in others:
            three.restart(name)
        if unsure:
            try:
                db.outcome("lonely")
            except quorate.Cancelled:
                unsure = False
        assert db.execute("SELECT count(*) FROM t").fetchone() == (int(unsure),)
