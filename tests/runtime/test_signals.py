import logging
import signal
from collections.abc import Callable

import pytest

from quorate.runtime.signals import Signals


class SignalLoop:
    """An event loop as far as signals go."""

    def __init__(self) -> None:
        self.handlers: dict[int, Callable[[], None]] = {}

    def add_signal_handler(self, sig: int, callback: Callable[[], None]) -> None:
        self.handlers[sig] = callback

    def remove_signal_handler(self, sig: int) -> bool:
        return self.handlers.pop(sig, None) is not None


class Rig:
    def __init__(self) -> None:
        self.loop = SignalLoop()
        self.said: list[str] = []
        self.signals = Signals(self.loop, lambda: self.said.append("drain"), lambda: self.said.append("now"))

    def receive(self, *numbers: int) -> list[str]:
        for number in numbers:
            self.loop.handlers[number]()
        return self.said


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ([signal.SIGTERM], ["drain"]),
        ([signal.SIGINT], ["drain"]),
        ([signal.SIGTERM, signal.SIGTERM], ["drain"]),
        ([signal.SIGINT, signal.SIGTERM], ["drain"]),
        ([signal.SIGINT, signal.SIGINT], ["drain", "now"]),
        ([signal.SIGTERM, signal.SIGINT], ["drain", "now"]),
    ],
)
def test_the_first_drains_and_a_second_interrupt_ends(numbers: list[int], said: list[str]) -> None:
    assert Rig().receive(*numbers) == said


def test_hanging_up_is_logged_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "quorate.runtime"):
        assert Rig().receive(signal.SIGHUP) == []
    assert "nothing to reload" in caplog.text


def test_handlers_are_taken_back() -> None:
    rig = Rig()
    rig.signals.close()
    assert rig.loop.handlers == {}
