"""As many connections as an attacker may open: 4,096 that are idle and 2,000 that never finish their greeting."""

import logging
import socket
from contextlib import ExitStack

import pytest
from tests.transport.rig import nodes, raw, run

from quorate.runtime.loop import raise_file_limit
from quorate.transport.accepted import RESERVED
from quorate.transport.addresses import parse_address
from quorate.wire.codec import decode_told
from quorate.wire.handshake import CLIENT, Hello, greeting

IDLE, HALF_OPEN = 4096, 2000
AT_ONCE = 512
"""Fewer than the kernel keeps for a node that has not taken them yet."""
DESCRIPTORS = 2 * (IDLE + HALF_OPEN) + 200
HELLO = greeting(Hello(CLIENT))


def test_idle_and_half_open_connections_keep_nobody_out(caplog: pytest.LogCaptureFixture) -> None:
    if raise_file_limit() < DESCRIPTORS:
        pytest.skip(f"needs {DESCRIPTORS} file descriptors")
    caplog.set_level(logging.ERROR, "quorate.transport")  # each that gives up its place is logged

    async def test() -> None:
        async with nodes(1) as (node,):
            node.flush_always()
            transport = node.transport
            with ExitStack() as open_:
                for number in range(IDLE + HALF_OPEN):
                    first = HELLO if number < IDLE else HELLO[: number % len(HELLO)]
                    connection = open_.enter_context(socket.create_connection(parse_address(node.address)))
                    connection.sendall(first)
                    if number % AT_ONCE == AT_ONCE - 1:
                        async with raw(node.address):
                            pass  # it is taken after all that came before it
                for each in transport.accepted:  # it is a minute later
                    each._made_s -= 60.0
                    each._used_s -= 60.0
                transport._look_again_s = 0.0
                async with raw(node.address) as client:
                    client.ask(1)
                    assert decode_told(await client.payload()).id == 1
                assert len(transport.accepted) - transport.leaving <= transport.limits.connections + RESERVED

    run(test)
