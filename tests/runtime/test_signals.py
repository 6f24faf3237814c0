import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from quorate.runtime.signals import Signals


class SignalLoop:
    """An event loop as far as signals go: it calls back at once."""

    def call_soon_threadsafe(self, callback: Callable[[], None], /) -> None:
        callback()


class Rig:
    def __init__(self) -> None:
        self.said: list[str] = []
        drain, now, reload = (lambda word=word: self.said.append(word) for word in ("drain", "now", "reload"))
        self.signals = Signals(SignalLoop(), drain, now, reload)

    def receive(self, *numbers: int) -> list[str]:
        for number in numbers:
            signal.raise_signal(number)
        return self.said


@pytest.fixture
def rig() -> Iterator[Rig]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what runs in the background ignore it
    yield Rig()
    for number, handler in before.items():
        signal.signal(number, handler)


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
def test_the_first_drains_and_a_second_interrupt_ends(rig: Rig, numbers: list[int], said: list[str]) -> None:
    assert rig.receive(*numbers) == said


def test_hanging_up_reads_certificates_again_however_often(rig: Rig) -> None:
    assert rig.receive(signal.SIGHUP, signal.SIGHUP) == ["reload", "reload"]


def test_what_is_closed_is_told_to_stop_no_more(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    set_signal = signal.signal
    handlers: dict[int, list[object]] = {}

    def watched(number: int, handler: Any) -> object:
        handlers.setdefault(number, []).append(handler)
        return set_signal(number, handler)

    monkeypatch.setattr(signal, "signal", watched)
    rig.signals.close()
    assert handlers[signal.SIGTERM] == handlers[signal.SIGHUP] == [signal.SIG_IGN], "one step: never the default"
    assert rig.receive(signal.SIGTERM, signal.SIGHUP) == []
    with pytest.raises(KeyboardInterrupt):
        rig.receive(signal.SIGINT)
