"""Read your writes behind any node, for WSGI applications (Flask, Pyramid, Bottle ...)."""

from collections.abc import Callable, Iterable
from contextvars import Context, copy_context
from typing import Any

from quorate.web.carried import carry
from quorate.web.cookies import Carrier

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class BookmarkMiddleware:
    """A WSGI application around another: `app.wsgi_app = BookmarkMiddleware(app.wsgi_app, secret)`."""

    def __init__(self, app: App, secret: str | bytes, **options: Any) -> None:
        """`options` are those of `quorate.web.cookies.Carrier`, and so are the errors."""
        self._app = app
        self._carrier = Carrier(secret, **options)
        self._key = "HTTP_" + (self._carrier.header or "").upper().replace("-", "_")

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        carried = self._carrier.read(environ.get("HTTP_COOKIE", ""), environ.get(self._key, ""))

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            return start_response(status, [*headers, *self._carrier.written(carried)], *exc_info)

        context = copy_context()
        context.run(carry, carried)
        body = context.run(self._app, environ, start)
        return body if isinstance(body, list | tuple) else _Body(body, context)


class _Body:
    """What an application sends bit by bit, each bit in the context of its request."""

    def __init__(self, body: Iterable[bytes], context: Context) -> None:
        self._body, self._context = body, context
        self._bits = context.run(iter, body)

    def __iter__(self) -> "_Body":
        return self

    def __next__(self) -> bytes:
        return self._context.run(next, self._bits)

    def close(self) -> None:
        close = getattr(self._body, "close", None)
        if close is not None:
            self._context.run(close)
