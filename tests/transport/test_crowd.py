"""Many clients that want much and say little: half frames, and connections on which nothing is asked."""

from math import inf

from tests.transport.rig import nodes, raw, run, until
from tests.transport.test_clients import refused

from quorate.core.messages import Heartbeat
from quorate.core.requests import Left, Status
from quorate.transport.crowd import Unfinished, idle_longest
from quorate.transport.tcp import Limits
from quorate.wire.codec import decode_told, encode
from quorate.wire.frames import HEADER, frame
from quorate.wire.handshake import CLIENT, NODE, Hello, greeting

HALF = HEADER.pack(1_000_000, 0)
"""The beginning of a frame whose end will not come."""


def test_the_largest_unfinished_frame_goes_when_there_is_no_room_for_all() -> None:
    frames: Unfinished[str] = Unfinished(100, 5.0)
    assert frames.hold("a", 40, 0.0) is None
    assert frames.hold("b", 50, 0.0) is None
    assert frames.hold("a", 45, 0.0) is None
    assert frames.hold("c", 10, 0.0) == "b"
    assert frames.hold("b", 0, 0.0) is None
    assert frames.bytes == 55


def test_a_frame_that_grows_is_waited_for_and_one_that_does_not_is_not() -> None:
    frames: Unfinished[str] = Unfinished(100, 5.0)
    frames.hold("grows", 1, 0.0)
    frames.hold("stands", 1, 0.0)
    frames.hold("grows", 2, 4.0)
    assert frames.stalled(4.9) == []
    assert frames.stalled(5.0) == ["stands"]
    frames.forgive(5.0)
    assert frames.stalled(9.9) == []
    assert frames.stalled(10.0) == ["stands", "grows"]
    assert not Unfinished[str](1, 1.0)


def test_a_frame_that_we_do_not_read_is_not_late() -> None:
    frames: Unfinished[str] = Unfinished(100, 5.0)
    frames.hold("a", 1, 0.0, paused=True)
    assert frames.stalled(1_000.0) == []
    frames.hold("a", 1, 1_000.0)
    assert frames.stalled(1_006.0) == ["a"]


def test_those_idle_for_longest_come_first() -> None:
    class Idle:
        def __init__(self, since: float) -> None:
            self.idle_since = since

    busy, old, older, fresh = Idle(inf), Idle(2.0), Idle(1.0), Idle(9.0)
    assert idle_longest([busy, old, fresh, older], 5.0, 10) == [older, old]
    assert idle_longest([busy, old, fresh, older], 5.0, 1) == [older]


def test_half_frames_of_clients_have_a_bound_together_and_whole_ones_pass() -> None:
    async def test() -> None:
        limits = Limits(unfinished_bytes=300_000)
        async with nodes(1, limits) as (node,), raw(node.address) as small, raw(node.address) as large:
            node.flush_always()
            small.writer.write(HALF + bytes(100_000))
            large.writer.write(HALF + bytes(250_000))
            assert await refused(large) == "unfinished"
            small.writer.write(bytes(1000))
            async with raw(node.address) as third:
                third.ask(1)
                assert decode_told(await third.payload()).id == 1

    run(test)


def test_a_frame_that_does_not_grow_is_ended_with_its_connection_and_room_is_made() -> None:
    async def test() -> None:
        async with nodes(1) as (node,), raw(node.address) as client:
            client.writer.write(HALF + bytes(1000))
            await until(lambda: bool(node.transport._unfinished))
            now = node.transport.loop.time()
            node.transport.end_stalled(now + 1.0)
            node.transport.end_stalled(now + 1_000.0, late_s=900.0)
            assert node.transport._unfinished, "this process did not run: nobody else is to blame"
            node.transport.end_stalled(now + 2_000.0)
            assert await refused(client) == "stalled"
            assert not node.transport._unfinished

    run(test)


def test_what_a_peer_has_begun_does_not_count() -> None:
    async def test() -> None:
        peer = greeting(Hello(NODE, cluster="c1", node=9, name="n9"))
        async with nodes(1, Limits(unfinished_bytes=1_000)) as (node,), raw(node.address, peer) as link:
            whole = frame(encode(Heartbeat(1, 1)))
            link.writer.write(whole + HALF + bytes(100_000))
            await node.handler.until(lambda: bool(node.handler.messages))
            assert not node.transport._unfinished
            assert 9 in node.transport.incoming

    run(test)


def test_the_longest_idle_client_gives_up_its_place_to_one_who_comes() -> None:
    async def test() -> None:
        limits = Limits(connections=2, idle_s=0.0)
        async with nodes(1, limits) as (node,), raw(node.address) as idle, raw(node.address) as busy:
            node.handler.hold = True
            busy.ask(1)
            await node.handler.until(lambda: bool(node.handler.asks))
            async with raw(node.address) as new:
                assert await refused(idle) == "idle"
                new.ask(2)
                await node.handler.until(lambda: len(node.handler.asks) == 2)
            assert len(node.handler.asks) == 2

    run(test)


def test_a_client_that_asked_a_moment_ago_keeps_its_place() -> None:
    async def test() -> None:
        async with nodes(1, Limits(connections=1)) as (node,), raw(node.address) as first:
            node.flush_always()
            first.ask(1)
            await first.payload()
            async with raw(node.address) as second:
                assert await refused(second) == "busy"

    run(test)


def test_the_place_of_a_peer_and_of_one_in_the_midst_of_a_frame_is_kept() -> None:
    async def test() -> None:
        peer = greeting(Hello(NODE, cluster="c1", node=9, name="n9"))
        limits = Limits(connections=2, idle_s=0.0)
        async with nodes(1, limits) as (node,), raw(node.address, peer), raw(node.address) as midst:
            midst.writer.write(HALF)
            await until(lambda: bool(node.transport._unfinished))
            async with raw(node.address) as third:
                assert await refused(third) == "busy"
            assert 9 in node.transport.incoming

    run(test)


def test_a_caller_that_leaves_is_told_of_by_one_of_its_requests_or_by_all() -> None:
    async def test() -> None:
        async with nodes(1) as (node,):
            handler = node.handler
            handler.hold = True
            async with raw(node.address, greeting(Hello(CLIENT)) + frame(encode(Left(4)))) as client:
                client.ask(1, 2, body=Status())
                await handler.until(lambda: len(handler.asks) == 2)
                caller = handler.asks[0][0]
                assert handler.leavers == [], "nothing was asked under that number"
                client.writer.write(frame(encode(Left(1))))
                await handler.until(lambda: handler.leavers == [(caller, 1)])
                assert [caller.waits_for(each) for each in (1, 2)] == [False, True]
            await handler.until(lambda: handler.leavers[-1:] == [(caller, None)])
            assert not caller.waits_for(2)

    run(test)
