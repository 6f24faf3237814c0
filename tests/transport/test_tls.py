"""TLS on the one port: who is believed, who is not, and what each of them learns."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.transport.rig import ANSWER, RawClient, RigNode, run

from quorate.client.protection import Protection
from quorate.core.messages import Heartbeat
from quorate.core.requests import Ask, Status
from quorate.runtime import authority
from quorate.runtime.config import ConfigError, load, security
from quorate.runtime.founding import found, local_members
from quorate.storage.node_file import read_identity
from quorate.tls.layer import Tls, TlsFailed, verifying
from quorate.transport.addresses import parse_address
from quorate.transport.security import Security
from quorate.transport.tcp import Limits
from quorate.wire.codec import decode_told, encode
from quorate.wire.frames import FrameReader, frame
from quorate.wire.handshake import CLIENT, NODE, Hello, greeting, meet, read_refusal


class Place:
    """Two nodes' folders with certificates, and what they say."""

    def __init__(self, folder: Path) -> None:
        self.ca = authority.make(folder / "ca")
        found(folder / "c", local_members(2, "127.0.0.1"))
        self.folders = [folder / "c" / name for name in ("n1", "n2")]
        for each in self.folders:
            authority.issue(folder / "ca", each)
        self.identities = [read_identity(each / "node.db") for each in self.folders]
        self.cluster = self.identities[0].cluster
        self.numbers = [identity.node for identity in self.identities]

    def security(self, index: int) -> Security:
        identity = self.identities[index]
        config, _ = load(self.folders[index] / "node.toml", {}, {})
        return security(config, identity.cluster, identity.node)

    def node(self, index: int, protected: Security | None = None, limits: Limits | None = None) -> RigNode:
        hello = {"node": self.numbers[index], "cluster": self.cluster}
        made = RigNode(index, limits, protected or self.security(index), **hello)
        made.number = self.numbers[index]
        return made


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Another cluster, under another authority."""
    return Place(tmp_path_factory.mktemp("stranger"))


@asynccontextmanager
async def listening(*made: RigNode) -> AsyncIterator[None]:
    for node in made:
        await node.listen()
        node.flush_always()
    try:
        yield
    finally:
        for node in made:
            await node.transport.close()


class Secured(RawClient):
    """A client's side of a connection over TLS, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: Tls) -> None:
        super().__init__(reader, writer)
        self.tls = tls
        self.frames = FrameReader()

    def say(self, data: bytes) -> None:
        if not self.tls.ready:
            self.tls.feed(b"")
        self.writer.write(self.tls.protect(data) + self.tls.outgoing())

    async def payload(self) -> bytes:
        while not self.payloads:
            data = await self.reader.read(65536)
            if not data:
                raise EOFError
            plain = self.tls.feed(data)
            self.writer.write(self.tls.outgoing())
            self.payloads += self.frames.feed(plain)
        return self.payloads.pop(0)


async def dial(node: RigNode, tls: Tls) -> Secured:
    return Secured(*await asyncio.open_connection(*parse_address(node.address)), tls)


def test_peers_prove_who_they_are_and_speak(place: Place) -> None:
    async def test() -> None:
        one, two = place.node(0), place.node(1)
        async with listening(one, two):
            one.transport.connect(two.number, two.address)
            two.transport.connect(one.number, one.address)
            await one.handler.until(lambda: ("reachable", two.number) in one.handler.peers)
            one.transport.send(two.number, Heartbeat(1, 1))
            await two.handler.until(lambda: bool(two.handler.messages))
            assert two.handler.messages[0][0] == one.number

    run(test)


def test_a_client_that_verifies_is_answered(place: Place) -> None:
    async def test() -> None:
        node = place.node(0)
        async with listening(node):
            client = await dial(node, Tls(verifying(str(place.ca)), host="localhost"))
            client.say(greeting(Hello(CLIENT)))
            assert meet(Hello(CLIENT), await client.payload()).cluster == place.cluster
            client.say(frame(encode(Ask(1, Status()))))
            assert decode_told(await client.payload()).body == ANSWER
            await client.close()

    run(test)


@pytest.mark.parametrize("host", ["127.0.0.2", "db.example.com"])
def test_a_client_refuses_a_certificate_for_another_host(place: Place, host: str) -> None:
    async def test() -> None:
        node = place.node(0)
        async with listening(node):
            client = await dial(node, Tls(verifying(str(place.ca)), host=host))
            client.say(greeting(Hello(CLIENT)))
            with pytest.raises(TlsFailed, match="certificate is refused"):
                await client.payload()
            await client.close()

    run(test)


def test_a_client_refuses_the_certificate_of_another_authority(place: Place, stranger: Place) -> None:
    async def test() -> None:
        node = place.node(0)
        async with listening(node):
            client = await dial(node, Tls(verifying(str(stranger.ca)), host="localhost"))
            client.say(greeting(Hello(CLIENT)))
            with pytest.raises(TlsFailed, match="certificate is refused"):
                await client.payload()
            await client.close()

    run(test)


async def refused_peer(node: RigNode, tls: Tls, number: int) -> str:
    """Dial as this node; the code of the refusal."""
    client = await dial(node, tls)
    try:
        client.say(greeting(Hello(NODE, cluster=node.transport.me.cluster, node=number)))
        return read_refusal(await client.payload()).reason
    finally:
        await client.close()


def test_a_peer_without_a_certificate_and_with_that_of_another_node_is_refused(place: Place) -> None:
    async def test() -> None:
        node, other = place.node(0), place.security(1)
        assert other.credentials is not None
        async with listening(node):
            bare = Tls(verifying(str(place.ca)), host="localhost")
            assert await refused_peer(node, bare, place.numbers[1]) == "certificate"
            third = Tls(other.credentials.client)
            assert await refused_peer(node, third, 12345) == "certificate"
            assert not node.handler.places

    run(test)


