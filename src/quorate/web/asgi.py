"""Read your writes behind any node, for ASGI applications (FastAPI, Starlette, Litestar ...)."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from quorate.web.carried import carrying
from quorate.web.cookies import Carrier

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class BookmarkMiddleware:
    """An ASGI application around another: `app.add_middleware(BookmarkMiddleware, secret=...)`. A websocket reads after
    what its request brought, and takes nothing along."""

    def __init__(self, app: App, secret: str | bytes, **options: Any) -> None:
        """`options` are those of `quorate.web.cookies.Carrier`, and so are the errors."""
        self._app = app
        self._carrier = Carrier(secret, **options)
        self._key = (self._carrier.header or "").lower().encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers: list[tuple[bytes, bytes]] = list(scope["headers"])
        cookies = "; ".join(value.decode("latin-1") for name, value in headers if name == b"cookie")
        own = next((value.decode("latin-1") for name, value in headers if name == self._key), "")
        carried = self._carrier.read(cookies, own)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                written = [(name.lower().encode(), value.encode()) for name, value in self._carrier.written(carried)]
                message = {**message, "headers": [*message.get("headers", ()), *written]}
            await send(message)

        with carrying(carried):
            await self._app(scope, receive, sent)
