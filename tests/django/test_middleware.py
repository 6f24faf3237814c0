"""Views that run again, and the cookie of bookmarks in Django."""

from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from tests.django.test_backend import Shop, make_tables, use

from quorate import Bookmark, SerializationFailure
from quorate.core.bookmarks import Reached

from django.db import OperationalError, transaction  # isort: skip - test_backend configures Django first

from quorate.django.middleware import BookmarkMiddleware, retry_conflicts  # isort: skip


@pytest.fixture
def db() -> Any:
    connection = use(":memory:")
    make_tables(connection)
    yield connection
    connection.connection.close()


def request_of(method: str) -> HttpRequest:
    request = HttpRequest()
    request.method = method
    return request


def conflict() -> OperationalError:
    error = OperationalError("others were first")
    error.__cause__ = SerializationFailure("others were first")
    return error


class View:
    """Writes a row, and fails so many times."""

    __name__ = "view"

    def __init__(self, fails: int, error: Exception | None = None) -> None:
        self.fails, self.error, self.calls = fails, error or conflict(), 0

    def __call__(self, request: HttpRequest) -> int:
        self.calls += 1
        Shop.objects.create(name=str(self.calls))
        if self.calls <= self.fails:
            raise self.error
        return self.calls


@pytest.mark.parametrize(("method", "idempotent"), [("GET", False), ("HEAD", False), ("POST", True)])
def test_a_view_runs_again_when_others_were_first(db: Any, method: str, idempotent: bool) -> None:
    view = View(fails=2)
    assert retry_conflicts(view, idempotent=idempotent)(request_of(method)) == 3
    tired = View(fails=9)
    tired.calls = 3
    with pytest.raises(OperationalError):
        retry_conflicts(idempotent=idempotent)(tired)(request_of(method))
    assert tired.calls == 7


def test_what_must_not_run_again_does_not(db: Any) -> None:
    with pytest.raises(OperationalError):
        retry_conflicts(posted := View(fails=1))(request_of("POST"))
    Shop.objects.all().delete()
    with pytest.raises(OperationalError, match="full"):
        retry_conflicts(other := View(fails=1, error=OperationalError("full")))(request_of("GET"))
    Shop.objects.all().delete()
    with pytest.raises(OperationalError), transaction.atomic():
        retry_conflicts(inner := View(fails=1))(request_of("GET"))
    assert (posted.calls, other.calls, inner.calls) == (1, 1, 1)

    async def view(request: HttpRequest) -> None: ...

    with pytest.raises(ImproperlyConfigured, match="coroutines"):
        retry_conflicts(view)


def test_with_atomic_requests_each_attempt_is_a_transaction(db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core.handlers.base import BaseHandler
    from django.db import connections

    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    monkeypatch.setitem(db.settings_dict, "ATOMIC_REQUESTS", True)
    view = retry_conflicts(View(fails=2))
    assert BaseHandler().make_view_atomic(view) is view
    assert view(request_of("GET")) == 3
    assert [shop.name for shop in Shop.objects.all()] == ["3"]


def test_the_cookie_is_signed_and_flagged() -> None:
    settings.SECRET_KEY = "a secret of the test's own"
    from quorate.web import carried

    def view(request: HttpRequest) -> HttpResponse:
        now = carried._current.get()
        assert now is not None
        seen = now.of("shop")
        now.add("shop", Bookmark(5, (Reached(3, 1, 7),)))
        return HttpResponse(str(seen))

    middleware = BookmarkMiddleware(view)
    cookie = middleware(request_of("GET")).cookies["quorate-bookmark"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    again = request_of("GET")
    again.COOKIES["quorate-bookmark"] = cookie.value
    response: Any = middleware(again)
    assert response.content.decode() == str(Bookmark(5, (Reached(3, 1, 7),)))
    assert not response.cookies, "nothing has moved"
    forged = request_of("GET")
    forged.COOKIES["quorate-bookmark"] = cookie.value[:-1]
    response = middleware(forged)
    assert response.content == b""
