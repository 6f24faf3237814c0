"""How an embedded connection's calls get from the tasks of an event loop to its threads, and back."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

from quorate import errors
from quorate.client.link_aio import FOREIGN_LOOP
from quorate.client.marker import NOTHING
from quorate.client.pieces import ConnectionAttributes
from quorate.client.results import closed
from quorate.client.url import FolderTarget, MemoryTarget
from quorate.core.bookmarks import Bookmark
from quorate.runtime.embedded.connection import Connection as Embedded
from quorate.runtime.embedded.opening import Reads
from quorate.runtime.tasks.transactions import Transaction
from quorate.runtime.tasks.workers import Crew, Worker

T = TypeVar("T")
_AGAIN = 0.02
"""Seconds between two attempts to end a statement."""


class Calls(ConnectionAttributes):
    """The connection for threads, opened when it is first needed, and the threads in which it is called."""

    __slots__ = (
        "_autocommit", "_bookmark", "_closed", "_crew", "_ends", "_inner", "_loop", "_opening", "_running", "_target",
    )  # fmt: skip

    read: str
    timeout: float
    transactions: set[Transaction]
    _autocommit: bool
    _bookmark: Bookmark
    _closed: bool
    _crew: Crew
    _ends: float | None
    _inner: Embedded | None
    _loop: asyncio.AbstractEventLoop | None
    _opening: asyncio.Lock
    _running: set[Future[Any]]
    _target: FolderTarget | MemoryTarget

    async def call(self, call: Callable[[Embedded], T], worker: Worker | None = None) -> T:
        """Call with the connection for threads, in a thread. What is cancelled is ended there."""
        inner = await self.opened()
        runs = worker or self.take_worker()
        future = runs.submit(lambda: call(self._ready(inner)))
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        if worker is None:
            self.give_back(runs, future)
        return await self.answer(runs, future)

    def take_worker(self) -> Worker:
        """A thread that nobody uses."""
        return self._crew.take()

    def give_back(self, worker: Worker, after: "Future[Any]") -> None:
        """It has nothing more to do after this."""
        crew = self._crew
        after.add_done_callback(lambda _: crew.give_back(worker))

    async def answer(self, worker: Worker, future: "Future[T]", *, ends: bool = True) -> T:
        """What a call gives that runs there; if its task is cancelled meanwhile, it is ended, unless not `ends`."""
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except asyncio.CancelledError:
            if ends and not future.cancel() and self._inner is not None:
                self._end(self._inner.reads, [future], worker.thread)
            raise

    def _end(self, reads: Reads, calls: list["Future[Any]"], thread: int | None = None) -> None:
        """End the statements of these calls, again and again: one that has not begun cannot be ended."""
        if self._loop is None or self._loop.is_closed() or all(call.done() for call in calls):
            return
        reads.interrupt(thread)
        self._loop.call_later(_AGAIN, self._end, reads, calls, thread)

    def _ready(self, inner: Embedded) -> Embedded:
        """It, as this connection is by now. Raises BookmarkLost, when it has not got as far as is asked."""
        if inner.autocommit != self._autocommit:
            inner.autocommit = self._autocommit
        if self._bookmark:
            mark, self._bookmark = self._bookmark, NOTHING
            inner.bookmark = mark
        return inner

    def check(self) -> None:
        """Raises InterfaceError when it is closed, or belongs to another event loop."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise errors.InterfaceError(FOREIGN_LOOP, hint="connect in each loop")
        if self._closed:
            closed("connection")

    async def opened(self) -> Embedded:
        """The connection for threads, opened when it is not yet."""
        self.check()
        if self._inner is not None:
            return self._inner
        async with self._opening:
            if self._inner is None:
                self.check()
                await self._opens()
            assert self._inner is not None, "it was just opened"
            return self._inner

    async def _opens(self) -> None:
        mark, self._bookmark = self._bookmark, NOTHING

        def opens() -> Embedded:
            return Embedded(
                self._target,
                timeout=self.timeout,
                read=self.read,
                ends=self._ends,
                autocommit=self._autocommit,
                bookmark=mark,
            )

        worker = self.take_worker()
        future = worker.submit(opens)
        self.give_back(worker, future)
        try:
            self._inner = await self.answer(worker, future, ends=False)
        except asyncio.CancelledError:
            future.add_done_callback(_close_again)
            raise

    async def close(self) -> None:
        """Close the files. Closing again does nothing. What runs is ended, and open transactions are undone."""
        if self._closed:
            return
        self.check()
        self._closed = True
        inner, worker = self._inner, self.take_worker()
        self._crew.end()
        if inner is not None:
            undone = [each.drop() for each in tuple(self.transactions)]
            running = [*tuple(self._running), *undone]
            self._end(inner.reads, running)
            future = worker.submit(lambda: _close_after(running, inner))
            self.give_back(worker, future)
            await self.answer(worker, future, ends=False)


def _close_after(running: "list[Future[Any]]", inner: Embedded) -> None:
    wait(running)
    inner.close()


def _close_again(opened: "Future[Embedded]") -> None:
    """Its task was cancelled: nobody has it."""
    if opened.exception() is None:
        opened.result().close()
