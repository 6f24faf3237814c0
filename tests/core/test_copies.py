"""Copies that a node keeps for callers: how many, for how long, and for whom."""

from typing import Any

import msgspec

from quorate.core.auth.access import Access
from quorate.core.auth.users import GrantRow, Login, UserRow, Users
from quorate.core.calls import Reply, Request, Tell
from quorate.core.copies import Copies
from quorate.core.copy_requests import CopyPart, CopyReport, ReadCopy
from quorate.core.entries import Position
from quorate.core.kernel import CloseSnapshot, Now, OpenSnapshot, ReadSnapshot, SnapshotOpened, SnapshotRead
from quorate.core.requests import Answer, Refused
from quorate.core.settings import Settings

GROUP = 7
SECOND = 1_000_000


class Host:
    """What is needed of a node."""

    def __init__(self) -> None:
        self.access = Access(lambda _effect: None, 300 * SECOND, trusted=False)
        self.settings = Settings(copies_max=2, copy_idle_us=60 * SECOND, copy_part_bytes=100)
        self.emitted: list[Any] = []
        self.emit = self.emitted.append

    def reply(self, id: int, body: Any) -> None:
        self.emit(Reply(id, body))

    def take(self) -> list[Any]:
        taken = self.emitted.copy()
        self.emitted.clear()
        return taken


def at(seconds: float) -> Now:
    return Now(int(seconds * SECOND))


def kept(copies: Copies, host: Host, id: int, *, until_s: float = 0, now_s: float = 0) -> Any:
    """Have a copy made for request `id`; what its caller is told. Its number is 100 + id, its size 250."""
    copies.open(GROUP, "main", id, int(until_s * SECOND))
    told, opens = host.take()
    assert isinstance(told, Tell)
    assert opens == OpenSnapshot(GROUP, 0, id)
    copies.on_opened(at(now_s), SnapshotOpened(GROUP, 0, 100 + id, Position(1, 5), 250, id))
    return host.take()


def test_a_copy_is_read_in_parts_and_let_go_of_at_its_end() -> None:
    host = Host()
    copies: Any = Copies(host)  # type: ignore[arg-type]
    *_, reply = kept(copies, host, 1)
    assert reply.body.index == 5
    assert msgspec.msgpack.decode(reply.body.outcome, type=CopyReport) == CopyReport(101, 250)
    copies.on_request(at(1), Request(2, ReadCopy(101, 200)))
    assert host.take() == [ReadSnapshot(GROUP, 0, 101, 200, 100, 2)]
    copies.on_read(SnapshotRead(GROUP, 0, 101, 200, b"x" * 50, end=True, id=2))
    (reply,) = host.take()
    assert msgspec.msgpack.decode(reply.body.outcome, type=CopyPart) == CopyPart(b"x" * 50)
    copies.on_request(at(2), Request(3, ReadCopy(101, 250)))
    closed, reply = host.take()
    assert closed == CloseSnapshot(GROUP, 101)
    assert isinstance(reply.body, Answer)
    copies.on_request(at(3), Request(4, ReadCopy(101, 0)))
    (reply,) = host.take()
    assert isinstance(reply.body, Refused)
    assert reply.body.retryable


def test_no_more_copies_than_a_node_may_keep() -> None:
    host = Host()
    copies: Any = Copies(host)  # type: ignore[arg-type]
    kept(copies, host, 1)
    copies.open(GROUP, "main", 2, 0)  # being made counts as well
    host.take()
    copies.open(GROUP, "main", 3, 0)
    (reply,) = host.take()
    assert reply.body.error == "Overloaded"
    assert "2 copies" in reply.body.message
    copies.on_request(at(1), Request(4, ReadCopy(101, 250)))
    host.take()
    copies.open(GROUP, "main", 5, 0)
    assert isinstance(host.take()[1], OpenSnapshot)


def test_a_copy_that_could_not_be_made_leaves_room_for_another() -> None:
    host = Host()
    copies: Any = Copies(host)  # type: ignore[arg-type]
    for number in (1, 2, 3):
        copies.open(GROUP, "main", number, 0)
        host.take()
        copies.on_opened(at(0), SnapshotOpened(GROUP, 0, 0, Position(0, 0), 0, number, "the disk is full"))
        (reply,) = host.take()
        assert "the disk is full" in reply.body.message


def test_a_copy_that_nobody_reads_is_let_go_of() -> None:
    host = Host()
    copies: Any = Copies(host)  # type: ignore[arg-type]
    kept(copies, host, 1)
    copies.on_request(at(50), Request(2, ReadCopy(101, 0)))
    host.take()
    copies.tick(at(109))
    assert host.take() == []
    copies.tick(at(110))
    assert CloseSnapshot(GROUP, 101) in host.take()


def test_a_copy_whose_caller_waited_no_longer_is_not_kept() -> None:
    host = Host()
    copies: Any = Copies(host)  # type: ignore[arg-type]
    assert CloseSnapshot(GROUP, 101) in kept(copies, host, 1, until_s=5, now_s=6)
    assert CloseSnapshot(GROUP, 102) not in kept(copies, host, 2, until_s=5, now_s=4)


def test_only_who_may_have_a_copy_made_reads_it() -> None:
    host = Host()
    copies: Any = Copies(host)  # type: ignore[arg-type]
    kept(copies, host, 1)
    users = tuple(UserRow(name, 1, "v") for name in ("ann", "bob", "carl", "dan"))
    grants = GrantRow("ann", "", "backup"), GrantRow("bob", "main", "read"), GrantRow("carl", "other", "owner")
    host.access.load(Users(users, (), grants, "secret"))
    host.access.heard_leader(at(1).mono_us, 1, 1)
    for name in ("ann", "bob"):
        copies.on_request(at(1), Request(2, ReadCopy(101, 0), login=Login(name, 1)))
        assert host.take() == [ReadSnapshot(GROUP, 0, 101, 0, 100, 2)]
    for login in (Login("carl", 1), Login("dan", 1), Login("bob", 0), None):
        for offset in (0, 250):
            copies.on_request(at(1), Request(2, ReadCopy(101, offset), login=login))
            (reply,) = host.take()
            assert isinstance(reply.body, Refused)
            assert reply.body.error in ("PermissionDenied", "AuthenticationError")
