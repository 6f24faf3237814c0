"""One replica file: tokens, positions, reads beside an open batch, copies, held transactions."""

import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from quorate.core.entries import DATA, NOOP, ORIGIN, Entry, Position
from quorate.core.requests import Cancelled, CommitHeld, Done, Expired, Outcome, Run
from quorate.core.statements import Failed, Token
from quorate.storage.data import data_file
from quorate.storage.data.replica import Replica
from quorate.storage.data.window import Window
from quorate.storage.interface import Broken, DiskIsFull, Divergent, OverBudget, StatementFailed
from quorate.storage.rows.payload import OUTCOME_MAX, decode_outcome
from tests.storage.pair import MEMORY, Pair, read, refusal, run, statement


@pytest.fixture(params=["file", "memory"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path if request.param == "file" else None) as pair:
        pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        yield pair


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Pair]:
    with Pair(tmp_path) as pair:
        pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        yield pair


def insert(value: int, token: Token | None = None) -> Run:
    return run(statement("INSERT INTO t VALUES (?, ?)", value, value), token=token)


def test_an_integrity_check_does_not_believe_what_a_full_text_table_remembers(pair: Pair) -> None:
    """SQLite's own reader answers `fts5: checksum mismatch` until somebody has asked the table something."""
    pair.do("CREATE VIRTUAL TABLE f USING fts5(x)")
    for node in (pair.leader, pair.follower):
        for word in range(4):
            pair.do(f"INSERT INTO f VALUES ('word{word} again')")
            pair.do("INSERT INTO f(f) VALUES ('optimize')")
            for _ in range(3):  # the third is read from a state that is held
                assert read(node, "PRAGMA integrity_check") == [("ok",)]
                assert read(node, "SELECT * FROM pragma_quick_check") == [("ok",)]


# ---------------------------------------------------------------------- exactly once


def test_a_repeated_token_gets_its_first_outcome(pair: Pair) -> None:
    token, bad = Token("a", 0), Token("b", 0)
    first = pair.batch(run("INSERT INTO t VALUES (1, 1) RETURNING v", token=token), run("SELECT nothing", token=bad))
    assert isinstance(first[0], Done)
    assert isinstance(first[1], Failed)
    payload, outcomes = pair.leader.execute([run("DELETE FROM t", token=token), run("DELETE FROM t", token=bad)])
    assert payload is None
    assert not pair.leader.busy
    assert [decode_outcome(outcome) for outcome in outcomes] == first
    pair.switch()
    assert pair.batch(run("DELETE FROM t", token=token)) == first[:1]
    assert pair.rows("SELECT * FROM t") == [(1, 1)]


def test_a_token_repeated_within_a_batch_runs_once(pair: Pair) -> None:
    token = Token("a", 0)
    outcomes = pair.batch(insert(1, token), insert(2, token), insert(3))
    assert outcomes[0] == outcomes[1]
    assert pair.rows("SELECT id FROM t") == [(1,), (3,)]


def test_asking_for_an_unknown_token_cancels_it(pair: Pair) -> None:
    token = Token("a", 0)
    assert pair.batch(Outcome("main", token)) == [Cancelled()]
    assert pair.batch(insert(1, token)) == [Cancelled()]
    known = Token("b", 0)
    (done,) = pair.batch(insert(2, known))
    assert pair.batch(Outcome("main", known)) == [done]
    assert pair.rows("SELECT id FROM t") == [(2,)]


def test_large_results_are_remembered_without_their_rows(pair: Pair) -> None:
    token = Token("a", 0)
    sql = f"INSERT INTO t VALUES (1, zeroblob({OUTCOME_MAX})) RETURNING v"
    (first,) = pair.batch(run(sql, token=token))
    (second,) = pair.batch(run(sql, token=token))
    assert isinstance(first, Done)
    assert isinstance(second, Done)
    assert len(first.results[0].rows) == 1
    assert second.truncated
    assert second.results[0].rows == []
    assert second.results[0].rowcount == 1


