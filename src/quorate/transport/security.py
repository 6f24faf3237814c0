"""How the connections of a node are protected: with TLS, or in plain text where that was allowed by name."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from quorate.core.bounds import NodeId
from quorate.core.certificates import serial_of
from quorate.tls.layer import Tls, TlsFailed, node_name, user_in
from quorate.transport.addresses import Networks, is_trusted
from quorate.wire.frames import WireError

if TYPE_CHECKING:
    import ssl


class PlaintextRefused(WireError):
    """The connection would not be encrypted, and that is not allowed on it."""

    code = "plaintext"


class CertificateRefused(WireError):
    """The certificate is one of this cluster's authority, and not that of the node that it should be."""

    code = "certificate"


class Credentials:
    """A node's certificate with what belongs to it, as files hold them now."""

    def __init__(self, certificate: str, key: str, authority: str) -> None:
        """Read them. Raises OSError and ssl.SSLError."""
        import ssl

        self.server = _context(ssl.PROTOCOL_TLS_SERVER, certificate, key, authority)
        self.server.verify_mode = ssl.CERT_OPTIONAL  # clients need not have one; peers do: `Security.check_peer`
        self.server.num_tickets = 0
        self.client = _context(ssl.PROTOCOL_TLS_CLIENT, certificate, key, authority)
        self.client.check_hostname = False  # peers are known by the names of nodes, not of hosts
        self.names, self.serial, self.expires_s = self._shown()

    def _shown(self) -> tuple[tuple[str, ...], str, float]:
        """What others will see, and whether they will believe it: the node greets itself. Raises TlsFailed."""
        import ssl

        dialled, accepted = Tls(self.client), Tls(self.server, server=True)
        dialled.feed(b"")
        for _ in range(3):
            accepted.feed(dialled.outgoing())
            dialled.feed(accepted.outgoing())
        if not (dialled.ready and accepted.ready and accepted.names() == dialled.names()):
            raise TlsFailed("the certificate does not serve for both sides of a connection")
        return dialled.names(), serial_of(dialled.serial()), ssl.cert_time_to_seconds(dialled.not_after())


def _context(protocol: int, certificate: str, key: str, authority: str) -> ssl.SSLContext:
    import ssl

    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    return context


class Security:
    """What a node asks of its connections. Its fields may change while it runs."""

    def __init__(self, cluster: str = "", plaintext: Networks = (), credentials: Credentials | None = None) -> None:
        self.cluster = cluster
        self.plaintext = plaintext
        """Networks beyond this machine in which nothing has to be encrypted."""
        self.credentials = credentials
        """None: this node has no certificate."""
        self.required = credentials is not None
        """Nothing in plain text is accepted from anybody. So it is until the catalog was read and says otherwise."""
        self.certified: set[NodeId] = set()
        """Peers that have certificates."""
        self.revoked: Collection[str] = ()
        """Numbers of certificates that are believed no more."""

    def check_plain(self, peername: Any) -> None:
        """Raises PlaintextRefused, unless plain text may be spoken with the other end of this connection."""
        if self.required:
            raise PlaintextRefused("this cluster speaks TLS only")
        host = peername[0] if isinstance(peername, tuple) and peername else ""
        if host and not is_trusted(host, self.plaintext):
            raise PlaintextRefused(f"no unencrypted connections with {host}: see insecure_plaintext in docs/deploy.md")

    def accepting(self) -> Tls:
        """TLS for a connection that somebody else has made."""
        assert self.credentials is not None
        return Tls(self.credentials.server, server=True)

    def dials_by_tls(self, peer: NodeId) -> bool:
        """Whether this node speaks TLS, and nothing else, with this peer when it dials it."""
        return self.credentials is not None and (self.required or peer in self.certified)

    def dialling(self, peer: NodeId) -> Tls | None:
        """TLS for a connection to a peer; None: in plain text."""
        assert self.credentials is not None or not self.dials_by_tls(peer)
        return Tls(self.credentials.client) if self.credentials is not None and self.dials_by_tls(peer) else None

    def check_revoked(self, tls: Tls | None) -> None:
        """Raises CertificateRefused when the other side's certificate is believed no more."""
        if self.revoked and tls is not None and tls.serial() and serial_of(tls.serial()) in self.revoked:
            raise CertificateRefused("the other side's certificate was revoked: issue a new one")

    def user(self, tls: Tls | None) -> tuple[str, str, int]:
        """For whom the other side has shown a certificate, its number, and when it runs out, in microseconds; the name
        is empty when it has shown none of a user's."""
        name = user_in(self.cluster, tls.names()) if tls is not None else ""
        if tls is None or not name:
            return "", "", 0
        import ssl

        return name, serial_of(tls.serial()), int(ssl.cert_time_to_seconds(tls.not_after()) * 1e6)

    def check_peer(self, tls: Tls | None, node: NodeId) -> None:
        """Raises CertificateRefused, unless the other side has proved that it is this node of this cluster."""
        if tls is None:
            return  # in plain text nobody proves anything; where that is allowed `check_plain` says
        self.check_revoked(tls)
        expected = node_name(self.cluster, node)
        names = tls.names()
        if expected not in names:
            shown = f"names {', '.join(names)}" if names else "is missing, or names no node"
            raise CertificateRefused(f"the other side's certificate {shown}, and {expected} is needed here")
