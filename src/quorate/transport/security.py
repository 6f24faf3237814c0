"""What may travel on a connection: to whom a node speaks in plain text."""

from typing import Any

from msgspec import Struct

from quorate.transport.addresses import Networks, is_trusted
from quorate.wire.frames import WireError


class PlaintextRefused(WireError):
    """The connection would not be encrypted, and leads beyond the networks in which that is allowed."""

    code = "plaintext"


class Security(Struct, frozen=True):
    """How the connections of a node are protected."""

    plaintext: Networks = ()
    """Networks beyond this machine in which nothing has to be encrypted."""

    def check_plain(self, peername: Any) -> None:
        """Raises PlaintextRefused, unless plain text may be spoken with the other end of this connection."""
        host = peername[0] if isinstance(peername, tuple) and peername else ""
        if host and not is_trusted(host, self.plaintext):
            raise PlaintextRefused(f"no unencrypted connections with {host}: see insecure_plaintext in docs/deploy.md")
