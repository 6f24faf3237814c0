"""Read your writes behind any node, and views that run again when others were first."""

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signing import BadSignature, Signer
from django.db import connections, transaction
from django.db.utils import OperationalError
from django.http import HttpRequest, HttpResponseBase

from quorate import SerializationFailure
from quorate.web.carried import Carried, carrying
from quorate.web.cookies import NAME

ATTEMPTS = 4
SAFE_METHODS = ("GET", "HEAD")
_Respond = Callable[[HttpRequest], HttpResponseBase]


class BookmarkMiddleware:
    """Carries bookmarks in a cookie, signed with SECRET_KEY. For `MIDDLEWARE`, before whatever uses the database;
    QUORATE_BOOKMARK_COOKIE is the cookie's name. Its flags are those of the session's cookie, but it is always
    HttpOnly."""

    sync_capable = True
    async_capable = False

    def __init__(self, get_response: _Respond) -> None:
        self._respond = get_response
        self._signer = Signer(salt="quorate.bookmark")
        self._name = getattr(settings, "QUORATE_BOOKMARK_COOKIE", NAME)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        carried = Carried.parse(self._brought(request))
        with carrying(carried):
            response = self._respond(request)
        if carried.moved:
            self._set(response, carried.text())
        return response

    def _brought(self, request: HttpRequest) -> str:
        try:
            return str(self._signer.unsign(request.COOKIES.get(self._name, "")))
        except BadSignature:
            return ""

    def _set(self, response: HttpResponseBase, text: str) -> None:
        place = {"path": settings.SESSION_COOKIE_PATH, "domain": settings.SESSION_COOKIE_DOMAIN}
        site = settings.SESSION_COOKIE_SAMESITE
        if not text:
            response.delete_cookie(self._name, samesite=site, **place)
            return
        secure = settings.SESSION_COOKIE_SECURE
        signed = self._signer.sign(text)
        response.set_cookie(self._name, signed, secure=secure, httponly=True, samesite=site, **place)


def retry_conflicts(view: Any = None, *, idempotent: bool = False) -> Any:
    """A view that runs again, up to four times in all, when it fails with SerializationFailure: for GET and HEAD, and
    for all methods with `idempotent=True`. With ATOMIC_REQUESTS each attempt is a transaction of its own."""
    if view is None:
        return lambda function: retry_conflicts(function, idempotent=idempotent)
    if iscoroutinefunction(view):
        raise ImproperlyConfigured("retry_conflicts is for views that are no coroutines: transactions are not, either")
    exempt: set[str] = getattr(view, "_non_atomic_requests", set())

    @wraps(view)
    def run(request: HttpRequest, *arguments: Any, **keywords: Any) -> Any:
        retries = idempotent or request.method in SAFE_METHODS
        if any(each.in_atomic_block for each in connections.all(initialized_only=True)):
            retries = False  # whoever began that transaction must begin it anew
        attempt = view
        for alias, each in connections.settings.items():
            if each["ATOMIC_REQUESTS"] and alias not in exempt:
                attempt = transaction.atomic(using=alias)(attempt)
        for _ in range(ATTEMPTS - 1 if retries else 0):
            try:
                return attempt(request, *arguments, **keywords)
            except OperationalError as error:
                if not isinstance(error.__cause__, SerializationFailure):
                    raise
        return attempt(request, *arguments, **keywords)

    run._non_atomic_requests = {*exempt, *connections.settings}  # type: ignore[attr-defined]  # noqa: SLF001 - as Django's own does
    return run