def test_tokens_below_the_floor_have_expired(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def small(floor: int) -> Window:
        return Window(floor, tokens_max=2)

    monkeypatch.setattr(data_file, "Window", small)
    for replica in (pair.leader, pair.follower):
        replica._writer._window = None
    for number in range(1, 6):
        pair.batch(insert(number, Token(f"n{number}", number)))
    assert pair.leader.floor == pair.follower.floor == 4
    assert pair.batch(insert(9, Token("n1", 1))) == [Expired()]
    assert pair.batch(Outcome("main", Token("n1", 1))) == [Expired()]
    assert isinstance(pair.batch(insert(9, Token("n5", 1)))[0], Done)
    assert pair.rows("SELECT max(id) FROM t") == [(5,)]
    assert pair.rows("SELECT count(*) FROM quorate_window") == [(2,)]
    pair.switch()
    assert pair.batch(insert(9, Token("n2", 2))) == [Expired()]
    assert isinstance(pair.batch(insert(9, Token("new", 4)))[0], Done)


def test_a_failure_is_logged_and_a_read_with_a_token_too(pair: Pair) -> None:
    before = pair.leader.applied
    pair.fail("INSERT INTO nowhere VALUES (1)")
    pair.do("SELECT 1")
    assert pair.leader.applied.index == before.index + 2


def test_without_tokens_nothing_is_logged_for_nothing(pair: Pair) -> None:
    payload, outcomes = pair.leader.execute([run("INSERT INTO nowhere VALUES (1)"), run("UPDATE t SET v = 1")])
    assert payload is None
    assert len(outcomes) == 2
    assert not pair.leader.busy


# ---------------------------------------------------------------------- positions and transactions


def test_readers_see_only_what_is_committed(pair: Pair) -> None:
    payload, _ = pair.leader.execute([insert(1)])
    assert payload is not None
    assert pair.leader.busy
    assert read(pair.leader, "SELECT * FROM t") == []
    assert pair.leader.digest() == pair.follower.digest()
    pair.commit(payload)
    assert not pair.leader.busy
    assert pair.rows("SELECT * FROM t") == [(1, 1)]
    pair.same()


def test_rollback_leaves_nothing(pair: Pair) -> None:
    for read_first in (False, True):
        pair.leader.execute([run("CREATE TABLE x(k TEXT PRIMARY KEY)", "DROP TABLE t"), run("PRAGMA user_version = 3")])
        if read_first:
            assert read(pair.leader, "SELECT count(*) FROM t") == [(0,)]
        pair.leader.rollback()
        assert not pair.leader.busy
        pair.same()
    token = Token("a", 0)
    pair.leader.execute([insert(1, token)])
    pair.leader.rollback()
    assert isinstance(pair.batch(insert(1, token))[0], Done)


def test_an_applied_entry_replaces_an_open_batch(pair: Pair) -> None:
    payload, _ = pair.leader.execute([insert(1)])
    assert payload is not None
    entries = [Entry(2, 2, NOOP, b""), Entry(3, 2, DATA, payload)]
    for replica in (pair.leader, pair.follower):
        replica.apply(entries)
        assert replica.applied == Position(2, 3)
    pair.same()
    pair.epoch = 2
    pair.do("INSERT INTO t VALUES (2, 2)")


def test_a_file_knows_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    replica = Replica(path)
    assert replica.applied == ORIGIN
    replica.execute([run("CREATE TABLE t(v)", token=Token("a", 0))])
    replica.commit(Position(3, 1))
    before = replica.digest()
    replica.execute([run("INSERT INTO t VALUES (1)", token=Token("b", 0))])
    replica.close()
    replica.close()
    replica = Replica(path)
    assert replica.applied == Position(3, 1)
    assert replica.digest() == before
    payload, outcomes = replica.execute([run("INSERT INTO t VALUES (1)", token=Token("a", 0))])
    assert payload is None
    assert isinstance(decode_outcome(outcomes[0]), Done)
    replica.close()


def test_other_files_are_not_taken_for_replicas(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(Divergent):
        Replica(tmp_path / "text.db")
    other = apsw.Connection(str(tmp_path / "other.db"))
    other.execute("CREATE TABLE t(v)")
    other.close()
    with pytest.raises(Divergent, match="not a replica"):
        Replica(tmp_path / "other.db")
    with pytest.raises(Broken):
        Replica(tmp_path / "missing" / "r.db")


def test_a_damaged_file_is_noticed(tmp_path: Path) -> None:
    with Pair(tmp_path) as pair:
        pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)")
        pair.do(*(statement("INSERT INTO t(v) VALUES (?)", "x" * 500) for _ in range(200)))
    path = tmp_path / "leader.db"
    image = bytearray(path.read_bytes())
    for page in range(4, len(image) // 4096):
        image[page * 4096 : page * 4096 + 200] = b"\xa5" * 200
    path.write_bytes(image)
    replica = Replica(path)
    with pytest.raises(Divergent):
        replica.execute([run("UPDATE t SET v = 1")])
    assert not replica.busy
    with pytest.raises(Divergent):
        replica.query((statement("SELECT sum(length(v)) FROM t"),))
    replica.close()


def test_a_full_disk_changes_nothing(files: Pair) -> None:
    leader = files.leader
    pages = leader._writer.connection.execute("PRAGMA page_count").get
    leader._writer.connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    big = run(statement("INSERT INTO t VALUES (1, zeroblob(100000))"), token=Token("big", 0))
    with pytest.raises(DiskIsFull):
        leader.execute([insert(5, Token("small", 0)), big])
    assert not leader.busy
    assert read(leader, "SELECT * FROM t") == []
    leader._writer.connection.execute("PRAGMA max_page_count = 1000000")
    assert len(files.batch(insert(5, Token("small", 0)), big)) == 2
    assert files.rows("SELECT id FROM t") == [(1,), (5,)]


def test_a_follower_whose_disk_is_full_catches_up_later(files: Pair) -> None:
    follower = files.follower._writer.connection
    follower.execute(f"PRAGMA max_page_count = {follower.execute('PRAGMA page_count').get + 1}")
    with pytest.raises(DiskIsFull):
        files.batch(run("INSERT INTO t VALUES (1, zeroblob(100000))"))
    assert files.follower.applied == Position(1, 1)
    assert read(files.follower, "SELECT * FROM t") == []
    follower.execute("PRAGMA max_page_count = 1000000")
    files.follower.apply(files.entries[-1:])
    files.same()


# ---------------------------------------------------------------------- reads


def test_several_reads_are_one_snapshot_and_stand_somewhere(pair: Pair) -> None:
    pair.do("INSERT INTO t VALUES (1, 'a')")
    for query in (pair.leader.query, pair.leader.query_aside):
        encoded, position = query(
            (statement("SELECT v FROM t"), statement("SELECT count(*) AS n FROM t WHERE id = ?", 1))
        )
        outcome = decode_outcome(encoded)
        assert isinstance(outcome, Done)
        assert [result.rows for result in outcome.results] == [[("a",)], [(1,)]]
        assert position == pair.leader.applied


def test_a_read_cannot_write(pair: Pair) -> None:
    assert refusal(pair.leader, "DELETE FROM t").error == "ProgrammingError"
    encoded, _ = pair.leader.query((statement("SELECT 1"), statement("SELECT nothing")))
    failed = decode_outcome(encoded)
    assert isinstance(failed, Failed)
    assert failed.statement == 1


def test_a_read_beyond_its_budget(tmp_path: Path) -> None:
    ticks = iter(range(0, 10**9, 100))
    replica = Replica(tmp_path / "r.db", clock=lambda: next(ticks))
    endless = statement("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n")
    for statements in ((endless,), (statement("SELECT 1"), endless)):
        with pytest.raises(OverBudget):
            replica.query(statements, 1000)
    assert read(replica, "SELECT 1") == [(1,)]
    few = statement(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 9999) SELECT count(*) FROM n"
    )
    assert isinstance(decode_outcome(replica.query_aside((few,))[0]), Done)
    replica.close()


def test_reads_between_commits_always_show_the_last_commit(pair: Pair) -> None:
    pair.do("INSERT INTO t VALUES (1, 1)")
    for value in range(2, 6):
        for _ in range(3):  # from the second read on, the state is held open
            assert read(pair.leader, "SELECT v FROM t WHERE id = ?", 1) == [(value - 1,)]
            assert read(pair.leader, "SELECT v FROM t WHERE id = ?", 7) == []
        pair.do(statement("UPDATE t SET v = ? WHERE id = 1", value))
    two = (statement("SELECT v FROM t"), statement("SELECT count(*) FROM t"))
    encoded, position = pair.leader.query(two)
    assert encoded == pair.leader.query(two)[0]
    assert position == pair.leader.applied


def test_columns_of_a_known_read_follow_the_schema(pair: Pair) -> None:
    pair.do("INSERT INTO t VALUES (1, 'a')")
    everything = statement("SELECT * FROM t")

    def columns() -> object:
        outcomes = {pair.leader.query((everything,))[0] for _ in range(4)}
        assert len(outcomes) == 1, "the first, the second and a known read are encoded alike"
        outcome = decode_outcome(outcomes.pop())
        assert isinstance(outcome, Done)
        return outcome.results[0].columns

    assert columns() == (("id", "INTEGER"), ("v", None))
    pair.do("ALTER TABLE t ADD COLUMN more TEXT DEFAULT 'm'")
    assert columns() == (("id", "INTEGER"), ("v", None), ("more", "TEXT"))
    pair.do("DELETE FROM t")
    assert columns() == (("id", "INTEGER"), ("v", None), ("more", "TEXT"))


def test_a_known_read_fails_and_is_bounded_like_any_other(files: Pair) -> None:
    files.do("INSERT INTO t VALUES (1, 'a')")
    sql = "SELECT abs(?), 'x' FROM t"
    for _ in range(3):
        assert read(files.leader, sql, -2) == [(2, "x")]
    assert refusal(files.leader, sql).error == "ProgrammingError"
    assert refusal(files.leader, sql, -(2**63)).message == "integer overflow"
    assert read(files.leader, sql, -3) == [(3, "x")]
    many = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT ?) SELECT i FROM n"
    for limit in (1, 63, 64, 65, 5000, 64):
        assert read(files.leader, many, limit) == [(number,) for number in range(1, limit + 1)]


