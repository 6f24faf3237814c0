"""The arithmetic of ack policies, and the table of promises that is built on it."""

import subprocess
import sys
from pathlib import Path

import pytest

from quorate.core.ack_policy import ASYNC, MAJORITY, SEMI_SYNC, SYNC, AckPolicy, NoSuchAcks, parse, parse_for, read_rule
from quorate.core.own_writes import WAYS
from quorate.core.promises import READS
from quorate.core.read_levels import BOUNDED, EVENTUAL, LEADER, LINEARIZABLE, READ_LEVELS, SESSION, offered
from quorate.core.settings import Settings
from quorate.core.single_leader.promises import ACKS, EVERY, KEPT, explain, judges, row, strongest_read, table

ROOT = Path(__file__).resolve().parent.parent.parent


def rules(voters: int) -> list[AckPolicy]:
    semi = [AckPolicy(SEMI_SYNC, count) for count in range(1, voters)]
    return [AckPolicy(ASYNC), AckPolicy(SYNC), AckPolicy(MAJORITY), *semi]


@pytest.mark.parametrize("voters", range(1, 10))
def test_every_rule_but_async_meets_its_elections_and_no_vote_is_less_than_a_majority(voters: int) -> None:
    for rule in rules(voters):
        assert 1 <= rule.holders(voters) <= voters
        assert rule.votes(voters) > voters // 2, "or one epoch could have two leaders"
        assert rule.votes(voters) <= voters
        assert rule.intersects(voters) == (rule.kind != ASYNC or voters <= 2), "of two nodes both must vote"
        fewer = rule.votes(voters) - 1
        assert fewer <= voters // 2 or rule.holders(voters) + fewer <= voters, "asks for more votes than it needs"


def test_the_example_of_five_nodes() -> None:
    rule = parse("semi-sync:1")
    assert (rule.holders(5), rule.votes(5)) == (2, 4)
    assert (rule.holders(3), rule.votes(3)) == (2, 2)
    assert (parse("sync").holders(5), parse("sync").votes(5)) == (5, 3)
    assert (parse("async").holders(5), parse("async").votes(5)) == (1, 3)


@pytest.mark.parametrize("text", ["async", "semi-sync:1", "semi-sync:12", "sync", "majority"])
def test_a_rule_is_spelt_as_it_is_read(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("semi-sync", "does not say how many"),
        ("semi-sync:", "is not a number"),
        ("semi-sync:0", "is not a number"),
        ("semi-sync:-1", "is not a number"),
        ("semi-sync:\u0661", "is not a number"),
        ("sync:1", "unknown acks"),
        ("Majority", "unknown acks"),
        ("", "unknown acks"),
        (None, "unknown acks"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_reason(text: object, message: str) -> None:
    with pytest.raises(NoSuchAcks, match=message) as caught:
        parse(text)
    assert caught.value.hint


def test_a_rule_that_so_many_replicas_can_never_meet_is_refused() -> None:
    assert parse_for("semi-sync:2", 3) == AckPolicy(SEMI_SYNC, 2)
    with pytest.raises(NoSuchAcks, match="3 replicas have 2 followers") as caught:
        parse_for("semi-sync:3", 3)
    assert caught.value.hint == "semi-sync:2 is the most"
    with pytest.raises(NoSuchAcks, match="1 replicas have no follower"):
        parse_for("semi-sync:1", 1)


def test_the_table_has_every_choice_once_and_refuses_only_linearizable_async() -> None:
    rows = list(table())
    assert len({(each.acks, each.read) for each in rows}) == len(rows) == len(ACKS) * len(READS)
    assert [(each.acks, each.read) for each in rows if not each.promises] == [(ASYNC, LINEARIZABLE)]
    assert set(READS) == set(READ_LEVELS)
    for each in rows:
        assert all(promise in EVERY for promise in each.promises)
        assert offered(each.acks, each.read) == bool(each.promises)
        assert each.conditions


def test_the_default_read_level_is_the_strongest_promised() -> None:
    assert strongest_read(AckPolicy(ASYNC)) == LEADER
    for kind in (SEMI_SYNC, SYNC, MAJORITY):
        assert strongest_read(AckPolicy(kind, 1)) == LINEARIZABLE


def test_the_laboratory_judges_by_the_table() -> None:
    assert KEPT in row(MAJORITY, EVENTUAL).promises
    assert "lost tail" in judges(AckPolicy(ASYNC))
    assert not {"linearizability", "bounded staleness"} & judges(AckPolicy(ASYNC))
    assert all("session" in judges(AckPolicy(kind, 1)) for kind in ACKS)
    for kind in (SEMI_SYNC, SYNC, MAJORITY):
        assert {"linearizability", "acknowledged write lost"} <= judges(AckPolicy(kind, 1))


def test_an_explanation_says_how_many_may_be_away() -> None:
    said = explain(parse("semi-sync:1"), 5)
    assert (said.away_for_writes, said.disks, said.votes) == (1, 1, 4)
    assert "4 of 5 nodes elect another" in " ".join(said.sentences)
    assert "any 1 node is away, and while 2 followers are as long as the leader stays" in " ".join(said.sentences)
    said = explain(parse("sync"), 3)
    assert said.away_for_writes == 0
    assert said.away_for_reads == {LINEARIZABLE: 1, LEADER: 1, BOUNDED: 1, SESSION: 2, EVENTUAL: 2}
    assert "refused as not done" in " ".join(said.sentences)
    said = explain(parse("async"), 3)
    assert LINEARIZABLE not in said.away_for_reads
    assert "quorate lost list" in " ".join(said.sentences)
    assert "There is no failover" in " ".join(explain(parse("majority"), 1).sentences)


def test_an_explanation_says_how_one_meets_ones_own_writes_and_what_a_hold_is() -> None:
    said = " ".join(explain(parse("async"), 3).sentences)
    assert all(f"read_your_writes={way.spelling} ({way.says})" in said for way in WAYS.values())
    settings = Settings()
    assert f"while others wait after {settings.hold_us // 1_000_000} s" in said
    assert f"or {settings.hold_idle_us // 1_000} ms without a statement" in said
    assert "read_your_writes" not in " ".join(explain(parse("async"), 1).sentences)


def test_the_page_of_promises_is_current() -> None:
    command = [sys.executable, str(ROOT / "tools" / "promises_page.py"), "--check"]
    done = subprocess.run(command, cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0, "run python tools/promises_page.py"


def test_who_decides_is_part_of_a_rules_text_and_of_its_explanation() -> None:
    rule = read_rule("semi-sync:1 etcd")
    assert (rule.failover, rule.text, str(rule)) == ("etcd", "semi-sync:1 etcd", "semi-sync:1")
    assert rule.votes(2) == 2, "a permit takes the place of no vote"
    said = explain(read_rule("majority etcd"), 3)
    assert said.options == {"acks": "majority", "failover": "etcd"}
    assert said.away_for_writes == 1
    assert "etcd permits it" in " ".join(said.sentences)
    assert "etcd" not in " ".join(explain(read_rule("majority"), 3).sentences)