def test_a_peer_of_another_authority_is_refused(place: Place, stranger: Place) -> None:
    async def test() -> None:
        node, false = place.node(0), stranger.security(1)
        assert false.credentials is not None
        async with listening(node):
            client = await dial(node, Tls(false.credentials.client))
            client.say(greeting(Hello(NODE, cluster=place.cluster, node=place.numbers[1])))
            with pytest.raises(TlsFailed):
                await client.payload()
            await client.close()

    run(test)


def test_another_node_at_a_peers_address_gets_no_greeting(place: Place) -> None:
    """Its certificate is in order, and names another node than the one that is dialled."""

    async def test() -> None:
        one, two = place.node(0), place.node(1)
        async with listening(one, two):
            one.transport.connect(777, two.address)
            link = one.transport._links[777]
            await asyncio.wait_for(_complains(link), 10.0)
            assert "777" in link._complaint
            assert not two.transport.incoming

    async def _complains(link: object) -> None:
        while not link._complaint:  # type: ignore[attr-defined]  # noqa: ASYNC110
            await asyncio.sleep(0.001)

    run(test)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2])
def test_an_older_tls_is_refused(place: Place, version: ssl.TLSVersion) -> None:
    async def test() -> None:
        node = place.node(0)
        context = verifying(str(place.ca))
        context.minimum_version, context.maximum_version = version, version
        async with listening(node):
            client = await dial(node, Tls(context, host="localhost"))
            client.say(greeting(Hello(CLIENT)))
            with pytest.raises(TlsFailed, match="protocol version"):
                await client.payload()
            await client.close()

    run(test)


@pytest.mark.parametrize("first", [greeting(Hello(CLIENT)), greeting(Hello(NODE, node=5)), b"GET / HTTP/1.1\r\n\r\n"])
def test_plain_text_learns_only_that_tls_is_needed(place: Place, first: bytes) -> None:
    async def test() -> None:
        node = place.node(0)
        async with listening(node):
            client = RawClient(*await asyncio.open_connection(*parse_address(node.address)))
            client.writer.write(first)
            payload = await client.payload()
            assert read_refusal(payload).reason == "plaintext"
            assert place.cluster.encode() not in payload
            with pytest.raises(EOFError):
                await client.payload()
            await client.close()

    run(test)


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01", b"\x16" + bytes(300)])
def test_who_says_nothing_or_half_a_handshake_gets_nothing_and_is_let_go(place: Place, first: bytes) -> None:
    async def test() -> None:
        node = place.node(0, limits=Limits(greeting_s=0.1))
        async with listening(node):
            client = RawClient(*await asyncio.open_connection(*parse_address(node.address)))
            client.writer.write(first)
            try:
                found = await client.reader.read(65536)
            except ConnectionResetError:
                found = b""
            assert place.cluster.encode() not in found
            assert found[:1] in (b"", b"\x15"), "nothing, or an alert"
            await client.close()

    run(test)


def test_a_renewed_certificate_is_used_and_a_spoilt_one_is_a_configuration_error(place: Place, tmp_path: Path) -> None:
    folder = shutil.copytree(place.folders[0], tmp_path / "n1")
    config, _ = load(folder / "node.toml", {}, {})
    identity = place.identities[0]
    before = security(config, identity.cluster, identity.node).credentials
    authority.issue(place.ca.parent, folder, ["db.example.com"], days=30)
    after = security(config, identity.cluster, identity.node).credentials
    assert before is not None
    assert after is not None
    assert after.expires_s < before.expires_s
    assert (folder / "node.key").stat().st_mode & 0o077 == 0
    assert (folder / "node.toml").read_text().count("tls_ca") == 1
    with pytest.raises(ConfigError, match=r"names .*and this node is"):
        security(config, identity.cluster, 4711)
    (folder / "node.key").write_bytes((place.folders[1] / "node.key").read_bytes())
    with pytest.raises(ConfigError, match="cannot be used"):
        security(config, identity.cluster, identity.node)


def test_a_certificate_that_has_run_out_or_is_of_another_authority_stops_the_start(
    place: Place, stranger: Place, tmp_path: Path
) -> None:
    folder = shutil.copytree(place.folders[0], tmp_path / "n1")
    config, _ = load(folder / "node.toml", {}, {})
    identity = place.identities[0]
    authority.issue(place.ca.parent, folder, days=-1)
    with pytest.raises(ConfigError, match="expired"):
        security(config, identity.cluster, identity.node)
    shutil.copy(place.folders[0] / "node.crt", folder / "node.crt")
    shutil.copy(place.folders[0] / "node.key", folder / "node.key")
    shutil.copy(stranger.ca, folder / "ca.crt")
    with pytest.raises(ConfigError, match="cannot be used"):
        security(config, identity.cluster, identity.node)


def test_what_is_configured_by_half_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text('tls_certificate = "node.crt"\ntls_key = "node.key"\n')
    with pytest.raises(ConfigError, match="without tls_ca"):
        load(path, {}, {})


@pytest.mark.parametrize(
    ("protection", "host", "encrypted"),
    [
        (Protection(), "127.0.0.1", False),
        (Protection(), "localhost", False),
        (Protection(), "10.0.0.1", True),
        (Protection(), "db.example.com", True),
        (Protection(tls="verify-full"), "127.0.0.1", True),
        (Protection(tls="off"), "10.0.0.1", False),
    ],
)
def test_clients_encrypt_beyond_this_machine_unless_they_are_told_not_to(
    protection: Protection, host: str, encrypted: bool
) -> None:
    assert (protection.tls_for(host) is not None) == encrypted
