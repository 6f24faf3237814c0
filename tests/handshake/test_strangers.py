"""Whatever strangers send before a login is refused; and the check sees a node that lets them in."""

from random import Random

import pytest

from quorate.core.auth.users import Login
from quorate.lab.handshake.inputs import draw
from quorate.lab.handshake.run import Broken, play
from quorate.transport.entry import Entry


def test_strangers_get_nothing() -> None:
    tally = play(3_000, 7)
    assert tally.inputs == 3_000
    assert {"login", "not_our_protocol", "frame_corrupt", "cluster", "open"} <= set(tally.refused)


def test_the_same_seed_sends_the_same() -> None:
    assert draw(Random("1")) == draw(Random("1"))
    assert draw(Random("1")) != draw(Random("2"))


def test_a_node_that_believes_a_name_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(self: Entry, _payload: bytes, _now: float) -> bytes:
        self.login = Login("ann")
        return b""

    monkeypatch.setattr(Entry, "take", take)
    with pytest.raises(Broken, match="has got in"):
        play(3_000, 7)


def test_a_node_that_fails_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def take(_self: Entry, payload: bytes, _now: float) -> bytes:
        return bytes([payload[10_000]])

    monkeypatch.setattr(Entry, "take", take)
    with pytest.raises(Broken, match="IndexError"):
        play(3_000, 7)
