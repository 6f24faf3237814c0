"""The memory behind exactly-once, by itself."""

import random

from quorate.storage.data.window import Window


def test_it_finds_what_it_was_told() -> None:
    window = Window()
    assert window.add(5, ["a", "b"], 10) is None
    assert (window.find("a"), window.find("b"), window.find("c")) == (5, 5, None)
    assert not window.expired(0)
    assert len(window) == 2


def test_whole_oldest_entries_are_forgotten() -> None:
    window = Window(tokens_max=3)
    window.add(2, ["a", "b"], 1)
    window.add(5, ["c"], 1)
    assert window.add(6, ["d"], 1) == 2
    assert window.find("a") is None
    assert window.find("c") == 5
    assert (window.floor, window.expired(1), window.expired(2)) == (2, True, False)


def test_bytes_are_bounded_too_but_the_newest_entry_stays() -> None:
    window = Window(bytes_max=100)
    window.add(1, ["a"], 60)
    assert window.add(2, ["b"], 500) == 1
    assert window.find("b") == 2
    assert window.bytes == 500
    assert window.add(3, ["c"], 1) == 2


def test_what_it_holds_follows_from_the_log_alone() -> None:
    """However often a replica restarts, rebuilding from what is kept gives the same answers as never having done so."""
    rng = random.Random(7)
    always = Window(tokens_max=50, bytes_max=2000)
    restarted = Window(tokens_max=50, bytes_max=2000)
    kept: list[tuple[int, list[str], int]] = []
    for index in range(1, 400):
        entry = (index, [f"{index}.{n}" for n in range(rng.randrange(1, 9))], rng.randrange(400))
        kept.append(entry)
        assert always.add(*entry) == restarted.add(*entry)
        kept = [old for old in kept if old[0] > always.floor]
        if rng.random() < 0.1:
            restarted = Window(always.floor, tokens_max=50, bytes_max=2000)
            for old in kept:
                restarted.add(*old)
        assert (always.floor, len(always), always.bytes) == (restarted.floor, len(restarted), restarted.bytes)
