"""Bookmarks of requests: how they are signed, and how they come to connections and back."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from quorate import Bookmark, BookmarkLost, ProgrammingError, Unavailable
from quorate.core.bookmarks import Reached
from quorate.web import asgi, wsgi
from quorate.web.carried import TEXT_MAX, Carried, carrying, give, through
from quorate.web.cookies import Carrier

SECRET = "a secret of the test's own"


def mark(index: int, *, cluster: int = 5, epoch: int = 1) -> Bookmark:
    return Bookmark(cluster, (Reached(3, epoch, index),))


class Node:
    """A connection to a replica that has got to `has`; it keeps what it was shown, as Quorate's own does."""

    def __init__(self, has: int, database: str = "shop", cluster: int = 5) -> None:
        self.has, self.database, self.cluster = has, database, cluster
        self._at = Bookmark()
        self.begun = 0

    @property
    def bookmark(self) -> Bookmark:
        return self._at

    @bookmark.setter
    def bookmark(self, given: Bookmark | None) -> None:
        self._at = self._at | given if given else Bookmark()

    def answer(self) -> int:
        shown = self._at
        if shown and shown.cluster != self.cluster:
            raise ProgrammingError("the bookmark is of another cluster, not of this one with 'shop'")
        if shown and shown.places[0].index > self.has:
            raise BookmarkLost("a failover has lost it") if shown.places[0].epoch == 1 else Unavailable("not yet")
        self._at = mark(self.has, cluster=self.cluster)
        return self.has

    def ask(self, level: str = "session") -> int:
        found = through(self, level, self.answer, self.begin_anew)
        give(self)
        return found

    def begin_anew(self) -> None:
        self.begun += 1


def brought(*marks: tuple[str, Bookmark]) -> Carried:
    carried = Carried()
    for name, bookmark in marks:
        carried.add(name, bookmark)
    return Carried.parse(carried.text())


def test_what_a_request_has_seen_the_next_one_brings() -> None:
    first = Carried()
    with carrying(first):
        Node(has=7).ask("linearizable")
        Node(has=4, database="a b|c:d").ask()
    second = Carried.parse(first.text())
    assert (second.of("shop"), second.of("a b|c:d"), second.moved) == (mark(7), mark(4), False)
    late = Node(has=9)
    with carrying(second):
        late.ask()
    assert (second.of("shop"), second.moved) == (mark(9), True)
    Node(has=1).ask()  # outside of requests nothing is carried
    assert second.of("shop") == mark(9)


def test_only_reads_of_a_session_wait_for_it() -> None:
    behind = Node(has=2)
    carried = brought(("shop", mark(7, epoch=2)))
    with carrying(carried):
        with pytest.raises(Unavailable):
            behind.ask()
        assert behind.bookmark == Bookmark()  # nobody has said that it was of this database
        assert behind.ask("eventual") == 2
    assert mark(7, epoch=2).places[0] in carried.of("shop").places


@pytest.mark.parametrize("bad", [mark(7), mark(7, cluster=6)], ids=["lost", "foreign"])
def test_a_bookmark_that_is_refused_ends_the_session_and_not_the_request(bad: Bookmark) -> None:
    node, carried = Node(has=2), brought(("shop", bad))
    with carrying(carried):
        assert (node.ask(), node.begun) == (2, 1)
    assert carried.of("shop") == mark(2)


def test_a_connection_to_another_cluster_is_not_shown_it() -> None:
    node, carried = Node(has=2), brought(("shop", mark(7, cluster=6)))
    node.ask()
    with carrying(carried):
        assert (node.ask(), node.begun) == (2, 0)
    assert carried.of("shop") == mark(2)


def test_those_that_moved_longest_ago_are_left_out_of_a_long_text() -> None:
    carried = Carried()
    for number in range(100):
        carried.add(f"{number:03}{'x' * 40}", mark(number + 1))
    again = Carried.parse(carried.text())
    assert len(carried.text()) <= TEXT_MAX
    assert (again.of(f"099{'x' * 40}"), again.of(f"000{'x' * 40}")) == (mark(100), Bookmark())
    assert not Carried.parse("x" * (TEXT_MAX + 1)).text()
    assert Carried.parse(f"shop:nonsense|books:{mark(3)}").text() == f"books:{mark(3)}"


