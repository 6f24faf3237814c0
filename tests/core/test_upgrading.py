"""Who may raise the cluster's format number, who hears of it, and who stops."""

import tomllib
from pathlib import Path
from random import Random

import pytest

from quorate.core import kernel
from quorate.core.formats import FIRST, FORMATS, HERE, RELEASE, Range, Spoken, refuse, release_of
from quorate.core.kernel import Effect, Halt, Note, Now, RaiseFormat
from quorate.core.messages import SINCE, Heartbeat, Message
from quorate.core.node import Node
from quorate.core.recovered import Identity, Member, Recovered
from quorate.core.requests import Refused, Run, Upgrade
from quorate.core.single_leader.messages import Append, VerifyAsk
from quorate.core.statements import Token
from quorate.core.upgrading import Versions

MEMBERS = tuple(Member(number, f"n{number}", f"h:{number}") for number in (1, 2, 3))
BOTH = Range(3, 4)
ALL = {2: True, 3: True}
TO_4 = Upgrade(4, Token("t", 0))


def versions(formats: Range = BOTH, folder: int = 3) -> tuple[Versions, list[Effect]]:
    effects: list[Effect] = []
    return Versions(folder, formats, effects.append), effects


def heard(known: Versions, highest: int, *nodes: int) -> None:
    for node in nodes:
        known.heard(node, Spoken(3, highest, 3))


def test_the_numbers_are_declared_without_holes_and_this_release_reads_its_own_and_the_one_before() -> None:
    assert [each.number for each in FORMATS] == list(range(FIRST, FIRST + len(FORMATS)))
    assert Range(max(FIRST, HERE.highest - 1), HERE.highest) == HERE
    assert FORMATS[-1].release == RELEASE
    assert set(SINCE.values()) <= {each.number for each in FORMATS}
    assert set(SINCE) <= set(Message.__args__)


def test_it_is_raised_when_every_member_is_there_and_reads_it() -> None:
    known, _ = versions()
    heard(known, 4, 2, 3)
    write = known.finalization(1, MEMBERS, ALL, TO_4)
    assert isinstance(write, Run)
    assert write.statements[0].sql == "PRAGMA user_version = 4"


@pytest.mark.parametrize(
    ("highest", "alive", "reasons"),
    [
        ({2: 4, 3: 3}, ALL, ["n3 reads format 3"]),
        ({2: 4, 3: 4}, {2: True, 3: False}, ["n3 is away"]),
        ({2: 4, 3: 4}, {2: True}, ["n3 is away"]),
        ({2: 3, 3: 4}, {2: True, 3: False}, ["n2 reads format 3", "n3 is away"]),
        ({2: 4}, ALL, ["n3 reads format 3"]),
    ],
)
def test_it_is_refused_with_names(highest: dict[int, int], alive: dict[int, bool], reasons: list[str]) -> None:
    known, _ = versions()
    for node, number in highest.items():
        heard(known, number, node)
    refusal = known.finalization(1, MEMBERS, alive, TO_4)
    assert isinstance(refusal, Refused)
    assert refusal.message == f"not raised to format 4: {', '.join(reasons)}"
    assert "a release later than 0.1.0" in refusal.hint


def test_a_leader_of_the_older_release_names_itself() -> None:
    known, _ = versions(Range(3, 3))
    heard(known, 4, 2, 3)
    refusal = known.finalization(1, MEMBERS, ALL, TO_4)
    assert isinstance(refusal, Refused)
    assert refusal.message == "not raised to format 4: n1 reads format 3"


def test_what_is_raised_is_not_raised_again() -> None:
    known, _ = versions(folder=4)
    assert known.finalization(1, MEMBERS, {}, TO_4) is None


def test_a_node_that_hears_of_the_new_number_raises_its_folder_once() -> None:
    known, effects = versions()
    known.heard(2, Spoken(3, 4, 4))
    known.learn(4)
    known.learn(3)
    assert [effect for effect in effects if not isinstance(effect, Note)] == [
        RaiseFormat(4, "a release later than 0.1.0")
    ]
    assert known.spoken == Spoken(3, 4, 4)


def test_a_node_that_cannot_read_the_new_number_stops_and_says_what_it_needs() -> None:
    known, effects = versions(Range(3, 3))
    known.heard(2, Spoken(3, 4, 4))
    (halt,) = effects
    assert isinstance(halt, Halt)
    assert "reads format 3: start this node with a release later than 0.1.0" in halt.reason


def test_messages_that_a_node_does_not_know_are_not_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SINCE, VerifyAsk, 4)
    known, _ = versions()
    assert not known.understands(2, VerifyAsk), "it was not heard yet"
    heard(known, 3, 2)
    heard(known, 4, 3)
    assert [known.understands(node, VerifyAsk) for node in (2, 3)] == [False, True]
    assert known.understands(2, Append)


def test_heartbeats_carry_what_a_node_reads() -> None:
    identity = Identity("c", 1, "n1", 1, MEMBERS, format=3)
    node = Node(Recovered(identity, ()), Random(1))
    effects = node.step(Now(1_000_000), kernel.Wake())
    beats = [effect.message for effect in effects if isinstance(effect, kernel.Send)]
    assert [beat.spoken for beat in beats if isinstance(beat, Heartbeat)] == [Spoken(HERE.lowest, HERE.highest, 3)] * 2


def test_sentences_name_releases() -> None:
    assert release_of(2) == "a build before the first release"
    assert release_of(3) == "release 0.1.0"
    assert release_of(99) == f"a release later than {RELEASE}"
    assert refuse("f", 99)[1] == f"start it with a release later than {RELEASE}"
    assert refuse("f", 99, release="9.9")[1] == "start it with release 9.9 or later"
    assert refuse("f", 3, Range(4, 5))[1].endswith("first, and finalize that upgrade")
    assert "import them" in refuse("f", 2)[1]


def test_the_release_is_that_of_the_package() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert tomllib.loads(project)["project"]["version"] == RELEASE
