"""Who may raise the cluster's format number, who hears of it, and who stops."""

import tomllib
from pathlib import Path
from random import Random

import pytest

from quorate.core import kernel
from quorate.core.formats import FORMATS, HERE, RELEASE, Range, Spoken, refuse, release_of
from quorate.core.kernel import Effect, Halt, Identity, Member, Note, Now, RaiseFormat, Recovered
from quorate.core.messages import SINCE, Heartbeat, Message
from quorate.core.node import Node
from quorate.core.requests import Refused, Run, Token, Upgrade
from quorate.core.single_leader.messages import Append, VerifyAsk
from quorate.core.upgrading import Versions

MEMBERS = tuple(Member(number, f"n{number}", f"h:{number}") for number in (1, 2, 3))
ALL = {2: True, 3: True}
TO_2 = Upgrade(2, Token("t", 0))


def versions(formats: Range = HERE, folder: int = 1) -> tuple[Versions, list[Effect]]:
    effects: list[Effect] = []
    return Versions(folder, formats, effects.append), effects


def heard(known: Versions, highest: int, *nodes: int) -> None:
    for node in nodes:
        known.heard(node, Spoken(1, highest, 1))


def test_the_numbers_are_declared_without_holes_and_this_release_reads_two() -> None:
    assert [each.number for each in FORMATS] == list(range(1, len(FORMATS) + 1))
    assert Range(HERE.highest - 1, HERE.highest) == HERE
    assert FORMATS[-1].release == RELEASE
    assert set(SINCE.values()) <= {each.number for each in FORMATS}
    assert set(SINCE) <= set(Message.__args__)


def test_it_is_raised_when_every_member_is_there_and_reads_it() -> None:
    known, _ = versions()
    heard(known, 2, 2, 3)
    write = known.finalization(1, MEMBERS, ALL, TO_2)
    assert isinstance(write, Run)
    assert write.statements[0].sql == "PRAGMA user_version = 2"


@pytest.mark.parametrize(
    ("highest", "alive", "reasons"),
    [
        ({2: 2, 3: 1}, ALL, ["n3 reads format 1"]),
        ({2: 2, 3: 2}, {2: True, 3: False}, ["n3 is away"]),
        ({2: 2, 3: 2}, {2: True}, ["n3 is away"]),
        ({2: 1, 3: 2}, {2: True, 3: False}, ["n2 reads format 1", "n3 is away"]),
        ({2: 2}, ALL, ["n3 reads format 1"]),
    ],
)
def test_it_is_refused_with_names(highest: dict[int, int], alive: dict[int, bool], reasons: list[str]) -> None:
    known, _ = versions()
    for node, number in highest.items():
        heard(known, number, node)
    refusal = known.finalization(1, MEMBERS, alive, TO_2)
    assert isinstance(refusal, Refused)
    assert refusal.message == f"not raised to format 2: {', '.join(reasons)}"
    assert "release 0.1.0 or later" in refusal.hint


def test_a_leader_of_the_older_release_names_itself() -> None:
    known, _ = versions(Range(1, 1))
    heard(known, 2, 2, 3)
    refusal = known.finalization(1, MEMBERS, ALL, TO_2)
    assert isinstance(refusal, Refused)
    assert refusal.message == "not raised to format 2: n1 reads format 1"


def test_what_is_raised_is_not_raised_again() -> None:
    known, _ = versions(folder=2)
    assert known.finalization(1, MEMBERS, {}, TO_2) is None


def test_a_node_that_hears_of_the_new_number_raises_its_folder_once() -> None:
    known, effects = versions()
    known.heard(2, Spoken(1, 2, 2))
    known.learn(2)
    known.learn(1)
    assert [effect for effect in effects if not isinstance(effect, Note)] == [RaiseFormat(2, "0.1.0")]
    assert known.spoken == Spoken(1, 2, 2)


def test_a_node_that_cannot_read_the_new_number_stops_and_says_what_it_needs() -> None:
    known, effects = versions(Range(1, 1))
    known.heard(2, Spoken(1, 2, 2))
    (halt,) = effects
    assert isinstance(halt, Halt)
    assert "reads format 1: start this node with release 0.1.0 or later" in halt.reason


def test_messages_that_a_node_does_not_know_are_not_for_it() -> None:
    known, _ = versions()
    assert not known.understands(2, VerifyAsk), "it was not heard yet"
    heard(known, 1, 2)
    heard(known, 2, 3)
    assert [known.understands(node, VerifyAsk) for node in (2, 3)] == [False, True]
    assert known.understands(2, Append)


def test_heartbeats_carry_what_a_node_reads() -> None:
    identity = Identity("c", 1, "n1", 1, MEMBERS, format=1)
    node = Node(Recovered(identity, ()), Random(1))
    effects = node.step(Now(1_000_000), kernel.Wake())
    beats = [effect.message for effect in effects if isinstance(effect, kernel.Send)]
    assert [beat.spoken for beat in beats if isinstance(beat, Heartbeat)] == [Spoken(HERE.lowest, HERE.highest, 1)] * 2


def test_sentences_name_releases() -> None:
    assert release_of(1) == "release 0.1.0.dev0"
    assert release_of(99) == f"a release later than {RELEASE}"
    assert refuse("f", 99)[1] == f"start it with a release later than {RELEASE}"
    assert refuse("f", 99, release="9.9")[1] == "start it with release 9.9 or later"
    assert refuse("f", 1, Range(2, 3))[1] == "start it with release 0.1.0 first, and finalize that upgrade"


def test_the_release_is_that_of_the_package() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert tomllib.loads(project)["project"]["version"] == RELEASE
