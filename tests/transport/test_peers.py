"""Links between nodes: they come up by themselves, end at once, and lose what cannot be delivered."""

import asyncio
from typing import Any

import msgspec
import pytest
from tests.transport.rig import RigNode, nodes, raw, run, until

from quorate.core.entries import Position
from quorate.core.messages import SINCE, Heartbeat
from quorate.core.single_leader.messages import SnapshotChunk, VerifyAsk
from quorate.runtime.founding import free_ports
from quorate.transport.tcp import Limits
from quorate.wire.frames import HEADER
from quorate.wire.handshake import NODE, VERSION, Hello, greeting

QUICK = Limits(redial_first_s=0.01, redial_last_s=0.02)


async def introduce(*made: RigNode) -> None:
    """Connect each to each and wait until all have noticed."""
    for node in made:
        for other in made:
            node.transport.connect(other.number, other.address)
    for node in made:
        wanted = {("reachable", other.number) for other in made if other is not node}
        await node.handler.until(lambda node=node, wanted=wanted: wanted <= set(node.handler.peers))  # type: ignore[misc]


def test_messages_of_a_turn_arrive_in_order() -> None:
    async def test() -> None:
        async with nodes(2) as (one, two):
            await introduce(one, two)
            for number in range(1000):
                one.transport.send(2, Heartbeat(number, 1))
            one.transport.flush()
            await two.handler.until(lambda: len(two.handler.messages) == 1000)
            assert two.handler.messages == [(1, Heartbeat(number, 1)) for number in range(1000)]

    run(test)


def test_connecting_twice_and_to_oneself_changes_nothing() -> None:
    async def test() -> None:
        async with nodes(2) as (one, two):
            await introduce(one, two)
            one.transport.connect(2, two.address)
            one.transport.connect(1, one.address)
            one.transport.send(1, Heartbeat(1, 1))
            one.transport.send(2, Heartbeat(2, 1))
            one.transport.flush()
            await two.handler.until(lambda: bool(two.handler.messages))
            assert one.handler.peers == [("reachable", 2)]
            assert one.handler.messages == []

    run(test)


def test_a_peer_that_ends_is_unreachable_at_once_and_reachable_when_it_is_back() -> None:
    async def test() -> None:
        async with nodes(1, QUICK) as (one,):
            two = await RigNode(2, QUICK).listen()
            address = two.address
            await introduce(one, two)
            await two.transport.close()
            await one.handler.until(lambda: one.handler.peers[-1] == ("unreachable", 2))
            again = await RigNode(2, QUICK, boot=2).listen(int(address.rpartition(":")[2]))
            try:
                again.transport.connect(1, one.address)
                await one.handler.until(lambda: one.handler.peers[-1] == ("reachable", 2))
                assert one.handler.peers == [("reachable", 2), ("unreachable", 2), ("reachable", 2)]
                one.transport.send(2, Heartbeat(5, 1))
                one.transport.flush()
                await again.handler.until(lambda: again.handler.messages == [(1, Heartbeat(5, 1))])
            finally:
                await again.transport.close()

    run(test)


def test_a_peer_that_is_not_there_yet_is_dialled_until_it_is() -> None:
    async def test() -> None:
        (port,) = free_ports("127.0.0.1", 1)
        async with nodes(1, QUICK) as (one,):
            one.transport.connect(2, f"127.0.0.1:{port}")
            one.transport.send(2, Heartbeat(1, 1))
            two = await RigNode(2, QUICK).listen(port)
            try:
                await one.handler.until(lambda: one.handler.peers == [("reachable", 2)])
                one.transport.send(2, Heartbeat(2, 1))
                one.transport.flush()
                await two.handler.until(lambda: bool(two.handler.messages))
                assert two.handler.messages == [(1, Heartbeat(2, 1))], "what was sent before is stale and gone"
            finally:
                await two.transport.close()

    run(test)


def test_a_peer_that_dials_is_dialled_back_without_waiting() -> None:
    async def test() -> None:
        (port,) = free_ports("127.0.0.1", 1)
        patient = Limits(redial_first_s=3600.0, redial_last_s=3600.0)
        async with nodes(1, patient) as (one,):
            one.transport.connect(2, f"127.0.0.1:{port}")
            await until(lambda: not (one.transport._links[2].busy))
            two = await RigNode(2, QUICK).listen(port)
            try:
                two.transport.connect(1, one.address)
                await one.handler.until(lambda: one.handler.peers == [("reachable", 2)])
            finally:
                await two.transport.close()

    run(test)


