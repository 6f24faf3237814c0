"""The load generator's side of Quorate's protocol, and what is counted."""

import msgspec
import pytest
from bench.load import Caller, Spec
from bench.loop import Tally, summary

from quorate.core.requests import Answer, Ask, Done, Expired, Refused, Run, Told
from quorate.core.statements import Failed, Result
from quorate.wire.codec import decode_ask, encode
from quorate.wire.frames import FrameReader, frame
from quorate.wire.handshake import CLIENT, Hello, greeting

CHANGED = Done((Result((), [], 1),))
FOUND = Done((Result((("v", "TEXT"),), [("x",)], -1),))


class Server:
    """Reads what a caller sends, and answers."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.reader = FrameReader()
        assert self.reader.feed(caller.hello())
        self.asked = self.read(caller.received(greeting(Hello(CLIENT)), 0.0))

    def read(self, data: bytes) -> list[Ask]:
        return [decode_ask(payload) for payload in self.reader.feed(data)]

    def answer(self, body: object, now: float, index: int = 0) -> None:
        asked, self.asked = self.asked, []
        for ask in asked:
            if isinstance(body, Refused):
                told = Told(ask.id, body)
            else:
                told = Told(ask.id, Answer(msgspec.Raw(msgspec.msgpack.encode(body)), index))
            self.asked += self.read(self.caller.received(frame(encode(told)), now))


def run_of(ask: Ask) -> Run:
    assert isinstance(ask.body, Run)
    return ask.body


def make(kind: str, in_flight: int = 1) -> tuple[Server, Tally]:
    tally = Tally()
    tally.measuring = True
    return Server(Caller(Spec("a:1", "main", kind, in_flight=in_flight), tally, ["main"], 0)), tally


def test_as_many_requests_are_under_way_as_asked_for() -> None:
    server, tally = make("select", in_flight=5)
    assert len(server.asked) == 5
    server.answer(FOUND, 0.25)
    assert len(server.asked) == 5
    assert tally.latencies == [0.25] * 5
    assert tally.failures == {}


def test_every_write_has_a_token_of_its_own_that_carries_the_index_heard_of() -> None:
    server, tally = make("update")
    first = run_of(server.asked[0]).token
    server.answer(CHANGED, 0.1, index=41)
    second = run_of(server.asked[0]).token
    assert first is not None
    assert second is not None
    assert first.id != second.id
    assert (first.seen, second.seen) == (0, 41)
    assert tally.failures == {}


def test_only_a_first_token_may_be_expired() -> None:
    server, tally = make("update")
    server.answer(Expired(), 0.1, index=41)
    assert tally.failures == {}
    server.answer(Expired(), 0.2, index=42)
    assert list(tally.failures.values()) == [1]


def test_a_read_and_its_write_are_one_operation_on_one_key() -> None:
    server, tally = make("read-update")
    read = run_of(server.asked[0])
    assert read.token is None
    server.answer(FOUND, 0.1)
    write = run_of(server.asked[0])
    assert tally.latencies == []
    assert write.token is not None
    assert write.statements[0].sets[0][1] == read.statements[0].sets[0][0]  # type: ignore[index]
    server.answer(CHANGED, 0.3)
    assert tally.latencies == [0.3]


@pytest.mark.parametrize(
    "body", [Failed("IntegrityError", "no"), Refused("Unavailable", "not now"), Done((Result((), [], 0),))]
)
def test_answers_that_are_no_success_are_counted(body: object) -> None:
    server, tally = make("select")
    for _ in range(64):  # of the successes, one in 64 is looked into
        server.answer(body, 0.1)
    assert tally.failures


def test_nothing_is_asked_when_stopping() -> None:
    server, tally = make("select")
    tally.stopping = True
    server.answer(FOUND, 0.1)
    assert server.asked == []
    assert server.caller.owed == 0


def test_a_summary_is_in_the_units_that_its_fields_say() -> None:
    tally = Tally()
    tally.latencies = [0.001, 0.002, 0.003, 0.004]
    found = summary(tally, seconds=2.0, cpu=0.5, servers=1.0, memory=12.345)
    assert found["per_s"] == 2.0
    assert (found["p50_ms"], found["p99_ms"]) == (2.0, 4.0)
    assert (found["load_cpu_share"], found["load_cpu_us"]) == (0.25, 125_000.0)
    assert (found["server_cpu_share"], found["server_cpu_us"]) == (0.5, 250_000.0)
    assert found["memory_mb"] == 12.3
