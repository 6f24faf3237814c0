"""Clients that have to log in: what they may say before that, and what becomes of those who say something else."""

import os
from contextlib import AsyncExitStack

import pytest
from tests.transport.rig import ANSWER, RawClient, nodes, raw, run

from quorate.core.auth.access import ON
from quorate.core.auth.users import Login
from quorate.core.auth.verifiers import Verifier, mock
from quorate.core.requests import Ask, Refused, Status
from quorate.transport.entry import ADDRESSES_MAX, ENTRY_BYTES_MAX, FREE_GUESSES, Entry, Guesses, OpenDoor
from quorate.transport.tcp import Limits
from quorate.wire.codec import decode_told, encode
from quorate.wire.frames import HEADER, frame
from quorate.wire.handshake import NODE, Hello, greeting, read_refusal
from quorate.wire.login import LOGIN, LoginLater, LoginRefused, LoginText, login_frame, read_asked, read_told
from quorate.wire.scram import ClientLogin, make_verifier, salted

ANN = Login("ann", 7)
VERIFIER = make_verifier("pencil", bytes(16), 4096)


class AnnsDoor(OpenDoor):
    """Only ann may enter."""

    def logins(self) -> str:
        return ON

    def must_log_in(self) -> bool:
        return True

    def find(self, name: str) -> tuple[Verifier, Login | None]:
        return (VERIFIER, ANN) if name == "ann" else (mock("s", name), None)


def payload(data: bytes) -> bytes:
    return data[HEADER.size :]


def says(text: str) -> bytes:
    return payload(login_frame(text))


def client(name: str = "ann", password: str = "pencil") -> ClientLogin:
    return ClientLogin(name, os.urandom(18), lambda salt, iterations: salted(password, salt, iterations))


def log_in(entry: Entry, one: ClientLogin, now: float = 0.0) -> None:
    challenge = read_told(payload(entry.take(says(one.first()), now)))
    one.check(read_told(payload(entry.take(says(one.final(challenge)), now))))


def test_who_knows_the_password_is_known_and_where_it_comes_from() -> None:
    entry = Entry(AnnsDoor(), Guesses(), "10.0.0.9")
    log_in(entry, client())
    assert entry.login == Login("ann", 7, origin="10.0.0.9")


@pytest.mark.parametrize("one", [client(password="pen"), client("bob")], ids=["password", "user"])
def test_a_wrong_password_and_a_wrong_user_get_the_same_answer(one: ClientLogin) -> None:
    entry = Entry(AnnsDoor(), Guesses(), "10.0.0.9")
    with pytest.raises(LoginRefused, match="the user or the password is wrong"):
        log_in(entry, one)
    assert entry.login is None


def test_whoever_guesses_has_to_wait_longer_and_longer_and_others_do_not() -> None:
    guesses = Guesses()
    for _ in range(FREE_GUESSES):
        with pytest.raises(LoginRefused):
            log_in(Entry(AnnsDoor(), guesses, "10.0.0.9"), client(password="pen"))
    with pytest.raises(LoginLater, match="try again in 1 s"):
        log_in(Entry(AnnsDoor(), guesses, "10.0.0.9"), client())
    log_in(Entry(AnnsDoor(), guesses, "10.0.0.8"), client())
    with pytest.raises(LoginRefused):
        log_in(Entry(AnnsDoor(), guesses, "10.0.0.9"), client(password="pen"), now=1.0)
    assert guesses.wait_s("10.0.0.9", 1.0) == 2.0
    log_in(Entry(AnnsDoor(), guesses, "10.0.0.9"), client(), now=3.0)
    assert guesses.wait_s("10.0.0.9", 3.0) == 0.0


def test_guesses_are_forgotten_and_never_fill_the_memory() -> None:
    guesses = Guesses()
    for number in range(ADDRESSES_MAX + 10):
        guesses.wrong(str(number), 0.0)
    assert len(guesses._wrong) == ADDRESSES_MAX
    for _ in range(40):
        guesses.wrong("x", 0.0)
    assert guesses.wait_s("x", 0.0) == 60.0
    guesses.wrong("x", 1_000.0)
    assert guesses.wait_s("x", 1_000.0) == 0.0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        payload(frame(encode(Ask(1, Status())))),
        says(""),
        says("n,,n=ann"),
        says("x" * 3000),
        b"\x93" * 99,
    ],
    ids=repr,
)
def test_anything_but_a_login_is_refused(data: bytes) -> None:
    with pytest.raises(LoginRefused):
        Entry(AnnsDoor(), Guesses(), "10.0.0.9").take(data, 0.0)


def test_messages_out_of_order_are_refused() -> None:
    one = client()
    entry = Entry(AnnsDoor(), Guesses(), "10.0.0.9")
    entry.take(says(one.first()), 0.0)
    with pytest.raises(LoginRefused):
        entry.take(says(one.first()), 0.0)
    with pytest.raises(LoginRefused):
        entry.take(says(one.first()), 0.0)
    assert entry.login is None


def test_a_message_shows_no_proof() -> None:
    assert "secret" not in repr(LoginText("secret"))
    assert read_asked(says("secret")) == "secret"