def test_held_reads_do_not_keep_the_log_from_beginning_anew(files: Pair, tmp_path: Path) -> None:
    log = Path(files.leader.file + "-wal")
    files.do("INSERT INTO t VALUES (1, 0)")
    sizes = []
    for value in range(300):
        files.do(statement("UPDATE t SET v = ? WHERE id = 1", value))
        for _ in range(2):
            assert read(files.leader, "SELECT v FROM t") == [(value,)]
        if value % 10 == 9:
            files.leader.checkpoint()
            assert files.leader.unsynced == 0
        sizes.append(log.stat().st_size)
    assert max(sizes) == max(sizes[:30])


def test_reading_aside_in_another_thread_while_batches_commit(files: Pair) -> None:
    answers: list[list[int]] = []

    def look() -> None:
        for _ in range(50):
            encoded, position = files.leader.query_aside((statement("SELECT count(*), max(id) FROM t"),))
            outcome = decode_outcome(encoded)
            assert isinstance(outcome, Done)
            answers.append([outcome.results[0].rows[0][0], position.index])  # type: ignore[list-item]

    thread = threading.Thread(target=look)
    thread.start()
    for number in range(1, 51):
        files.batch(insert(number), compare=False)
    thread.join()
    assert all(index == count + 1 for count, index in answers)
    files.same()


