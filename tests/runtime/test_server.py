"""A whole server in this process: real loop, real sockets, a core and a store that do as they are told."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest
from tests.runtime.stand_ins import ANSWER, IDENTITY, EchoCore, FakeStore, ScriptedCore

from quorate.core import kernel
from quorate.core.entries import WriteHardState
from quorate.core.kernel import Effect, Event
from quorate.core.recovered import Identity, Member
from quorate.core.requests import Answer, Status
from quorate.runtime import probe
from quorate.runtime.config import Config, ConfigError
from quorate.runtime.loop import FAILED, STOPPED, Server, greeting_of, listen_address, loop_factory
from quorate.storage.interface import Broken

LOCAL = Config(listen="127.0.0.1:0")


def serve(core: ScriptedCore, store: FakeStore, config: Config, use: Callable[[Server, str], Awaitable[None]]) -> int:
    """Run a server and `use` beside it; the exit code."""

    async def main() -> int:
        listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server = Server(core, store, config)
        running = asyncio.create_task(server.run(listening.set_result, signals=False))
        async with asyncio.timeout(10):
            await use(server, await listening)
            return await running

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main())


async def ask(address: str) -> object:
    return await asyncio.to_thread(probe.ask, address, Status(), 5.0)


def test_requests_are_answered_and_draining_ends_in_good_order() -> None:
    core, store = EchoCore(), FakeStore()

    async def use(server: Server, address: str) -> None:
        assert await ask(address) == Answer(ANSWER, 7)
        core.script = lambda event: [kernel.Drained()] if isinstance(event, kernel.Drain) else []
        server.drain()
        server.drain()

    assert serve(core, store, LOCAL, use) == STOPPED
    assert store.closed
    assert core.seen.count(kernel.Drain()) == 1


def test_a_node_that_cannot_drain_stops_after_its_time() -> None:
    core, store = ScriptedCore(), FakeStore()

    async def use(server: Server, _address: str) -> None:
        server.drain()

    assert serve(core, store, Config(listen="127.0.0.1:0", drain=1000), use) == STOPPED
    assert store.closed


def test_a_core_that_fails_ends_the_node_without_touching_its_files(caplog: pytest.LogCaptureFixture) -> None:
    def script(event: Event) -> list[Effect]:
        raise AssertionError("an invariant")

    core, store = ScriptedCore(script), FakeStore()

    async def use(_server: Server, address: str) -> None:
        with pytest.raises(OSError, match=r".*"):
            await ask(address)

    with caplog.at_level(logging.CRITICAL, "quorate.runtime"):
        assert serve(core, store, LOCAL, use) == FAILED
    assert not store.closed, "fail-stop: nothing more is written"


def test_a_failed_fsync_ends_the_node() -> None:
    core, store = ScriptedCore(lambda _event: [kernel.Persist(1, ())]), FakeStore()
    store.troubles.append(Broken("fsync"))
    core.script = lambda event: [kernel.Persist(1, (WriteHardState(1, 1, 0),))]

    async def use(_server: Server, address: str) -> None:
        with pytest.raises(OSError, match=r".*"):
            await ask(address)

    assert serve(core, store, LOCAL, use) == FAILED


def test_a_port_that_is_taken_is_an_error_at_start() -> None:
    async def use(_server: Server, address: str) -> None:
        other = Server(EchoCore(), FakeStore(), Config(listen=address))
        with pytest.raises(ConfigError, match="address already in use"):
            await other.run(signals=False)
        _server.finish(STOPPED)

    assert serve(EchoCore(), FakeStore(), LOCAL, use) == STOPPED


def test_the_address_is_the_configured_one_else_the_founders() -> None:
    assert listen_address(Config(listen="127.0.0.1:9"), IDENTITY) == "127.0.0.1:9"
    assert listen_address(Config(), IDENTITY) == "127.0.0.1:0"
    elsewhere = Identity("c", 1, "n", 1, (Member(1, "n", "10.0.0.1:7"),))
    with pytest.raises(ConfigError, match="nothing would be encrypted"):
        listen_address(Config(), elsewhere)
    with pytest.raises(ConfigError, match="does not record"):
        listen_address(Config(), Identity("c", 1, "n", 1, ()))


def test_a_node_says_where_it_can_be_dialled() -> None:
    later = Identity("c", 9, "n", 1, IDENTITY.founders)
    assert greeting_of(IDENTITY, Config(listen="0.0.0.0:7")).address == IDENTITY.founders[0].address
    assert greeting_of(IDENTITY, Config(listen="127.0.0.1:9")).address == "127.0.0.1:9"
    assert greeting_of(IDENTITY, Config(listen="127.0.0.1:9", advertise="db:7")).address == "db:7"
    assert greeting_of(later, Config(listen="10.0.0.9:7")).address == "10.0.0.9:7"
    assert greeting_of(later, Config(listen="[::]:7")).address == ""
    assert greeting_of(later, Config()).address == ""
