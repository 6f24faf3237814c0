"""TLS without a socket: what arrives goes in, plain text and what is to be sent come out.

One class serves every kind of connection (asyncio, uvloop, a thread's socket), so that they cannot differ in what they
verify. `ssl` is imported by whoever makes the context.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from quorate.wire.frames import WireError

if TYPE_CHECKING:
    import ssl

HANDSHAKE = 0x16
"""The first byte of a connection that speaks TLS. None of ours begins so."""
_CHUNK = 64 * 1024


class TlsFailed(WireError):
    """The other side speaks no TLS, or is not who it should be; or it does not believe us."""

    code = "tls"


class Tls:
    """One connection's TLS. Threads may read and write at the same time."""

    def __init__(self, context: ssl.SSLContext, *, server: bool = False, host: str | None = None) -> None:
        import ssl

        self._again, self._ended, self._failed = ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLError
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._in, self._out, server_side=server, server_hostname=host)
        self._lock = threading.Lock()
        self._held = bytearray()
        """Plain text that waits for the end of the handshake."""
        self.ready = False
        """The handshake is over: the other side is who it should be."""
        self.ended = False
        """The other side has said that nothing more comes."""

    def feed(self, data: bytes) -> bytes:
        """Take what has arrived; the plain text that is in it. Look at `outgoing` afterwards, even after an error. The
        side that dials begins with nothing. Raises TlsFailed."""
        found = []
        with self._lock:
            self._in.write(data)
            try:
                if not self.ready:
                    self._object.do_handshake()
                    self.ready = True
                    self._write(self._held)
                    self._held.clear()
                while chunk := self._object.read(_CHUNK):
                    found.append(chunk)
                self.ended = True
            except self._again:
                pass
            except self._ended:
                self.ended = True
            except self._failed as error:
                raise TlsFailed(_reason(error)) from error
        return found[0] if len(found) == 1 else b"".join(found)

    def protect(self, data: bytes | bytearray) -> bytes:
        """Plain text as what is to be sent now; nothing while the handshake goes on: it leaves when that is over."""
        with self._lock:
            if self.ready:
                self._write(data)
            else:
                self._held += data
            return self._out.read()

    def outgoing(self) -> bytes:
        """What is to be sent beside plain text."""
        with self._lock:
            return self._out.read()

    @property
    def speaks(self) -> bool:
        """Whether there is something in `outgoing`."""
        return self._out.pending > 0

    def names(self) -> tuple[str, ...]:
        """The URIs in the other side's certificate, which was verified; empty when it has shown none."""
        found: dict[str, Any] = self._object.getpeercert() or {}
        return tuple(value for kind, value in found.get("subjectAltName", ()) if kind == "URI")

    def common_name(self) -> str:
        """The common name in the other side's certificate; empty when it has shown none."""
        found: dict[str, Any] = self._object.getpeercert() or {}
        parts = (pair for part in found.get("subject", ()) for pair in part)
        return next((value for kind, value in parts if kind == "commonName"), "")

    def serial(self) -> str:
        """The number of the other side's certificate, in hexadecimal; empty when it has shown none."""
        return str((self._object.getpeercert() or {}).get("serialNumber", ""))

    def not_after(self) -> str:
        """Until when the other side's certificate holds, as `ssl.cert_time_to_seconds` reads it."""
        return str((self._object.getpeercert() or {}).get("notAfter", ""))

    def _write(self, data: bytes | bytearray) -> None:
        view = memoryview(bytes(data))
        while view:
            view = view[self._object.write(view) :]


def _reason(error: ssl.SSLError) -> str:
    """What went wrong, in words for people."""
    if error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"):
        return "the other side does not speak TLS"
    verified = getattr(error, "verify_message", "")
    if verified:
        return f"the other side's certificate is refused: {verified}"
    words = (error.reason or str(error)).lower().replace("_", " ")
    if "alert" in words:
        return f"the other side ended the TLS handshake: {words.partition('alert ')[2]}"
    return f"TLS failed: {words}"


def _no_password() -> str:
    """OpenSSL would ask a person at the terminal."""
    raise OSError("the key is protected by a password")


def node_name(cluster: str, node: int) -> str:
    """How the certificate of a node names it."""
    return f"quorate://{cluster}/node/{node}"


def user_name(cluster: str, user: str) -> str:
    """How the certificate of a user names them."""
    return f"quorate://{cluster}/user/{user}"


def user_in(cluster: str, names: tuple[str, ...]) -> str:
    """The one user of this cluster whom a certificate with these names is for; empty: there is none, or several."""
    begin = user_name(cluster, "")
    found = [name.removeprefix(begin) for name in names if name.startswith(begin)]
    return found[0] if len(found) == 1 else ""


def verifying(authority: str, certificate: str = "", key: str = "") -> ssl.SSLContext:
    """What a client dials with: the other side must show a certificate of this authority, or of one that the system
    trusts when none is named, for the host that was dialled. It shows its own, if it has one. Raises OSError and
    ssl.SSLError."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if authority:
        context.load_verify_locations(authority)
    else:
        context.load_default_certs()
    if certificate:
        context.load_cert_chain(certificate, key or None, password=_no_password)
    return context
