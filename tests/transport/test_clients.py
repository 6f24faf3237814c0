"""What a client, or a stranger, can do to a node's port."""

import logging

import msgspec
import pytest
from tests.transport.rig import ANSWER, RawClient, RigNode, nodes, raw, run, until

from quorate.core.limits import FRAME_BYTES_MAX
from quorate.core.messages import Heartbeat
from quorate.core.requests import Answer, Ask, Done, Status
from quorate.transport.tcp import Limits
from quorate.wire.codec import decode_told, encode
from quorate.wire.frames import HEADER, frame
from quorate.wire.handshake import CLIENT, NODE, Hello, RefusedByPeer, greeting, read_refusal


async def ping(node: RigNode) -> None:
    """Somebody else is still served."""
    async with raw(node.address) as client:
        client.ask(1)
        assert decode_told(await client.payload()).body == ANSWER


async def refused(client: RawClient) -> str:
    """The code of the refusal that comes next; the connection ends behind it."""
    reason = read_refusal(await client.payload()).reason
    with pytest.raises(EOFError):
        await client.payload()
    return reason


def test_answers_come_back_under_their_own_ids() -> None:
    async def test() -> None:
        async with nodes(1) as (node,), raw(node.address) as client:
            node.flush_always()
            client.ask(*range(100))
            assert [decode_told(await client.payload()).id for _ in range(100)] == list(range(100))

    run(test)


def test_requests_may_follow_the_greeting_at_once() -> None:
    async def test() -> None:
        async with nodes(1) as (node,):
            node.flush_always()
            async with raw(node.address, greeting(Hello(CLIENT)) + frame(encode(Ask(9, Status())))) as client:
                assert decode_told(await client.payload()).id == 9

    run(test)


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
    "random": bytes(range(255, 0, -1)) * 10,
    "no greeting": frame(b"\x92\x01\x02"),
    "visitor": greeting(Hello("visitor")),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_is_refused_and_nobody_else_notices(garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with nodes(1) as (node,), raw(node.address) as innocent:
            node.flush_always()
            async with raw(node.address, garbage) as client:
                assert await refused(client) == "not_our_protocol"
            innocent.ask(5)
            assert decode_told(await innocent.payload()).id == 5
            assert len(node.handler.asks) == 1

    with caplog.at_level(logging.WARNING, "quorate.transport"):
        run(test)
    assert len(caplog.messages) == 1
    assert "closed the connection from 127.0.0.1" in caplog.text


BAD_FRAMES = {
    "frame_too_long": HEADER.pack(FRAME_BYTES_MAX + 1, 0),
    "frame_corrupt": HEADER.pack(3, 0) + b"abc",
}


@pytest.mark.parametrize("code", BAD_FRAMES)
def test_a_bad_frame_closes_its_connection_and_no_other(code: str) -> None:
    async def test() -> None:
        async with nodes(1) as (node,):
            node.flush_always()
            async with raw(node.address) as client:
                client.writer.write(BAD_FRAMES[code])
                assert await refused(client) == code
            await ping(node)

    run(test)


def test_a_sound_frame_that_is_no_request_is_refused() -> None:
    async def test() -> None:
        async with nodes(1) as (node,):
            node.flush_always()
            async with raw(node.address) as client:
                client.writer.write(frame(msgspec.msgpack.encode(["ask", 1, {"type": "no such thing"}])))
                assert await refused(client) == "frame_corrupt"
            await ping(node)

    run(test)


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        (Hello(CLIENT, version=99, oldest=98), "version"),
        (Hello(CLIENT, cluster="c2"), "cluster"),
        (Hello(NODE, cluster="c1", node=2, wanted=77), "node"),
    ],
)
def test_who_cannot_be_served_is_told_why(hello: Hello, code: str) -> None:
    async def test() -> None:
        async with nodes(1) as (node,), raw(node.address, greeting(hello)) as client:
            assert await refused(client) == code

    run(test)


def test_who_does_not_greet_is_sent_away() -> None:
    async def test() -> None:
        async with nodes(1, Limits(greeting_s=0.05)) as (node,), raw(node.address, b"\x00") as client:
            assert await refused(client) == "not_our_protocol"

    run(test)


