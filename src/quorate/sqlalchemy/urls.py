"""What a URL of SQLAlchemy's says: where `quorate.connect` is to go, and what it is told beside that."""

from typing import Any
from urllib.parse import quote, urlencode

from sqlalchemy import exc
from sqlalchemy.engine.url import URL

from quorate.client.url import MEMORY, nearest

_KEYWORDS = {"retry": str, "read_your_writes": str, "token": str}
"""Arguments of `quorate.connect` that may stand in the URL and are no part of a cluster's."""
_ALONE = {"timeout": float, "read": str}
"""What may stand in the URL of a folder."""


def is_memory(url: URL) -> bool:
    """Whether it is the URL of a database in memory."""
    return not url.host and not url.query.get("host") and url.database in (None, "", MEMORY)


def target_of(url: URL) -> str:
    """What `quorate.connect` is pointed at. Raises ArgumentError."""
    hosts = _hosts(url)
    if not hosts:
        if url.username or url.password or url.port:
            raise exc.ArgumentError(
                f"{url!r} has a user or a port and no host: sqlite+quorate://HOST:PORT/DATABASE leads to a cluster,"
                " sqlite+quorate:///FOLDER to a folder"
            )
        return MEMORY if is_memory(url) else str(url.database)
    options = {name: value for name, value in url.query.items() if name != "host" and name not in _KEYWORDS}
    query = urlencode(options, doseq=True)
    return f"quorate://{','.join(hosts)}/{quote(url.database or '', safe='')}" + (f"?{query}" if query else "")


def keywords_of(url: URL) -> dict[str, Any]:
    """What `quorate.connect` is told beside that. Raises ArgumentError."""
    cluster = bool(_hosts(url))
    known = _KEYWORDS if cluster else _ALONE
    given = {name: value for name, value in url.query.items() if name in known}
    unknown = sorted(set(url.query) - set(given))
    if unknown and not cluster:
        raise exc.ArgumentError(
            f"unknown option {unknown[0]!r} in the URL of a folder: {nearest(unknown[0], tuple(known))}"
        )
    try:
        found: dict[str, Any] = {name: known[name](value) for name, value in given.items()}
    except (TypeError, ValueError) as error:
        raise exc.ArgumentError(f"an option of {url!r} cannot be read: {error}") from error
    if url.username is not None:
        found["user"] = url.username
    if url.password is not None:
        found["password"] = str(url.password)
    return found


def _hosts(url: URL) -> list[str]:
    """Each `host` or `host:port`, as they stand in the URL."""
    more = url.query.get("host", ())
    first = [] if not url.host else [_host(url.host) + (f":{url.port}" if url.port else "")]
    return [*first, *((more,) if isinstance(more, str) else more)]


def _host(name: str) -> str:
    return f"[{name}]" if ":" in name else name
