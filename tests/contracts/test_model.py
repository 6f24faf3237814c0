"""The model of SQLite that most simulated seeds keep their data in, against SQLite itself: the same requests, the same
answers, byte for byte; and the same refusals of entries that do not fit."""

import random
from typing import Any

import pytest

from quorate.core.auth.users import AUTH_SCHEMA
from quorate.core.catalog import DROP, MEMBERS_SCHEMA, QUERIES, SCHEMA
from quorate.core.directory import ALTER, Directory
from quorate.core.entries import DATA, NOOP, ORIGIN, Entry, Position
from quorate.core.options import SingleLeaderOptions
from quorate.core.recovered import Identity, Member
from quorate.core.requests import CreateDatabase, Outcome, Run, Write
from quorate.core.statements import BOUND, Failed, Statement, Token
from quorate.lab.sim.engine.world import World
from quorate.lab.sim.scenarios.dials import Dials
from quorate.lab.sim.stores.model import ModelReplica
from quorate.lab.sim.stores.store import UnknownToModel
from quorate.lab.sim.workloads.large import LARGE
from quorate.lab.sim.workloads.ledger import Ledger
from quorate.lab.sim.workloads.operations import DUMP, MARK, SETUP, Database, Operation, Operations
from quorate.storage.data.replica import Replica
from quorate.storage.interface import Divergent
from quorate.storage.rows.payload import decode_outcome

DUMPS = tuple(Statement(sql) for _, sql in DUMP)
CATALOG = tuple(Statement(sql) for sql in QUERIES)
EVERYTHING = Dials(reads=0, writes=3, compares=3, counters=3, pairs=2, failing=4, journals=4, schema=2, weak_reads=0)


