"""How bookmarks travel: signed, in a cookie or in a header of one's own."""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from quorate.errors import ProgrammingError
from quorate.web.carried import TEXT_MAX, Carried

NAME = "quorate-bookmark"
SECRET_BYTES_MIN = 16
SAME_SITE = ("Lax", "Strict", "None")
_SIGNED_MAX = TEXT_MAX + 64


class Carrier:
    """Reads bookmarks from a request, and writes them to its response.

    `secret` signs them (at least 16 bytes); those of `old_secrets` are still read. Without `header` they travel in the
    cookie `cookie`, with `secure` only over HTTPS; with it, in this header of requests and responses. Raises
    ProgrammingError.
    """

    def __init__(
        self,
        secret: str | bytes,
        *,
        old_secrets: Sequence[str | bytes] = (),
        cookie: str = NAME,
        header: str | None = None,
        secure: bool = True,
        same_site: str = "Lax",
        path: str = "/",
    ) -> None:
        keys = [each.encode() if isinstance(each, str) else each for each in (secret, *old_secrets)]
        if min(map(len, keys)) < SECRET_BYTES_MIN:
            raise ProgrammingError(
                f"a secret that signs bookmarks has at least {SECRET_BYTES_MIN} bytes",
                hint="python -c 'import secrets; print(secrets.token_urlsafe(32))' makes one; keep it in the settings",
            )
        if same_site not in SAME_SITE:
            raise ProgrammingError(f"same_site is one of {', '.join(SAME_SITE)}, not {same_site!r}")
        self._keys = [hashlib.sha256(b"quorate bookmark of a request\0" + key).digest() for key in keys]
        self._cookie = cookie
        self.header = header
        """Where they travel, if not in a cookie."""
        flags = f"; Path={path}; HttpOnly; SameSite={same_site}"
        self._flags = f"{flags}; Secure" if secure else flags

    def read(self, cookies: str, header: str) -> Carried:
        """What a request brought: of its header Cookie, or of its own one. Without the right signature: nothing."""
        if self.header is not None:
            return Carried.parse(self._unsigned(header))
        return Carried.parse(self._unsigned(cookie_of(cookies, self._cookie)))

    def written(self, carried: Carried) -> list[tuple[str, str]]:
        """The header of the response; none where nothing has moved."""
        if not carried.moved:
            return []
        text = carried.text()
        signed = f"{text}.{_signature(self._keys[0], text)}" if text else ""
        if self.header is not None:
            return [(self.header, signed)]
        expires = "" if text else "; Max-Age=0"
        return [("Set-Cookie", f"{self._cookie}={signed}{self._flags}{expires}")]

    def _unsigned(self, signed: str) -> str:
        text, _, signature = signed.rpartition(".") if len(signed) <= _SIGNED_MAX else ("", "", "")
        given = signature.encode()
        right = [hmac.compare_digest(_signature(key, text).encode(), given) for key in self._keys]
        return text if any(right) else ""


def cookie_of(cookies: str, name: str) -> str:
    """The value of one cookie in a header; empty where it is not there."""
    for each in cookies.split(";"):
        found, _, value = each.strip().partition("=")
        if found == name:
            return value.strip('"')
    return ""


def _signature(key: bytes, text: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, text.encode(), "sha256")).decode().rstrip("=")