def test_over_a_socket_nothing_is_asked_before_the_login_and_all_is_after_it() -> None:
    async def test() -> None:
        async with nodes(1) as (node,):
            node.transport.door = AnnsDoor()
            node.flush_always()
            async with raw(node.address) as stranger:
                stranger.ask(1)
                assert read_refusal(await stranger.payload()).reason == LOGIN
            async with raw(node.address) as large:
                large.writer.write(HEADER.pack(ENTRY_BYTES_MAX + 1, 0))
                assert read_refusal(await large.payload()).reason == "frame_too_long"
            assert node.handler.asks == []
            async with raw(node.address) as ann:
                one = client()
                ann.writer.write(login_frame(one.first()))
                ann.writer.write(login_frame(one.final(read_told(await ann.payload()))))
                one.check(read_told(await ann.payload()))
                ann.ask(1)
                await ann.payload()
                ((caller, *_),) = node.handler.asks
                assert caller.login == Login("ann", 7, origin="127.0.0.1")

    run(test)


def test_a_node_without_an_id_is_no_way_around_the_login() -> None:
    async def test() -> None:
        async with nodes(1) as (node,):
            node.transport.door = AnnsDoor()
            node.flush_always()
            async with raw(node.address, greeting(Hello(NODE, cluster="c1"))) as stranger:
                stranger.ask(1)
                assert read_refusal(await stranger.payload()).reason == "not_our_protocol"
            assert node.handler.asks == []
            assert node.transport.incoming == {}

    run(test)


def test_a_login_that_ends_closes_its_connections_and_no_others() -> None:
    async def test() -> None:
        async with nodes(1) as (node,):
            node.flush_always()
            async with raw(node.address) as nameless:
                nameless.ask(1)
                await nameless.payload()
                node.transport.door = AnnsDoor()
                async with raw(node.address) as ann:
                    one = client()
                    ann.writer.write(login_frame(one.first()))
                    ann.writer.write(login_frame(one.final(read_told(await ann.payload()))))
                    await ann.payload()
                    node.transport.end_logins(("bob",), nameless=False)
                    ann.ask(1)
                    await ann.payload()
                    node.transport.end_logins(("ann",), nameless=False)
                    assert read_refusal(await ann.payload()).reason == LOGIN
                nameless.ask(1)
                await nameless.payload()
                node.transport.end_logins((), nameless=True)
                assert read_refusal(await nameless.payload()).reason == LOGIN

    run(test)


class EverybodysDoor(AnnsDoor):
    """All have the same password."""

    def find(self, name: str) -> tuple[Verifier, Login | None]:
        return VERIFIER, Login(name, 7)


async def enter(stranger: RawClient, name: str) -> bytes:
    """Log in; what the node answers to a question then."""
    one = client(name)
    stranger.writer.write(login_frame(one.first()))
    stranger.writer.write(login_frame(one.final(read_told(await stranger.payload()))))
    await stranger.payload()
    stranger.ask(1)
    return await stranger.payload()


def test_a_user_with_as_many_connections_as_one_may_have_keeps_no_other_out() -> None:
    async def test() -> None:
        async with nodes(1, Limits(user_connections=2, idle_s=60.0)) as (node,), AsyncExitStack() as open_:
            node.transport.door = EverybodysDoor()
            node.flush_always()
            first, *others = [await open_.enter_async_context(raw(node.address)) for _ in range(4)]
            for each in (first, others[0]):
                await enter(each, "ann")
            assert read_refusal(await enter(others[1], "ann")).reason == "busy"
            assert decode_told(await enter(others[2], "bob")).id == 1
            for connection in node.transport.accepted:
                connection._used_s -= 100.0
            fifth = await open_.enter_async_context(raw(node.address))
            assert decode_told(await enter(fifth, "ann")).id == 1
            assert read_refusal(await first.payload()).reason == "idle", "the one that was idle for longest"

    run(test)


def test_a_user_with_as_many_requests_as_one_may_have_keeps_no_other_out() -> None:
    async def test() -> None:
        async with nodes(1, Limits(user_requests=2)) as (node,), AsyncExitStack() as open_:
            node.transport.door = EverybodysDoor()
            node.flush_always()
            first, second, other = [await open_.enter_async_context(raw(node.address)) for _ in range(3)]
            for each, name in ((first, "ann"), (second, "ann"), (other, "bob")):
                await enter(each, name)
            node.handler.hold = True
            first.ask(2)
            second.ask(3)
            await node.handler.until(lambda: len(node.handler.asks) == 5)
            second.ask(4)
            refused = decode_told(await second.payload())
            assert (refused.id, type(refused.body)) == (4, Refused)
            assert isinstance(refused.body, Refused)
            assert (refused.body.error, refused.body.retryable) == ("Overloaded", True)
            caller, ask, _, size = node.handler.asks[3]
            caller.tell(ask, ANSWER, size)
            assert decode_told(await first.payload()).id == 2
            second.ask(5)
            other.ask(6)
            await node.handler.until(lambda: len(node.handler.asks) == 7)

    run(test)


def test_connections_that_do_not_log_in_keep_nobody_out() -> None:
    async def test() -> None:
        async with nodes(1, Limits(connections=3, idle_s=1.0)) as (node,):
            node.transport.door = AnnsDoor()
            node.flush_always()
            async with AsyncExitStack() as idle:
                for _ in range(3):
                    await idle.enter_async_context(raw(node.address))
                for each in node.transport.accepted:
                    each._made_s -= 1.0
                async with raw(node.address) as ann:
                    one = client()
                    ann.writer.write(login_frame(one.first()))
                    ann.writer.write(login_frame(one.final(read_told(await ann.payload()))))
                    one.check(read_told(await ann.payload()))

    run(test)