class Both:
    """A leader and a follower in SQLite, and the same in the model."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.leaders: list[Any] = [Replica(":memory:"), ModelReplica()]
        self.followers: list[Any] = [Replica(":memory:"), ModelReplica()]
        self.stack: list[tuple[bytes, bytes]] = []
        """The payloads of the open batches, in SQLite and in the model."""
        self.tokens: list[Token] = []
        self.epoch = 1

    def close(self) -> None:
        for replica in self.leaders + self.followers:
            replica.close()

    def execute(self, requests: list[Write]) -> bool:
        """The same answers; True when there is something to commit."""
        sqlite, model = (replica.execute(requests, 5) for replica in self.leaders)
        told = [[decode_outcome(outcome) for outcome in outcomes] for _, outcomes in (sqlite, model)]
        assert told[1] == told[0]
        assert model[1] == sqlite[1]
        assert (model[0] is None) == (sqlite[0] is None)
        if sqlite[0] is None:
            return False
        self.stack.append((sqlite[0], model[0]))
        return True

    def commit(self, behind: int = 0) -> None:
        """All open batches at once; then `behind` entries without data, which the commit covers too."""
        first = self.leaders[0].applied.index + 1
        batches = range(first, first + len(self.stack))
        last = batches[-1] + behind
        for replica in self.leaders:
            replica.commit(Position(self.epoch, last), tuple(batches))
        for kind, follower in enumerate(self.followers):
            entries = [
                Entry(at, self.epoch, DATA, payloads[kind]) for at, payloads in zip(batches, self.stack, strict=True)
            ]
            entries += [Entry(at, self.epoch, NOOP, b"") for at in range(batches[-1] + 1, last + 1)]
            follower.apply(entries)
        self.stack.clear()

    def rollback(self) -> None:
        for replica in self.leaders:
            replica.rollback()
        self.stack.clear()

    def skip(self) -> None:
        """An entry without data, on every replica."""
        self.epoch += 1
        index = self.leaders[0].applied.index + 1
        for replica in self.leaders + self.followers:
            replica.apply([Entry(index, self.epoch, NOOP, b"")])

    def compare(self, statements: tuple[Statement, ...]) -> None:
        answers = [replica.query(statements) for replica in self.leaders + self.followers]
        assert [decode_outcome(outcome) for outcome, _ in answers[1:]] == [decode_outcome(answers[0][0])] * 3
        assert answers[1:] == [answers[0]] * 3
        assert [replica.digest() for replica in self.followers] == [replica.digest() for replica in self.leaders]

    def copy(self) -> None:
        """Each follower becomes a copy of its leader."""
        for kind, (leader, follower) in enumerate(zip(self.leaders, self.followers, strict=True)):
            follower.close()
            self.followers[kind] = fresh = type(follower)(":memory:") if kind == 0 else ModelReplica()
            fresh.load(leader.dump())
            assert (fresh.applied, fresh.digest()) == (leader.applied, leader.digest())


def run(operation: Operation, token: Token | None) -> Run:
    return Run(operation.database, operation.statements, token=token)


@pytest.mark.parametrize("seed", range(8))
def test_callers_are_answered_alike(seed: int) -> None:
    both = Both(seed)
    database = Database("main", EVERYTHING)
    operations = Operations(EVERYTHING, Ledger(World("model")), both.rng, lambda: 0)
    both.compare(DUMPS)
    assert both.execute([run(operations.setup(database), Token("setup", 0))])
    both.commit()
    for round_ in range(60):
        requests: list[Write] = []
        for number in range(both.rng.choice((1, 1, 2, 5))):
            token = Token(f"{round_}-{number}" + both.rng.choice(("", f"{BOUND}one")), 0)
            if both.tokens and both.rng.random() < 0.2:
                token = both.rng.choice(both.tokens)
                token = Token(both.rng.choice((token.id, token.name, f"{token.name}{BOUND}other")), token.seen)
            both.tokens.append(token)
            asks = both.rng.random() < 0.1
            requests.append(Outcome("main", token) if asks else run(operations.next(1, database), token))
        both.execute(requests)
        if not both.stack or both.rng.random() < 0.4:
            continue  # the next batch goes on top of this one
        if both.rng.random() < 0.1:
            both.rollback()
            continue
        both.commit(both.rng.choice((0, 0, 1)))
        if both.rng.random() < 0.1:
            both.skip()
        if both.rng.random() < 0.1:
            both.copy()
        both.compare(DUMPS)
    both.close()


def test_the_catalog_is_answered_alike() -> None:
    both = Both(0)
    members = tuple(Member(number, f"n{number}", f"node-{number}:1") for number in (1, 2, 3))
    directory = Directory(Identity("simulated", 1, "n1", 0, members))
    both.compare(CATALOG)
    founding = directory.founding()
    assert both.execute([founding])
    both.commit()
    twice = directory.founding()
    assert both.execute([Run(twice.database, twice.statements, token=Token("twice", 0))])
    both.commit()
    for number, name in enumerate(("extra", "other", "extra")):
        creation = directory.creation(CreateDatabase(name, "single-leader", {}, 2, Token(f"create {number}", 0)))
        assert isinstance(creation, Run)
        assert both.execute([creation])
        both.commit()
        both.compare(CATALOG)
    known, wanted = (options.encode() for options in (SingleLeaderOptions(), SingleLeaderOptions(acks="sync")))
    for number, name in enumerate(("main", "main", "nowhere")):  # the second is decided on what is no more so
        alteration = (Statement(ALTER, ((known, wanted, name),)),)
        assert both.execute([Run(founding.database, alteration, token=Token(f"alter {number}", 0))])
        both.commit()
        both.compare(CATALOG)
    for number, name in enumerate(("extra", "extra", "main", "nowhere")):
        drop = tuple(Statement(sql, ((name,),)) for sql in DROP)
        assert both.execute([Run(founding.database, drop, token=Token(f"drop {number}", 0))])
        both.commit()
        both.compare(CATALOG)
    again = directory.creation(CreateDatabase("extra", "single-leader", {}, 2, Token("again", 0)))
    assert isinstance(again, Run)
    assert both.execute([again])
    both.commit()
    both.compare(CATALOG)
    both.close()


def made(both: Both) -> Operations:
    database = Database("main", EVERYTHING)
    operations = Operations(EVERYTHING, Ledger(World("model")), both.rng, lambda: 0)
    both.execute([run(operations.setup(database), Token("setup", 0))])
    return operations


@pytest.mark.parametrize("what", ["gap", "epoch", "schema", "row"])
def test_entries_that_do_not_fit_are_refused_alike(what: str) -> None:
    both = Both(0)
    made(both)
    both.commit()
    write = Statement("UPDATE registers SET value = ? WHERE key = ?", ((7, "k0"),))
    both.execute([Run("main", (write,), token=Token("write", 0))])
    if what == "schema":
        add = Statement("ALTER TABLE journal ADD COLUMN x1 INTEGER DEFAULT 1")
        pair: tuple[Any, Any] = (Replica(":memory:"), ModelReplica())
        for kind, replica in enumerate(pair):
            replica.load(both.followers[kind].dump())
            payload, _ = replica.execute([Run("main", (add,), token=Token("add", 0))])
            assert payload is not None
            both.followers[kind].apply([Entry(2, 1, DATA, payload)])
            replica.close()
    index, epoch = {"gap": (3, 1), "epoch": (2, 0), "schema": (3, 1), "row": (2, 1)}[what]
    payloads = both.stack[0]
    if what == "row":
        both.commit()
        index = 3  # the same change once more: the row is not as the leader found it
    before = [follower.digest() for follower in both.followers]
    for follower, payload in zip(both.followers, payloads, strict=True):
        with pytest.raises(Divergent):
            follower.apply([Entry(index, epoch, DATA, payload)])
    assert [follower.digest() for follower in both.followers] == before
    both.close()


def test_an_image_is_as_long_as_pages_are() -> None:
    both = Both(0)
    made(both)
    both.commit()
    sqlite, model = (len(leader.dump()) for leader in both.leaders)
    assert model % 4096 == 0
    assert sqlite / 2 < model < sqlite * 2
    both.close()


def test_replicas_made_of_the_same_image_go_their_own_ways() -> None:
    both = Both(0)
    made(both)
    both.commit()
    leader = both.leaders[1]
    image = leader.dump()
    one, other = ModelReplica(), ModelReplica()
    one.load(image)
    other.load(image)
    before = other.digest()
    entry = Entry(one.applied.index + 1, one.applied.epoch, DATA, leader.execute([marked(7)])[0])
    one.apply([entry])
    assert other.digest() == before == leader.digest()
    assert other.dump() == image != one.dump()
    assert other.execute([marked(7)])[0] is not None, "the token is not known to it"
    third = ModelReplica()
    third.load(one.dump())
    assert third.digest() == one.digest() != before
    assert third.execute([marked(7)])[0] is None
    both.close()


def marked(number: int) -> Run:
    return Run("main", (Statement(MARK, ((number,),)),), token=Token(f"mark-{number}", 0))


def test_a_large_row_takes_the_place_of_the_last_one() -> None:
    both = Both(0)
    database = Database("main", EVERYTHING)
    setup = Operations(EVERYTHING, Ledger(World("model")), both.rng, lambda: 0).setup(database)
    assert both.execute([run(setup, Token("setup", 0))])
    for number, note in enumerate(("a" * 50, "b" * 50)):
        assert both.execute([Run("main", (Statement(LARGE, ((note,),)),), token=Token(f"large-{number}", 0))])
        both.commit()
        both.compare(DUMPS)
    both.close()


@pytest.mark.parametrize(
    ("create", "insert", "row"),
    [
        (SETUP[3], MARK, (1,)),
        (SCHEMA[0], "INSERT INTO members VALUES (?, ?, ?)", (1, "n1", "node-1:1")),
        (SCHEMA[1], "INSERT INTO databases VALUES (?, ?, ?)", ("main", "single-leader", "")),
        (MEMBERS_SCHEMA[0], "INSERT INTO member_changes VALUES (?, ?, ?)", (1, "add", "token")),
        (MEMBERS_SCHEMA[1], "INSERT INTO removed VALUES (?, ?, ?)", (1, "n1", "node-1:1")),
        (MEMBERS_SCHEMA[2], "INSERT INTO catalog_voters VALUES (?)", (1,)),
        (MEMBERS_SCHEMA[3], "INSERT INTO beginnings VALUES (?, ?)", (2, 1)),
        (AUTH_SCHEMA[0], "INSERT INTO users VALUES (?, ?, ?)", ("ann", 1, "verifier")),
        (AUTH_SCHEMA[1], "INSERT INTO user_tokens VALUES (?, ?, ?, ?)", ("id", "ann", "verifier", 1)),
        (AUTH_SCHEMA[2], "INSERT INTO grants VALUES (?, ?, ?)", ("ann", "main", "reader")),
        (AUTH_SCHEMA[3], "INSERT INTO login_secret VALUES (?, ?)", (1, "secret")),
    ],
)
def test_a_key_that_is_taken_is_refused_alike(create: str, insert: str, row: tuple[Any, ...]) -> None:
    both = Both(0)
    statements = (Statement(create), Statement(insert, (row,)))
    assert both.execute([Run("main", statements, token=Token("first", 0))])
    both.commit()
    assert both.execute([Run("main", statements[1:], token=Token("second", 0))])
    told = decode_outcome(both.leaders[1].execute([Outcome("main", Token("second", 0))], 5)[1][0])
    assert isinstance(told, Failed)
    assert told.sqlite_errorname == "SQLITE_CONSTRAINT_PRIMARYKEY"
    both.close()


def test_a_new_replica_stands_nowhere() -> None:
    replica = ModelReplica()
    assert replica.applied == ORIGIN
    assert replica.execute([]) == (None, ())


def test_what_it_has_not_learnt_it_does_not_guess() -> None:
    with pytest.raises(UnknownToModel):
        ModelReplica().query([Statement("SELECT 1")])
    with pytest.raises(UnknownToModel):
        ModelReplica().execute([Run("main", (Statement("CREATE VIEW v AS SELECT 1"),), token=Token("view", 0))])
