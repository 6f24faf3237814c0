"""Read views that a node keeps for callers: how many, for how long, and each piece once."""

import random
from typing import Any

import msgspec

from quorate.core.auth.access import Access
from quorate.core.calls import Reply, Request
from quorate.core.entries import Position
from quorate.core.kernel import Note, Now
from quorate.core.querying import DAMAGED
from quorate.core.read_views import ReadViews
from quorate.core.requests import Answer, Refused
from quorate.core.settings import Settings
from quorate.core.statements import Statement
from quorate.core.view_requests import CloseView, OpenView, Piece, ReadView, Viewed
from quorate.core.viewing import FetchView, LetViewGo, PinView, ViewRead

GROUP = 7
SECOND = 1_000_000
READ = Statement("SELECT 1")


class Host:
    """What is needed of a node."""

    def __init__(self) -> None:
        self.access = Access(lambda _effect: None, 300 * SECOND, trusted=True)
        self.settings = Settings(views_max=2, view_us=300 * SECOND, view_idle_us=60 * SECOND, view_wal_bytes=1_000)
        self.emitted: list[Any] = []
        self.emit = self.emitted.append
        self.rng = random.Random(1)
        self.now_us = 0
        self.groups: dict[int, Any] = {GROUP: None}

    def reply(self, id: int, body: Any) -> None:
        self.emit(Reply(id, body))

    def take(self) -> list[Any]:
        taken = self.emitted.copy()
        self.emitted.clear()
        return taken


def at(seconds: float) -> Now:
    return Now(int(seconds * SECOND))


def piece(value: int, *, more: bool = True) -> bytes:
    return msgspec.msgpack.encode(Piece((("v", None),), [(value,)], more))


def opened(views: ReadViews, host: Host, id: int = 1, seconds: float = 0) -> int:
    """Open a view for request `id`; its number."""
    host.now_us = at(seconds).mono_us
    views.open(GROUP, id, OpenView("main", READ, "eventual", bytes=1), 0)
    (pin,) = host.take()
    assert pin == PinView(GROUP, pin.view, READ, 1)
    views.on_read(at(seconds), ViewRead(GROUP, pin.view, piece(0), Position(1, 5)))
    (reply,) = host.take()
    assert (reply.id, reply.body.index) == (id, 5)
    assert msgspec.msgpack.decode(reply.body.outcome, type=Viewed).view == pin.view
    return int(pin.view)


def refused(views: ReadViews, host: Host, body: Any, seconds: float = 1) -> Refused:
    views.on_request(at(seconds), Request(99, body))
    (reply,) = host.take()
    assert isinstance(reply.body, Refused)
    return reply.body


def made() -> tuple[ReadViews, Host]:
    host = Host()
    return ReadViews(host), host  # type: ignore[arg-type]


def test_each_piece_is_given_once_and_the_newest_again() -> None:
    views, host = made()
    view = opened(views, host)
    views.on_request(at(1), Request(2, ReadView(view, 1, None, 8)))
    assert host.take() == [FetchView(GROUP, view, None, 8)]
    views.on_request(at(1), Request(3, ReadView(view, 1, None, 8)))  # its caller has asked again
    assert host.take() == []
    views.on_read(at(1), ViewRead(GROUP, view, piece(1), Position(1, 5)))
    both = host.take()
    assert [each.id for each in both] == [2, 3]
    views.on_request(at(2), Request(4, ReadView(view, 1, None, 8)))
    (again,) = host.take()
    assert again.body == both[0].body
    for number in (0, 3):
        assert refused(views, host, ReadView(view, number)).error == "InterfaceError"
    views.on_request(at(3), Request(5, CloseView(view)))
    closed, reply = host.take()
    assert closed == LetViewGo(GROUP, view)
    assert isinstance(reply.body, Answer)
    gone = refused(views, host, ReadView(view, 2))
    assert (gone.error, gone.retryable) == ("SnapshotExpired", True)


def test_a_node_keeps_so_many() -> None:
    views, host = made()
    opened(views, host, 1)
    opened(views, host, 2)
    views.open(GROUP, 3, OpenView("main", READ, "eventual"), 0)
    (reply,) = host.take()
    assert (reply.body.error, reply.body.retryable) == ("Overloaded", True)


def test_views_end_by_age_and_when_nobody_reads_them() -> None:
    views, host = made()
    idle, used = opened(views, host, 1), opened(views, host, 2)
    for second in range(50, 301, 50):
        views.on_request(at(second), Request(3, ReadView(used, second // 50, None)))
        views.on_read(at(second), ViewRead(GROUP, used, piece(second)))
        host.take()
        views.tick(at(second + 20))
        ended = [each.view for each in host.take() if isinstance(each, LetViewGo)]
        assert ended == ([idle] if second == 50 else [used] if second == 300 else [])


def test_a_large_write_ahead_log_ends_all_of_its_database() -> None:
    views, host = made()
    view = opened(views, host)
    views.on_request(at(1), Request(2, ReadView(view, 1)))
    host.take()
    views.applied(GROUP + 1, 5_000)
    views.applied(GROUP, 1_000)
    assert host.take() == []
    views.applied(GROUP, 1_001)
    note, reply, closed = host.take()
    assert (type(note), reply.id, reply.body.error, closed) == (Note, 2, "SnapshotExpired", LetViewGo(GROUP, view))
    views.on_read(at(2), ViewRead(GROUP, view, piece(1)))  # it was being read
    assert host.take() == []


def test_a_view_that_finds_nothing_is_no_more() -> None:
    views, host = made()
    view = opened(views, host)
    del host.groups[GROUP]
    views.on_request(at(1), Request(2, ReadView(view, 1)))
    host.take()
    views.on_read(at(1), ViewRead(GROUP, view, why=DAMAGED, reason="bad page"))
    reply, closed = host.take()
    assert (reply.body.error, closed) == ("Unavailable", LetViewGo(GROUP, view))


def test_only_reads_run_in_a_view() -> None:
    views, host = made()
    view = opened(views, host)
    assert refused(views, host, ReadView(view, 1, Statement("DELETE FROM t"))).error == "ProgrammingError"