def test_only_what_is_signed_is_read() -> None:
    carried = Carried()
    carried.add("shop", mark(7))
    ((name, cookie),) = Carrier(SECRET).written(carried)
    assert (name, cookie.split("; ")[1:]) == ("Set-Cookie", ["Path=/", "HttpOnly", "SameSite=Lax", "Secure"])
    value = cookie.split(";")[0]
    assert Carrier(SECRET).read(f"a=b; {value}; c=d", "").of("shop") == mark(7)
    assert Carrier("another secret, as long", old_secrets=[SECRET]).read(value, "").of("shop") == mark(7)
    assert not Carrier("another secret, as long").read(value, "").text()
    forged = value.replace(str(mark(7)), str(mark(8)))
    assert forged != value
    for wrong in (forged, value[:-1], value.rpartition(".")[0], "quorate-bookmark=", "quorate-bookmark=ä.ö", ""):
        assert not Carrier(SECRET).read(wrong, "").text()
    assert Carrier(SECRET).written(Carrier(SECRET).read(value, "")) == []
    own = Carrier(SECRET, header="X-Seen", secure=False)
    ((name, text),) = own.written(carried)
    assert (name, own.read("", text).of("shop")) == ("X-Seen", mark(7))


def test_a_session_that_ended_deletes_the_cookie() -> None:
    carried = brought(("shop", mark(7)))
    carried.drop("shop")
    ((_, cookie),) = Carrier(SECRET, secure=False, same_site="Strict").written(carried)
    assert cookie == "quorate-bookmark=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"


def test_wrong_options_are_named() -> None:
    with pytest.raises(ProgrammingError, match="at least 16 bytes"):
        Carrier("short")
    with pytest.raises(ProgrammingError, match="Lax, Strict, None"):
        Carrier(SECRET, same_site="no")


def of_wsgi(app: Any, cookie: str) -> tuple[list[int], dict[str, str]]:
    told: dict[str, str] = {}
    body = wsgi.BookmarkMiddleware(app, SECRET)(
        {"HTTP_COOKIE": cookie}, lambda status, headers, *_: told.update(headers)
    )
    bits = [int(bit) for bit in body]
    body.close() if hasattr(body, "close") else None
    return bits, told


def test_wsgi_sets_the_cookie_before_the_first_byte_and_reads_it_while_it_streams() -> None:
    nodes = [Node(has=7), Node(has=8), Node(has=3)]
    closed: list[Bookmark] = []

    def streaming(environ: Any, start: Any) -> Iterator[bytes]:
        first = nodes[0].ask()
        start("200 OK", [("Content-Type", "text/plain")])
        yield b"%d" % first
        yield b"%d" % nodes[1].ask()
        closed.append(nodes[1].bookmark)

    bits, told = of_wsgi(streaming, "")
    assert (bits, closed, told["Content-Type"]) == ([7, 8], [mark(8)], "text/plain")
    assert Carrier(SECRET).read(told["Set-Cookie"], "").of("shop") == mark(7)

    def at_once(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b"%d" % nodes[2].ask()]

    assert of_wsgi(at_once, told["Set-Cookie"].split(";")[0])[0] == [3]
    assert nodes[2].begun == 1, "it was shown what the first request had seen"
    assert of_wsgi(at_once, "") == ([3], {})


def test_asgi_does_the_same() -> None:
    async def once(node: Node, cookie: bytes, kind: str = "http") -> dict[bytes, bytes]:
        sent: list[dict[str, Any]] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.to_thread(node.ask)  # as frameworks run views that are no coroutines
            await send({"type": f"{kind}.response.start", "status": 200, "headers": [(b"a", b"b")]})

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": kind, "headers": [(b"cookie", b"x=y"), (b"cookie", cookie)]}
        await asgi.BookmarkMiddleware(app, SECRET)(scope, None, send)  # type: ignore[arg-type]
        return dict(sent[0]["headers"])

    async def main() -> None:
        told = await once(Node(has=7), b"")
        assert told[b"a"] == b"b"
        cookie = told[b"set-cookie"].split(b";")[0]
        behind = Node(has=3)
        await once(behind, cookie)
        assert behind.begun == 1
        outside = Node(has=3)
        assert b"set-cookie" not in await once(outside, cookie, "lifespan")
        assert outside.begun == 0

    asyncio.run(main())