@pytest.mark.parametrize("stranger", [{"cluster": "c2"}, {"node": 3}, {"version": 9, "oldest": 9}])
def test_a_stranger_at_a_peers_address_is_never_taken_for_it(
    stranger: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with nodes(1, QUICK) as (one,):
            two = RigNode(2, QUICK, **stranger)
            await two.listen()
            try:
                one.transport.connect(2, two.address)
                link = one.transport._links[2]
                await until(lambda: not (link._failures < 2))
                assert not link.up
                assert one.handler.peers == []
            finally:
                await two.transport.close()

    with caplog.at_level("INFO", "quorate.transport"):
        run(test)
    assert len([message for message in caplog.messages if message.startswith("no connection to node 2")]) <= 2


def test_garbage_from_a_peer_closes_only_its_connection() -> None:
    async def test() -> None:
        async with nodes(2) as (one, two):
            await introduce(one, two)
            async with raw(one.address, greeting(Hello(NODE, cluster="c1", node=9, name="n9"))) as liar:
                liar.writer.write(HEADER.pack(3, 0) + b"abc")
                await liar.payload()
            two.transport.send(1, Heartbeat(1, 1))
            two.transport.flush()
            await one.handler.until(lambda: bool(one.handler.messages))
            assert one.handler.peers == [("reachable", 2)]

    run(test)


def test_a_second_connection_of_a_peer_replaces_the_first() -> None:
    """The first may be half dead: its end must not count as the end of the peer."""

    async def test() -> None:
        async with nodes(2) as (one, two):
            await introduce(one, two)
            await one.handler.until(lambda: ("reachable", 2) in one.handler.peers)
            hello = greeting(Hello(NODE, cluster="c1", node=2, name="n2", boot=1))
            earlier = one.transport.incoming[2]
            async with raw(one.address, hello):
                await until(lambda: not (one.transport.incoming[2] is earlier or earlier in one.transport.accepted))
                assert one.handler.peers == [("reachable", 2)]

    run(test)


def test_a_slow_peer_loses_its_oldest_messages_and_memory_stays_bounded() -> None:
    async def test() -> None:
        limits = msgspec.structs.replace(QUICK, write_buffer=1 << 16, peer_queue=1 << 20)
        async with nodes(2, limits) as (one, two):
            await introduce(one, two)
            incoming = two.transport.incoming[1]
            assert incoming._transport is not None
            incoming._transport.pause_reading()
            link = one.transport._links[2]
            for number in range(1000):
                one.transport.send(2, SnapshotChunk(1, 1, number, 0, bytes(1 << 16), False, Position(1, 1)))
                one.transport.flush()
                await asyncio.sleep(0)
            assert link.dropped > 0
            assert link._queued <= limits.peer_queue
            incoming._transport.resume_reading()
            await two.handler.until(
                lambda: two.handler.messages[-1:] != [] and two.handler.messages[-1][1].snapshot == 999
            )
            seen = [message.snapshot for _, message in two.handler.messages]
            assert seen == sorted(seen)
            assert len(seen) == 1000 - link.dropped

    run(test)


def test_closing_leaves_nothing_behind() -> None:
    async def test() -> None:
        async with nodes(3) as made:
            await introduce(*made)
        for node in made:
            assert not node.transport.accepted
            assert not any(link.busy for link in node.transport._links.values())
        assert len(asyncio.all_tasks()) == 1

    run(test)


def test_a_peer_of_an_older_release_is_not_sent_what_it_cannot_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SINCE, VerifyAsk, VERSION + 1)

    async def test() -> None:
        async with nodes(1) as (one,):
            old = await RigNode(2).listen()
            await introduce(one, old)
            one.transport.send(2, VerifyAsk(1, 1, 1, Position(1, 1)))
            one.transport.send(2, Heartbeat(7, 1))
            one.transport.flush()
            await old.handler.until(lambda: bool(old.handler.messages))
            assert old.handler.messages == [(1, Heartbeat(7, 1))]
            await old.transport.close()

    run(test)


def test_a_peer_is_dialled_where_it_said_that_it_listens() -> None:
    async def test() -> None:
        async with nodes(1) as (one,):
            port = free_ports("127.0.0.1", 1)[0]
            two = await RigNode(2, address=f"127.0.0.1:{port}").listen(port)
            silent = await RigNode(3).listen()
            try:
                one.transport.connect(2, "")
                assert not one.handler.peers, "nobody has said where"
                for node in (two, silent):
                    node.transport.connect(1, one.address)
                await until(lambda: {2, 3} <= one.transport.incoming.keys())
                one.transport.connect(3, "")
                one.transport.connect(2, "")
                await one.handler.until(lambda: bool(one.handler.peers))
                one.transport.send(2, Heartbeat(1, 1))
                one.transport.flush()
                await two.handler.until(lambda: bool(two.handler.messages))
                assert one.handler.peers == [("reachable", 2)]
            finally:
                await two.transport.close()
                await silent.transport.close()

    run(test)
