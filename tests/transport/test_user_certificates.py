"""Clients who log in by a certificate: who is believed, as whom, and until when."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.transport.rig import RigNode, run
from tests.transport.test_tls import Place, Secured, dial, listening

from quorate.client.credentials import NOBODY, Credentials, check_login
from quorate.client.links import Greeting, LinkLost
from quorate.client.protection import Protection, check_protection
from quorate.core.auth.access import ON, Access
from quorate.core.auth.roles import ADMIN
from quorate.core.auth.users import GrantRow, Login, UserRow, Users
from quorate.core.auth.verifiers import BY_CERTIFICATE
from quorate.core.certificates import Protect
from quorate.core.kernel import Now
from quorate.core.requests import Ask, Status
from quorate.errors import AuthenticationError, OperationalError, ProgrammingError
from quorate.runtime import authority
from quorate.runtime.config import ConfigError
from quorate.runtime.door import CatalogDoor
from quorate.tls.layer import TlsFailed
from quorate.wire.codec import decode_told, encode
from quorate.wire.frames import HEADER, frame
from quorate.wire.handshake import CLIENT, Hello, RefusedByPeer, greeting, meet, read_refusal
from quorate.wire.login import LOGIN
from quorate.wire.scram import make_verifier

NOW = Now(0, 1_000)
MEMBERS = Status(members_only=True)
USERS = Users(
    (
        UserRow("ann", 5, make_verifier("pencil", bytes(16), 1).text()),
        UserRow("bob", 7, BY_CERTIFICATE + "00" * 16),
    ),
    (),
    (GrantRow("ann", "", ADMIN), GrantRow("bob", "main", "write")),
    "secret",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(tmp_path_factory.mktemp("tls"))
    for name in ("ann", "bob", "carl"):
        authority.issue_user(made.ca.parent, name, "", made.ca.parent)
    return made


def guarded(place: Place) -> tuple[RigNode, Access]:
    """A node that knows these users."""
    node = place.node(0)
    access = Access(lambda _effect: None, 1 << 40, trusted=False)
    access.load(USERS)
    node.transport.door = CatalogDoor(access, lambda: NOW)
    return node, access


def shows(place: Place, name: str, folder: Path | None = None) -> Protection:
    found = folder or place.ca.parent
    return Protection(ca=str(place.ca), certificate=str(found / f"{name}.crt"), key=str(found / f"{name}.key"))


@asynccontextmanager
async def dialled(node: RigNode, how: Protection) -> AsyncIterator[Secured]:
    """A client that has greeted."""
    tls = how.tls_for("localhost")
    assert tls is not None
    client = await dial(node, tls)
    try:
        client.say(greeting(Hello(CLIENT)))
        yield client
    finally:
        await client.close()


async def met(client: Secured) -> Hello:
    return meet(Hello(CLIENT), await client.payload())


def test_whom_a_certificate_names_is_in_without_a_password(place: Place) -> None:
    async def test() -> None:
        node, _ = guarded(place)
        async with listening(node), dialled(node, shows(place, "bob")) as client:
            them = await met(client)
            assert (them.logins, them.user) == (ON, "bob")
            client.say(frame(encode(Ask(1, Status()))))
            assert decode_told(await client.payload()).id == 1
            (login,) = [each.login for each in node.transport.accepted]
            assert login is not None
            assert (login.name, login.stamp, login.token, login.origin) == ("bob", 7, "", "127.0.0.1")

    run(test)


@pytest.mark.parametrize("name", ["ann", "carl"])
def test_a_certificate_logs_nobody_in_who_has_a_password_or_is_not_there(place: Place, name: str) -> None:
    async def test() -> None:
        node, _ = guarded(place)
        async with listening(node), dialled(node, shows(place, name)) as client:
            them = await met(client)
            assert (them.logins, them.user) == (ON, "")
            client.say(frame(encode(Ask(1, Status()))))
            assert read_refusal(await client.payload()).reason == LOGIN

    run(test)


def test_a_certificate_for_another_cluster_logs_nobody_in(place: Place, tmp_path: Path) -> None:
    shutil.copytree(place.ca.parent, tmp_path / "ca")
    authority.issue_user(tmp_path / "ca", "bob", "feedfacefeedface", tmp_path)

    async def test() -> None:
        node, _ = guarded(place)
        async with listening(node), dialled(node, shows(place, "bob", tmp_path)) as client:
            assert (await met(client)).user == ""

    run(test)


def test_another_authority_vouches_for_nobody(place: Place, tmp_path: Path) -> None:
    authority.make(tmp_path)
    authority.issue_user(tmp_path, "bob", place.cluster, tmp_path)

    async def test() -> None:
        node, _ = guarded(place)
        async with listening(node), dialled(node, shows(place, "bob", tmp_path)) as client:
            with pytest.raises((TlsFailed, EOFError, ConnectionError)):
                await met(client)

    run(test)


def test_a_revoked_certificate_ends_its_connections_and_opens_none(place: Place, tmp_path: Path) -> None:
    made = authority.issue_user(place.ca.parent, "bob", "", tmp_path)
    serial = f"{made.serial_number:X}"

    async def test() -> None:
        node, access = guarded(place)
        how = shows(place, "bob", tmp_path)
        async with listening(node), dialled(node, how) as client:
            await met(client)
            (login,) = [each.login for each in node.transport.accepted]
            access.load(USERS, (serial,))
            refused = access.refusal(login, MEMBERS, NOW)
            assert refused is not None
            assert refused.error == "AuthenticationError"
            node.transport.protect(Protect(required=True, certified=(), revoked=(serial,)))
            assert read_refusal(await client.payload()).reason == "certificate"
            async with dialled(node, how) as again:
                with pytest.raises(RefusedByPeer, match="was revoked"):
                    await met(again)
            async with dialled(node, shows(place, "bob")) as other:
                assert (await met(other)).user == "bob"

    run(test)


def test_a_certificate_that_runs_out_ends_its_login() -> None:
    access = Access(lambda _effect: None, 1 << 40, trusted=False)
    access.load(USERS)
    login = access.certified("bob", "AB", 2_000)
    assert login == Login("bob", 7, certificate="AB", until_us=2_000)
    assert access.refusal(login, MEMBERS, Now(0, 1_999)) is None
    refused = access.refusal(login, MEMBERS, Now(0, 2_000))
    assert refused is not None
    assert refused.error == "AuthenticationError"
    assert access.verifier("bob", NOW) is None, "there is no password to guess"


def hello(user: str) -> bytes:
    return greeting(Hello("node", node=1, logins=ON, user=user))[HEADER.size :]


@pytest.mark.parametrize(("meant", "user"), [("", "bob"), ("bob", "bob")])
def test_a_client_goes_on_as_whom_it_means_to_be(meant: str, user: str) -> None:
    one = Greeting("", Credentials(meant, certified=True))
    assert one.take(hello(user)) == b""
    assert one.done


@pytest.mark.parametrize(("meant", "user", "says"), [("", "", "names no user"), ("ann", "bob", "ann is meant")])
def test_a_client_does_not_go_on_as_somebody_else(meant: str, user: str, says: str) -> None:
    one = Greeting("", Credentials(meant, certified=True))
    with pytest.raises(LinkLost, match=says) as lost:
        one.take(hello(user))
    assert isinstance(lost.value.login, AuthenticationError)


def test_a_client_with_a_password_insists_on_a_proof_whatever_the_node_says() -> None:
    one = Greeting("", Credentials("ann", "pencil"))
    assert one.take(hello("ann"))
    assert not one.done


def test_what_contradicts_itself_is_refused(place: Place, tmp_path: Path) -> None:
    from quorate.client.credentials import find_login

    for words in ({"tls": "off", "certificate": "x"}, {"tls": "", "key": "x"}):
        with pytest.raises(ProgrammingError):
            check_protection(**({"ca": ""} | words))
    with pytest.raises(ProgrammingError, match="either certificate"):
        find_login(check_login("ann", "pencil", None), NOBODY, {}, certified=True)
    assert find_login(NOBODY, NOBODY, {"QUORATE_TOKEN": "qt_a_b"}, certified=True).certified
    for name in ("bob.crt", "bob.key"):
        shutil.copy(place.ca.parent / name, tmp_path)
    (tmp_path / "bob.key").chmod(0o644)
    with pytest.raises(OperationalError, match="can be read by others"):
        shows(place, "bob", tmp_path).tls_for("localhost")
    with pytest.raises(ConfigError, match="give --id"):
        authority.issue_user(authority.make(tmp_path / "ca").parent, "bob", "", tmp_path)
    with pytest.raises(ConfigError, match="cannot be the name"):
        authority.issue_user(place.ca.parent, "../bob", "", tmp_path)
