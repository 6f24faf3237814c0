"""What is kept of a password: enough to recognise whoever knows it, and nothing to log in with (RFC 5803).

The text is PostgreSQL's: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, here with hexadecimal digits.
"""

import hashlib

from msgspec import Struct

MECHANISM = "SCRAM-SHA-256"
ITERATIONS = 65_536
"""Of new passwords."""
ITERATIONS_MAX = 10_000_000
KEY_BYTES = 32
SALT_BYTES = 16
BY_CERTIFICATE = "certificate$"
"""Begins what is kept of a user who has no password and logs in by a certificate; a random number follows, so that two
who make the same user can be told apart."""


class Verifier(Struct, frozen=True):
    """The parts of such a text."""

    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return "Verifier(...)"

    def text(self) -> str:
        """As the catalog keeps it."""
        keys = f"{self.stored_key.hex()}:{self.server_key.hex()}"
        return f"{MECHANISM}${self.iterations}:{self.salt.hex()}${keys}"


def read_verifier(text: str) -> Verifier:
    """Raises ValueError."""
    mechanism, work, keys = text.split("$")
    iterations, salt = work.split(":")
    stored, server = (bytes.fromhex(key) for key in keys.split(":"))
    found = Verifier(int(iterations), bytes.fromhex(salt), stored, server)
    sizes = (len(found.salt), len(stored), len(server))
    if mechanism != MECHANISM or sizes != (SALT_BYTES, KEY_BYTES, KEY_BYTES):
        raise ValueError("not a verifier of ours")
    if not 0 < found.iterations <= ITERATIONS_MAX:
        raise ValueError("not a number of iterations")
    return found


def is_verifier(text: str) -> bool:
    """Whether this can be kept."""
    try:
        if by_certificate(text):
            number = text.removeprefix(BY_CERTIFICATE)
            return len(number) == 2 * SALT_BYTES and bytes.fromhex(number).hex() == number
        return read_verifier(text).text() == text
    except ValueError:
        return False


def by_certificate(verifier: str) -> bool:
    """Whether a user of whom this is kept logs in by a certificate, and has no password."""
    return verifier.startswith(BY_CERTIFICATE)


def secret_from(verifier: str) -> str:
    """A cluster's secret, from the verifier of its first user, which nobody has seen: of it the salts of users are made
    that do not exist (`mock`)."""
    return hashlib.sha256(b"login secret of " + verifier.encode()).hexdigest()


def mock(secret: str, name: str) -> Verifier:
    """What stands in for a user that does not exist: always the same for one name, on every node, and nothing matches
    it."""
    seed = hashlib.sha256(f"{secret}:{name}".encode(errors="replace")).digest()
    iterations = 1 if name.startswith("token:") else ITERATIONS
    return Verifier(iterations, seed[:SALT_BYTES], hashlib.sha256(b"stored" + seed).digest(), seed)
