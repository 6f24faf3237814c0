"""Whether a client encrypts, and whom it believes."""

import functools
import ipaddress
import os
import stat
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
    """VERIFY_FULL or OFF; empty: VERIFY_FULL when a file is given, and for every host that is not this machine."""
    ca: str = ""
    """A file with the certificates of the authorities that are believed; empty: those that the system trusts."""
    certificate: str = ""
    """A file with the certificate that says who we are; empty: there is none."""
    key: str = ""
    """The file with its key; empty: it is in the same file."""

    def tls_for(self, host: str) -> Tls | None:
        """TLS for a connection to this host; None: plain text. Raises OperationalError."""
        return Tls(_context(self), host=host) if self.encrypts(host) else None

    def encrypts(self, host: str) -> bool:
        """Whether TLS is spoken with this host."""
        return self.tls != OFF and bool(self.tls or self.ca or self.certificate or not _is_here(host))


def check_protection(tls: str, ca: str, certificate: str = "", key: str = "") -> Protection:
    """Raises ProgrammingError."""
    tls, ca = check_text(tls, "tls"), check_text(ca, "ca")
    certificate, key = check_text(certificate, "certificate"), check_text(key, "key")
    if tls not in ("", VERIFY_FULL, OFF):
        raise ProgrammingError(f"tls={tls!r:.80} is not known", hint=f"known are {VERIFY_FULL} and {OFF}")
    if tls == OFF and ca:
        raise ProgrammingError("ca= is given, and with tls=off nothing would be verified", hint="leave one of them out")
    if tls == OFF and certificate:
        raise ProgrammingError("certificate= is given, and nobody would see it with tls=off", hint="leave tls= out")
    if key and not certificate:
        raise ProgrammingError("a key without its certificate", hint="give certificate= as well")
    return Protection(tls, ca, certificate, key)


def _is_here(host: str) -> bool:
    """Whether only this machine can be meant."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _context(how: Protection) -> "ssl.SSLContext":
    files = tuple(file for file in (how.ca, how.certificate, how.key) if file)
    try:
        if how.certificate and os.name == "posix":
            _check_key(how.key or how.certificate)
        return _read(how.ca, how.certificate, how.key, tuple(os.stat(file).st_mtime_ns for file in files))
    except OSError as error:  # ssl.SSLError is one
        where = " and ".join(files) or "the system"
        raise OperationalError(
            f"not done: the certificates in {where} cannot be used: {error.strerror or error}",
            hint="ca=, certificate= and key= name files in PEM",
        ) from error


def _check_key(file: str) -> None:
    """Raises OSError and OperationalError."""
    if stat.S_IMODE(os.stat(file).st_mode) & 0o077:
        raise OperationalError(f"not done: {file} holds a key, and can be read by others", hint=f"chmod 600 {file}")


@functools.lru_cache(maxsize=64)
def _read(ca: str, certificate: str, key: str, _changed: tuple[int, ...]) -> "ssl.SSLContext":
    return verifying(ca, certificate, key)
