"""How a cluster is encrypted, as its catalog says: a running one moves from plain text to TLS in committed steps, and
certificates can be revoked.

`off` is how a cluster begins: its nodes have no certificates, or all of them do and take nothing else. In `accepted`
nodes that have one take TLS and plain text, and dial by TLS whoever is known to have one. In `required` there is only
TLS. There is no step back.
"""

from msgspec import Struct

from quorate.core.bounds import Count, NodeId
from quorate.core.statements import Token

OFF, ACCEPTED, REQUIRED = "off", "accepted", "required"
STEPS = (OFF, ACCEPTED, REQUIRED)

TLS_SCHEMA = (
    "CREATE TABLE tls_step(id INTEGER PRIMARY KEY, step TEXT NOT NULL) STRICT",
    "CREATE TABLE certified(node INTEGER PRIMARY KEY) STRICT",
    "CREATE TABLE revoked(serial TEXT PRIMARY KEY, at_us INTEGER NOT NULL) STRICT, WITHOUT ROWID",
)
"""Made by the first step, or by the first certificate that is revoked. `certified`: members that have certificates."""

TLS_QUERIES = (
    "SELECT step FROM tls_step ORDER BY id",
    "SELECT node FROM certified ORDER BY node",
    "SELECT serial FROM revoked ORDER BY serial",
)
"""How storage reads `Certificates` back; the tables may not be there."""


class Certificates(Struct, frozen=True):
    """What the catalog says of certificates."""

    step: str = OFF
    certified: tuple[NodeId, ...] = ()
    """Members that are dialled by TLS and in no other way by whoever has a certificate."""
    revoked: tuple[str, ...] = ()
    """`serial_of` each certificate that is believed no more."""
    made: bool = False
    """The tables are there."""


class SetTls(Struct, frozen=True, tag="set_tls"):
    """Take the cluster's next step towards TLS: ACCEPTED or REQUIRED."""

    step: str
    token: Token


class RevokeCertificate(Struct, frozen=True, tag="revoke_certificate"):
    """Let no node believe the certificate with this number any more."""

    serial: str
    token: Token


class Protect(Struct, frozen=True):
    """An effect, on a node with a certificate: from now on connections are to be protected so, open ones too."""

    required: bool
    """Nothing in plain text."""
    certified: tuple[NodeId, ...]
    revoked: tuple[str, ...]


class CertificateRead(Struct, frozen=True):
    """An event: this is the certificate that the node uses now."""

    serial: str
    expires_us: Count
    """By the wall clock."""


def serial_of(number: str) -> str:
    """The number of a certificate, given in hexadecimal, as it is kept. Raises ValueError."""
    return f"{int(number.replace(':', ''), 16):X}"
