"""TLS handshakes take turns, and what else is ready goes between them."""

import asyncio

import pytest

from quorate.transport import handshakes
from quorate.transport.handshakes import Handshakes


class Slow:
    """A connection with a handshake of a millisecond of this loop's time, that waits once more behind the first."""

    def __init__(self, loop: "Ticking", queue: Handshakes, seen: list[str], name: str) -> None:
        self._loop, self._queue, self._seen, self._name = loop, queue, seen, name
        self._steps = 0

    def shake(self) -> None:
        self._steps += 1
        self._loop.now += 0.001
        self._seen.append(self._name)
        if self._steps == 1:
            self._queue.wait(self)


class Ticking(asyncio.SelectorEventLoop):
    """A loop whose clock stands still but for what handshakes take."""

    now = 0.0

    def time(self) -> float:
        return self.now


class Failing:
    """A connection on which something is wrong that nobody thought of."""

    def shake(self) -> None:
        raise RuntimeError("unforeseen")


def test_one_that_fails_does_not_end_the_turns_of_others() -> None:
    loop = Ticking()
    seen: list[str] = []
    failures: list[str] = []
    loop.set_exception_handler(lambda _loop, context: failures.append(str(context["exception"])))
    queue = Handshakes(loop)

    async def look() -> None:
        queue.wait(Failing())
        queue.wait(Slow(loop, queue, seen, "a"))
        for _ in range(4):
            await asyncio.sleep(0)
        queue.wait(Failing())
        await asyncio.sleep(0)
        queue.wait(Slow(loop, queue, seen, "b"))
        for _ in range(4):
            await asyncio.sleep(0)

    loop.run_until_complete(look())
    loop.close()
    assert "".join(seen) == "aabb"
    assert failures == ["unforeseen"] * 2


def test_no_turn_of_the_loop_is_longer_than_a_few_handshakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "TURN_S", 0.002)
    loop = Ticking()
    seen: list[str] = []
    queue = Handshakes(loop)

    async def look() -> None:
        for name in "abcde":
            queue.wait(Slow(loop, queue, seen, name))
        for _ in range(7):
            await asyncio.sleep(0)
            seen.append("-")

    loop.run_until_complete(look())
    loop.close()
    assert "".join(seen) == "ab-cd-ea-bc-de---"