def test_one_connection_too_many_is_refused() -> None:
    async def test() -> None:
        async with nodes(1, Limits(connections=1)) as (node,), raw(node.address) as first:
            node.flush_always()
            async with raw(node.address) as second:
                assert await refused(second) == "busy"
            first.ask(1)
            assert decode_told(await first.payload()).id == 1

    run(test)


def test_clients_however_many_do_not_keep_a_peer_out() -> None:
    async def test() -> None:
        peer = greeting(Hello(NODE, cluster="c1", node=9, name="n9"))
        async with nodes(1, Limits(connections=1)) as (node,), raw(node.address), raw(node.address, peer) as link:
            link.writer.write(frame(encode(Heartbeat(1, 1))))
            await node.handler.until(lambda: node.handler.messages == [(9, Heartbeat(1, 1))])

    run(test)


def test_a_client_with_too_much_unanswered_is_not_read_any_further() -> None:
    """The kernel's buffers fill up, and then the client itself has to wait."""

    async def test() -> None:
        async with nodes(1, Limits(client_requests=10)) as (node,), raw(node.address) as client:
            handler = node.handler
            handler.hold = True
            client.ask(*range(10))
            await handler.until(lambda: len(handler.asks) >= 10)
            for wave in range(1, 20):
                client.ask(*range(wave * 100, wave * 100 + 100))
            async with raw(node.address) as other:
                other.ask(7)
                await handler.until(lambda: handler.asks[-1][1] == 7)
            assert len(handler.asks) == 11, "ten of the first client, one of the other"
            handler.hold = False
            node.flush_always()
            for caller, ask, _, size in handler.asks[:10]:
                caller.tell(ask, ANSWER, size)
            told = [decode_told(await client.payload()).id for _ in range(1910)]
            assert told == [*range(10), *range(100, 2000)]

    run(test)


def test_a_client_that_does_not_read_its_answers_is_not_read_either() -> None:
    async def test() -> None:
        async with nodes(1, Limits(write_buffer=1 << 16)) as (node,), raw(node.address) as client:
            handler = node.handler
            handler.reply = Answer(msgspec.Raw(msgspec.msgpack.encode(bytes(1 << 18))), 1)
            node.flush_always()
            client.ask(*range(200))
            await handler.until(lambda: len(handler.asks) >= 1)
            async with raw(node.address) as other:
                for turn in range(50):
                    other.ask(1000 + turn)
                    await other.payload()
            assert len([ask for _, ask, _, _ in handler.asks if ask < 1000]) < 100, "answers nobody reads were made"
            assert [decode_told(await client.payload()).id for _ in range(200)] == list(range(200))

    run(test)


def test_answers_for_a_client_that_left_are_dropped() -> None:
    async def test() -> None:
        async with nodes(1) as (node,):
            node.handler.hold = True
            async with raw(node.address) as client:
                client.ask(1)
                await node.handler.until(lambda: bool(node.handler.asks))
            ((caller, ask, _, size),) = node.handler.asks
            await until(lambda: not node.transport.accepted)
            caller.tell(ask, ANSWER, size)
            node.transport.flush()
            node.handler.hold = False
            node.flush_always()
            await ping(node)

    run(test)


def test_a_write_whose_rows_do_not_fit_is_still_said_to_have_happened() -> None:
    async def test() -> None:
        async with nodes(1) as (node,), raw(node.address) as client:
            node.handler.reply = Answer(msgspec.Raw(msgspec.msgpack.encode(bytes(FRAME_BYTES_MAX))), 5)
            node.flush_always()
            client.ask(1)
            body = decode_told(await client.payload()).body
            assert isinstance(body, Answer)
            assert msgspec.msgpack.decode(body.outcome, type=Done).truncated
            assert body.index == 5

    run(test)


def test_a_refusal_is_an_error_of_its_own() -> None:
    async def test() -> None:
        async with nodes(1) as (node,), raw(node.address) as client:
            client.writer.write(HEADER.pack(3, 0) + b"abc")
            payload = await client.payload()
            with pytest.raises(RefusedByPeer):
                decode_told(payload)

    run(test)
