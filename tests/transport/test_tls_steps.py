"""Connections while a cluster moves from plain text to TLS, and when certificates are revoked."""

import asyncio

import pytest
from tests.transport.rig import RawClient, RigNode, run, until
from tests.transport.test_tls import Place, dial, listening, refused_peer

from quorate.core.certificates import Protect
from quorate.tls.layer import Tls
from quorate.transport.addresses import parse_address
from quorate.transport.links import PeerLink
from quorate.transport.security import Security
from quorate.wire.handshake import CLIENT, NODE, Hello, greeting, meet, read_refusal

ACCEPTED = Protect(False, (), ())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("steps"))


def link(node: RigNode, peer: RigNode) -> PeerLink:
    return node.transport._links[peer.number]


def encrypted(node: RigNode, peer: RigNode) -> bool | None:
    """Whether the connection that `node` has dialled is; None: there is none."""
    found = link(node, peer)
    return found._dialled.tls is not None if found.up and found._dialled is not None else None


async def say(node: RigNode, hello: Hello) -> RawClient:
    """A connection in plain text that begins so."""
    plain = RawClient(*await asyncio.open_connection(*parse_address(node.address)))
    plain.writer.write(greeting(hello))
    return plain


def connect(one: RigNode, two: RigNode) -> None:
    one.transport.connect(two.number, two.address)
    two.transport.connect(one.number, one.address)


def test_while_both_are_accepted_a_node_speaks_plain_text_with_who_has_no_certificate(place: Place) -> None:
    async def test() -> None:
        one, two = place.node(0), place.node(1, Security(place.cluster))
        async with listening(one, two):
            connect(one, two)
            await until(lambda: bool(link(one, two)._complaint) and bool(link(two, one)._complaint))
            assert not one.handler.peers, "until the catalog says otherwise it takes and gives nothing in plain text"
            one.transport.protect(ACCEPTED)
            await one.handler.until(lambda: ("reachable", two.number) in one.handler.peers)
            assert encrypted(one, two) is encrypted(two, one) is False

    run(test)


def test_who_has_shown_a_certificate_is_dialled_by_tls_and_never_in_plain_text_again(place: Place) -> None:
    async def test() -> None:
        one, two = place.node(0), place.node(1)
        async with listening(one, two):
            for node in (one, two):
                node.transport.protect(ACCEPTED)
            connect(one, two)
            await until(lambda: encrypted(one, two) is False and encrypted(two, one) is False)
            one.transport.protect(Protect(False, (two.number,), ()))
            await until(lambda: encrypted(one, two) is True and encrypted(two, one) is True)
            one.transport.protect(ACCEPTED)
            assert one.transport.security.dials_by_tls(two.number), "what is known once is not forgotten"
            assert encrypted(one, two) is True

    run(test)


def test_when_tls_is_required_connections_in_plain_text_end(place: Place) -> None:
    async def test() -> None:
        node = place.node(0)
        async with listening(node):
            node.transport.protect(ACCEPTED)
            plain = await say(node, Hello(CLIENT))
            assert meet(Hello(CLIENT), await plain.payload()).cluster == place.cluster
            node.transport.protect(Protect(True, (), ()))
            assert read_refusal(await plain.payload()).reason == "plaintext"
            await plain.close()

    run(test)


def test_a_revoked_certificate_is_refused_and_connections_that_it_was_shown_on_end(place: Place) -> None:
    async def test() -> None:
        one, two = place.node(0), place.node(1)
        credentials = two.transport.security.credentials
        assert credentials is not None
        async with listening(one, two):
            connect(one, two)
            await one.handler.until(lambda: ("reachable", two.number) in one.handler.peers)
            one.transport.protect(Protect(True, (), (credentials.serial,)))
            await one.handler.until(lambda: ("unreachable", two.number) in one.handler.peers)
            await until(lambda: "revoked" in link(one, two)._complaint)
            await until(lambda: not one.transport.incoming)
            assert await refused_peer(one, Tls(credentials.client), two.number) == "certificate"
            assert not link(one, two).up

    run(test)


def test_a_node_says_in_its_greeting_whether_it_has_a_certificate(place: Place) -> None:
    async def test() -> None:
        node = place.node(0)
        async with listening(node):
            node.transport.protect(ACCEPTED)
            for certified in (True, False):
                plain = await say(node, Hello(NODE, cluster=place.cluster, node=9, certified=certified))
                await until(lambda wanted=certified: node.handler.certified.get(9) is wanted)  # type: ignore[misc]
                assert not node.transport.security.dials_by_tls(9), "nobody proves anything in plain text"
                await plain.close()
            credentials = place.security(1).credentials
            assert credentials is not None
            peer = await dial(node, Tls(credentials.client))
            peer.say(greeting(Hello(NODE, cluster=place.cluster, node=place.numbers[1], certified=True)))
            await peer.payload()
            assert node.transport.security.dials_by_tls(place.numbers[1])
            await peer.close()

    run(test)