# ---------------------------------------------------------------------- copies and checkpoints


def test_a_copy_is_taken_of_what_is_committed(pair: Pair, tmp_path: Path) -> None:
    pair.do("INSERT INTO t VALUES (1, 1)")
    payload, _ = pair.leader.execute([insert(2)])
    assert payload is not None
    position = pair.leader.copy_to(tmp_path / "copy.db")
    assert position == pair.leader.applied
    assert [path.name for path in tmp_path.glob("copy.db*")] == ["copy.db"]
    copy = Replica(tmp_path / "copy.db")
    assert copy.applied == position
    assert copy.digest() == pair.follower.digest()
    pair.commit(payload)
    copy.apply(pair.entries[-1:])
    assert copy.digest() == pair.leader.digest()
    copy.close()
    with pytest.raises(Broken, match="exists"):
        pair.leader.copy_to(tmp_path / "copy.db")


def test_a_checkpoint_makes_the_file_whole(files: Pair, tmp_path: Path) -> None:
    files.do("INSERT INTO t VALUES (1, 1)")
    assert files.leader.checkpoint() == files.leader.applied
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "leader.db").write_bytes((tmp_path / "leader.db").read_bytes())
    alone = Replica(tmp_path / "alone" / "leader.db")
    assert alone.digest() == files.leader.digest()
    alone.close()


def test_a_checkpoint_beside_an_open_batch_is_made_up_for(files: Pair, tmp_path: Path) -> None:
    payload, _ = files.leader.execute([insert(1)])
    assert payload is not None
    assert files.leader.checkpoint() == Position(1, 1)
    files.commit(payload)
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "leader.db").write_bytes((tmp_path / "leader.db").read_bytes())
    alone = Replica(tmp_path / "alone" / "leader.db")
    assert alone.applied == Position(1, 2)
    alone.close()


