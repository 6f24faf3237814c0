"""Bookmarks as texts, and what two of them are together."""

import itertools
import random

import pytest

from quorate.core.bookmarks import PLACES_MAX, TEXT_MAX, Bookmark, Reached, digest_of
from quorate.core.bounds import EPOCH_MAX, GROUP_BITS, INDEX_BITS
from quorate.errors import ProgrammingError

CLUSTER = digest_of("a cluster")
LARGEST = Reached((1 << GROUP_BITS) - 1, EPOCH_MAX, (1 << INDEX_BITS) - 1)


def mark(*places: tuple[int, int, int]) -> Bookmark:
    return Bookmark(CLUSTER, tuple(Reached(*each) for each in places))


@pytest.mark.parametrize(
    "bookmark",
    [
        Bookmark(),
        mark((1, 1, 1)),
        mark((1, 3, 70_000), (1, 4, 70_009)),
        mark(*((group, 900_000, 1 << 34) for group in range(1, 1 + PLACES_MAX))),
        Bookmark((1 << 40) - 1, (LARGEST, LARGEST)),
    ],
)
def test_a_bookmark_is_a_short_text_and_comes_back_from_it(bookmark: Bookmark) -> None:
    text = str(bookmark)
    assert len(text) <= TEXT_MAX
    assert text == "" or text.replace("-", "a").replace("_", "a").isalnum()
    assert Bookmark.parse(text) == bookmark
    assert bool(bookmark) == bool(text)


def test_every_change_of_one_sign_is_noticed() -> None:
    text = str(mark((1, 3, 70_000)))
    changed = [text[:at] + sign + text[at + 1 :] for at, sign in itertools.product(range(len(text)), "Ab9-_ .é")]
    for other in {*changed, text[:-1], text + "A", "x" * 65, "\0"} - {text}:
        with pytest.raises(ProgrammingError, match="bookmark"):
            Bookmark.parse(other)


def test_random_texts_are_no_bookmarks_and_break_nothing() -> None:
    rng = random.Random(1)
    for _ in range(2_000):
        text = "".join(rng.choices("ABCabc012-_", k=rng.randint(1, 70)))
        with pytest.raises(ProgrammingError):
            Bookmark.parse(text)


def test_of_one_epoch_the_farther_place_stays_and_of_two_both_do() -> None:
    assert mark((1, 2, 9)) | mark((1, 2, 7)) == mark((1, 2, 9))
    assert mark((1, 2, 9)).merge(mark((1, 3, 20))) == mark((1, 2, 9), (1, 3, 20)), "2:9 may be lost"
    assert mark((1, 2, 9)) | mark((2, 1, 1)) == mark((1, 2, 9), (2, 1, 1))
    assert Bookmark() | mark((1, 2, 9)) == mark((1, 2, 9)) == mark((1, 2, 9)) | Bookmark()


def test_what_one_bookmark_cannot_hold_is_refused() -> None:
    with pytest.raises(ProgrammingError, match="two clusters"):
        mark((1, 2, 9)).merge(Bookmark(digest_of("another"), (Reached(1, 2, 9),)))
    full = mark(*((group, 1, 1) for group in range(1, 1 + PLACES_MAX)))
    with pytest.raises(ProgrammingError, match="at most 4 places"):
        full.merge(mark((9, 1, 1)))
    with pytest.raises(ProgrammingError, match="at most"):
        Bookmark(CLUSTER, (LARGEST,)).merge(mark(*((1, EPOCH_MAX - each, 1 << 39) for each in range(1, 4))))
    with pytest.raises(ProgrammingError, match="not with str"):
        full.merge("x")  # type: ignore[arg-type]


def test_an_answer_stands_for_what_its_node_was_shown_and_for_nothing_else() -> None:
    before = mark((1, 2, 9))
    assert before.moved(before, CLUSTER, Reached(1, 3, 12)) == mark((1, 3, 12))
    assert mark((1, 2, 15)).moved(before, CLUSTER, Reached(1, 3, 12)) == mark((1, 2, 15), (1, 3, 12)), "heard meanwhile"
    assert mark((1, 2, 15)).moved(before, CLUSTER, Reached(1, 2, 12)) == mark((1, 2, 15)), "an older answer, late"
    both = mark((1, 2, 15), (1, 3, 12))
    assert both.moved(both, CLUSTER, Reached(1, 3, 12)) == mark((1, 3, 12))
    assert both.moved(both, CLUSTER, Reached(1, 3, 11)) == mark((1, 3, 12)), "never back"


def test_of_more_than_it_holds_a_moving_bookmark_keeps_the_newest() -> None:
    moving = Bookmark()
    for epoch in range(1, 9):
        moving = moving.moved(Bookmark(), CLUSTER, Reached(1, epoch, 10 * epoch))
    assert moving == mark(*((1, epoch, 10 * epoch) for epoch in range(5, 9)))
