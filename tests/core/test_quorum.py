"""Quorum arithmetic, also against the golden cases of another implementation when they are at hand."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.quorum import EVERYTHING, committed_index, joint_committed_index, joint_vote_won, majority, vote_won

GOLDEN = Path(__file__).parents[3] / "shared" / "data" / "quorum"


def cases(name: str) -> list[tuple[dict[str, str], str]]:
    path = GOLDEN / name
    if not path.exists():
        pytest.skip("golden quorum cases are not here")
    found = []
    for block in path.read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if line and not line.startswith("#")]
        if lines and "----" in lines:
            words = dict(re.findall(r"(\w+)=\(([^)]*)\)", " ".join(lines[: lines.index("----")])))
            joint = {"joint": "yes"} if "cfgj=" in lines[0] else {}
            found.append(({**words, **joint}, lines[-1].strip()))
    assert len(found) > 10
    return found


def numbers(text: str) -> list[str]:
    return [word for word in re.split(r"[ ,]+", text.strip()) if word]


def voters_of(words: dict[str, str], key: str) -> list[int]:
    return [int(word) for word in numbers(words.get(key, "")) if word != "zero"]


def values_of(words: dict[str, str], key: str) -> dict[int, str]:
    everyone = sorted({*voters_of(words, "cfg"), *voters_of(words, "cfgj")})
    return {voter: word for voter, word in zip(everyone, numbers(words.get(key, "")), strict=True) if word != "_"}


@pytest.mark.parametrize("name", ["majority_commit.txt", "joint_commit.txt"])
def test_committed_index_agrees_with_golden_cases(name: str) -> None:
    for words, expected in cases(name):
        matched = {voter: int(word) for voter, word in values_of(words, "idx").items()}
        index = joint_committed_index(voters_of(words, "cfg"), voters_of(words, "cfgj"), matched)
        assert ("∞" if index == EVERYTHING else str(index)) == expected.split(">")[-1], words


@pytest.mark.parametrize("name", ["majority_vote.txt", "joint_vote.txt"])
def test_votes_agree_with_golden_cases(name: str) -> None:
    for words, expected in cases(name):
        votes = {voter: word == "y" for voter, word in values_of(words, "votes").items()}
        result = joint_vote_won(voters_of(words, "cfg"), voters_of(words, "cfgj"), votes)
        assert {True: "VoteWon", False: "VoteLost", None: "VotePending"}[result] == expected, words


@given(st.dictionaries(st.integers(1, 9), st.integers(0, 50), min_size=1))
def test_a_majority_holds_the_committed_index_and_none_holds_more(matched: dict[int, int]) -> None:
    index = committed_index(matched, matched)
    assert sum(1 for value in matched.values() if value >= index) >= majority(len(matched))
    assert sum(1 for value in matched.values() if value > index) < majority(len(matched))


@given(st.sets(st.integers(1, 9), min_size=1), st.dictionaries(st.integers(1, 9), st.booleans()))
def test_two_candidates_cannot_both_win(voters: set[int], votes: dict[int, bool]) -> None:
    opposite = {voter: not vote for voter, vote in votes.items()}
    assert not (vote_won(voters, votes) and vote_won(voters, opposite))