def test_memory_falls_back_to_an_image() -> None:
    with Pair() as pair:
        pair.do("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v)", "CREATE TABLE k(a TEXT PRIMARY KEY)")
        pair.do("CREATE VIRTUAL TABLE f USING fts5(b)", "INSERT INTO f VALUES ('word')")
        image, before, at = pair.leader.dump(), pair.leader.digest(), pair.leader.applied
        pair.do("INSERT INTO t(v) VALUES (1)", "INSERT INTO k VALUES ('x')", "INSERT INTO f VALUES ('word')")
        after = pair.leader.digest()
        pair.leader.execute([run("DELETE FROM t")])
        pair.leader.load(image)
        assert (pair.leader.applied, pair.leader.digest()) == (at, before)
        pair.leader.apply(pair.entries[at.index :])
        assert pair.leader.digest() == after
        pair.do("INSERT INTO t(v) VALUES (2)", "INSERT INTO f VALUES ('word')")


# ---------------------------------------------------------------------- a held transaction


def test_a_held_transaction_is_one_entry(pair: Pair) -> None:
    leader = pair.leader
    leader.hold()
    assert leader.held
    assert leader.run_held(statement("INSERT INTO t VALUES (1, ?)", 5)).lastrowid == 1
    with pytest.raises(StatementFailed) as caught:
        leader.run_held(statement("INSERT INTO t VALUES (2, 2), (1, 1)"))
    assert caught.value.failed.error == "IntegrityError"
    assert leader.held
    leader.run_held(statement("CREATE TABLE more(k TEXT PRIMARY KEY)"))
    leader.run_held(statement("INSERT INTO more VALUES ('a')"))
    with pytest.raises(StatementFailed):
        leader.run_held(statement("CREATE TABLE more(x)"))
    with pytest.raises(StatementFailed):
        leader.run_held(statement("COMMIT"))
    assert leader.run_held(statement("SELECT count(*) FROM t")).rows == [(1,)]
    leader.run_held(statement("UPDATE t SET v = v + 1"))
    token = Token("commit", 0)
    assert isinstance(pair.batch(CommitHeld("main", token))[0], Done)
    assert not leader.held
    assert pair.rows("SELECT * FROM t") == [(1, 6)]
    assert isinstance(pair.batch(CommitHeld("main", token))[0], Done)
    assert pair.leader.applied.index == 2


def test_a_held_transaction_can_be_released(pair: Pair) -> None:
    pair.leader.hold()
    pair.leader.run_held(statement("DROP TABLE t"))
    pair.leader.release()
    pair.leader.release()
    pair.same()
    with pytest.raises(StatementFailed, match="not open"):
        pair.leader.run_held(statement("SELECT 1"))
    (outcome,) = pair.batch(CommitHeld("main", Token("late", 0)))
    assert isinstance(outcome, Failed)
    pair.do("INSERT INTO t VALUES (1, 1)")


def test_a_held_transaction_that_ends_itself(pair: Pair) -> None:
    pair.do("INSERT INTO t VALUES (1, 1)")
    pair.leader.hold()
    pair.leader.run_held(statement("UPDATE t SET v = 2"))
    with pytest.raises(StatementFailed):
        pair.leader.run_held(statement("INSERT OR ROLLBACK INTO t VALUES (1, 1)"))
    assert not pair.leader.held
    (outcome,) = pair.batch(CommitHeld("main", Token("late", 0)))
    assert isinstance(outcome, Failed)
    assert pair.rows("SELECT v FROM t") == [(1,)]


def test_a_held_transaction_with_a_dangling_reference_does_not_commit(pair: Pair) -> None:
    pair.do("CREATE TABLE c(id INTEGER PRIMARY KEY, p INT REFERENCES t(id) DEFERRABLE INITIALLY DEFERRED)")
    pair.leader.hold()
    pair.leader.run_held(statement("INSERT INTO c VALUES (1, 77)"))
    (outcome,) = pair.batch(CommitHeld("main", Token("commit", 0)))
    assert isinstance(outcome, Failed)
    assert outcome.sqlite_errorname == "SQLITE_CONSTRAINT_FOREIGNKEY"
    assert pair.rows("SELECT * FROM c") == []


def test_reading_memory_beside_a_held_transaction_is_refused_and_a_file_is_not(pair: Pair) -> None:
    pair.leader.hold()
    pair.leader.run_held(statement("INSERT INTO t VALUES (1, 1)"))
    if pair.leader._memory:
        assert refusal(pair.leader, "SELECT * FROM t").sqlite_errorname == "SQLITE_BUSY"
    else:
        assert read(pair.leader, "SELECT * FROM t") == []
    pair.leader.release()
    assert read(pair.leader, "SELECT * FROM t") == []


def test_an_old_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(Broken, match="too old"):
        Replica(MEMORY)
