"""Whether a client encrypts, and whom it believes."""

import functools
import ipaddress
import os
from typing import TYPE_CHECKING

from msgspec import Struct

from quorate.client.checks import check_text
from quorate.errors import OperationalError, ProgrammingError
from quorate.tls.layer import Tls, verifying

if TYPE_CHECKING:
    import ssl

VERIFY_FULL, OFF = "verify-full", "off"


class Protection(Struct, frozen=True):
    """There is nothing between the two, and no falling back from one to the other."""

    tls: str = ""
    """VERIFY_FULL or OFF; empty: VERIFY_FULL when `ca` is given, and for every host that is not this machine."""
    ca: str = ""
    """A file with the certificates of the authorities that are believed; empty: those that the system trusts."""

    def tls_for(self, host: str) -> Tls | None:
        """TLS for a connection to this host; None: plain text. Raises OperationalError."""
        return Tls(_context(self.ca), host=host) if self.encrypts(host) else None

    def encrypts(self, host: str) -> bool:
        """Whether TLS is spoken with this host."""
        return self.tls != OFF and bool(self.tls or self.ca or not _is_here(host))


def check_protection(tls: str, ca: str) -> Protection:
    """Raises ProgrammingError."""
    tls, ca = check_text(tls, "tls"), check_text(ca, "ca")
    if tls not in ("", VERIFY_FULL, OFF):
        raise ProgrammingError(f"tls={tls!r:.80} is not known", hint=f"known are {VERIFY_FULL} and {OFF}")
    if tls == OFF and ca:
        raise ProgrammingError("ca= is given, and with tls=off nothing would be verified", hint="leave one of them out")
    return Protection(tls, ca)


def _is_here(host: str) -> bool:
    """Whether only this machine can be meant."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _context(ca: str) -> "ssl.SSLContext":
    try:
        return _read(ca, os.stat(ca).st_mtime_ns if ca else 0)
    except OSError as error:  # ssl.SSLError is one
        raise OperationalError(
            f"not done: the certificates in {ca or 'the system'} cannot be used: {error.strerror or error}",
            hint="ca= names a file with the authority's certificate, in PEM",
        ) from error


@functools.lru_cache(maxsize=64)
def _read(ca: str, _changed: int) -> "ssl.SSLContext":
    return verifying(ca)
