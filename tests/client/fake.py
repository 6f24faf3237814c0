"""A node that is not there: answers what a test tells it to, over real sockets, in a thread of its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import msgspec

from quorate.core.requests import (
    Answer,
    Ask,
    Done,
    Leaders,
    Left,
    MemberStatus,
    NotLeader,
    ReplyBody,
    RequestBody,
    Run,
    Status,
    StatusReport,
    Told,
)
from quorate.core.statements import Result
from quorate.transport.crowd import GaveUpItsPlace
from quorate.wire.codec import decode_asked, encode
from quorate.wire.frames import FrameReader, frame
from quorate.wire.handshake import NODE, Hello, greeting, refusal

SILENCE = "silence"
"""A script's answer: say nothing."""
HANG_UP = "hang up"
"""A script's answer: close the connection."""

GIVE_UP_PLACE = "give up place"
"""A script's answer: close the connection as one that was not used, and do nothing of what came on it."""

Said = ReplyBody | str | Awaitable[Any] | list[Any]
"""A list is said in its order."""
Script = Callable[[RequestBody], Said]


def outcome(value: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(value))


def answer(*rows: tuple[Any, ...], index: int = 7, rowcount: int = -1) -> Answer:
    """One statement's rows, or what a write gives."""
    columns = tuple((f"c{number}", None) for number in range(len(rows[0]))) if rows else ()
    return Answer(outcome(Done((Result(columns, list(rows), rowcount),))), index)


class FakeNode:
    """Listens on a free port of this machine. `script` says what to answer; `asked` is what it was asked."""

    def __init__(self, cluster: "FakeCluster", number: int) -> None:
        self.cluster = cluster
        self.number = number
        self.script: Script = lambda body: answer((number,))
        self.asked: list[RequestBody] = []
        self.left = threading.Event()
        """A client has said that it does not wait for an answer any more."""
        self.connections = 0
        self.address = ""
        self.hello: bytes | None = None
        """What it greets with instead of a greeting."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        name = f"n{self.number}"
        writer.write(self.hello or greeting(Hello(NODE, cluster="fake", node=self.number, name=name)))
        frames = FrameReader()
        met = False
        try:
            while data := await reader.read(65536):
                for payload in frames.feed(data):
                    if not met:
                        met = True
                        continue
                    ask = decode_asked(payload)
                    if isinstance(ask, Left):
                        self.left.set()
                        continue
                    task = asyncio.create_task(self._answer(ask, writer))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, ask: Ask, writer: asyncio.StreamWriter) -> None:
        said: Any
        if isinstance(ask.body, Status) and ask.body.members_only:
            said = self.cluster.report(self.number)
        else:
            self.asked.append(ask.body)
            said = self.script(ask.body)
        if isinstance(said, Awaitable):
            said = await said
        for each in said if isinstance(said, list) else [said]:
            self._say(each, ask, writer)

    def _say(self, said: Any, ask: Ask, writer: asyncio.StreamWriter) -> None:
        if said == HANG_UP:
            writer.transport.abort()
        elif said == GIVE_UP_PLACE:
            writer.write(refusal(GaveUpItsPlace("others wait")))
            writer.close()
        elif said != SILENCE:
            assert not isinstance(said, str)
            with suppress(ConnectionError):
                writer.write(frame(encode(Told(ask.id, said))))

    async def stop(self) -> None:
        """Stop listening and hang up, as a killed process does."""
        for task in self._tasks:
            task.cancel()
        if self._server is not None:
            self._server.close()
        writers = list(self._writers)
        for writer in writers:
            writer.transport.abort()
        for writer in writers:
            with suppress(ConnectionError):
                await writer.wait_closed()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def kill(self) -> None:
        """`stop` from the test's thread."""
        self.cluster.call(self.stop())

    @property
    def runs(self) -> list[Run]:
        return [body for body in self.asked if isinstance(body, Run)]


class FakeCluster:
    """Some fake nodes on an event loop in a thread of its own, so that blocking clients can be tested."""

    def __init__(self, count: int = 3) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.members: list[FakeNode] = []
        """Whom its nodes call members; nobody asks about them in most tests."""
        self.changes = 0
        self.replication = ""
        """Of the database, as its nodes say."""
        self.leaders: tuple[Leaders, ...] = ()
        """Of the database, if it has several."""
        self.nodes = [FakeNode(self, number) for number in range(1, count + 1)]
        for node in self.nodes:
            self.call(node.start())

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    @property
    def url(self) -> str:
        return "quorate://" + ",".join(node.address for node in self.nodes) + "/shop"

    def report(self, number: int) -> StatusReport:
        """What a node says of the members to a client that asks beside its requests."""
        members = tuple(MemberStatus(each.number, f"n{each.number}", each.address, alive=True) for each in self.members)
        return StatusReport(
            "fake", number, f"n{number}", 1, members, (),
            changes=self.changes, leaders=self.leaders, replication=self.replication,
        )  # fmt: skip

    def lead(self, leader: FakeNode, script: Script | None = None) -> None:
        """One node leads and answers by `script`; the others name it."""
        for node in self.nodes:
            if node is leader:
                node.script = script or (lambda body: answer((leader.number,), rowcount=1))
            else:
                node.script = lambda body: NotLeader(leader.address)

    def close(self) -> None:
        for node in self.nodes:
            self.call(node.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
