"""SCRAM-SHA-256 (RFC 5802, RFC 7677), both sides, without input or output.

Four messages: the client's name and nonce; the server's nonce, the salt and the number of iterations; the client's
proof; the server's. Neither side learns anything with which it could log in as the other, and since each gives a nonce
no message is worth anything a second time. There is no channel binding: TLS 1.3 in Python's ssl has none.
"""

import binascii
import hashlib
import hmac
import stringprep
import unicodedata
from collections.abc import Callable

from quorate.core.auth.users import TOKEN_PREFIX
from quorate.core.auth.verifiers import ITERATIONS, ITERATIONS_MAX, Verifier

ITERATIONS_MIN = 4096
"""Fewer, of a password, would help a false node to find it (RFC 7677)."""
MESSAGE_MAX = 1024
"""Characters of one message."""
NONCE_BYTES = 18
_HEADER = "n,,"
_NONCE_MAX = 256


class LoginFailed(Exception):
    """The other side has not shown that it knows the password, or does not speak this protocol."""


_PROHIBITED = (
    stringprep.in_table_c12, stringprep.in_table_c21_c22, stringprep.in_table_c3, stringprep.in_table_c4,
    stringprep.in_table_c5, stringprep.in_table_c6, stringprep.in_table_c7, stringprep.in_table_c8,
    stringprep.in_table_c9,
)  # fmt: skip


def prepared(password: str) -> bytes:
    """The password as it is hashed: by SASLprep (RFC 4013). Raises ValueError for one that has no such form."""
    kept = [sign for sign in password if not stringprep.in_table_b1(sign)]
    text = unicodedata.normalize("NFKC", "".join(" " if stringprep.in_table_c12(sign) else sign for sign in kept))
    if not text:
        raise ValueError("a password is not empty")
    if any(table(sign) for sign in text for table in _PROHIBITED):
        raise ValueError("a password has no control characters")
    if any(stringprep.in_table_d1(sign) for sign in text):  # it is written from right to left
        ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
        if not ends or any(stringprep.in_table_d2(sign) for sign in text):
            raise ValueError("a password is written in one direction")
    return text.encode()


def salted(password: str, salt: bytes, iterations: int) -> bytes:
    """What both keys are made of. Takes long on purpose: about 20 ms for 65,536 iterations."""
    return hashlib.pbkdf2_hmac("sha256", prepared(password), salt, iterations)


def make_verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> Verifier:
    """What the catalog is to keep of this password. Raises ValueError."""
    return keys_of(salted(password, salt, iterations), salt, iterations)


def keys_of(secret: bytes, salt: bytes, iterations: int) -> Verifier:
    """The verifier for a salted password."""
    stored = hashlib.sha256(_mac(secret, b"Client Key")).digest()
    return Verifier(iterations, salt, stored, _mac(secret, b"Server Key"))


class ClientLogin:
    """The client's side. `salt_password` is given salt and iterations, and gives the salted password."""

    def __init__(self, name: str, nonce: bytes, salt_password: Callable[[bytes, int], bytes]) -> None:
        self._name = name
        self._salt_password = salt_password
        self._nonce = binascii.b2a_base64(nonce, newline=False).decode()
        self._bare = f"n={name.replace('=', '=3D').replace(',', '=2C')},r={self._nonce}"
        self._expected = b""

    def first(self) -> str:
        """The first message."""
        return _HEADER + self._bare

    def final(self, challenge: str) -> str:
        """The answer to the server's first. Raises LoginFailed."""
        fields = _fields(challenge, "rsi")
        nonce, salt, iterations = fields["r"], _decoded(fields["s"]), fields["i"]
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise LoginFailed("the node's answer does not belong to this login")
        least = 1 if self._name.startswith(TOKEN_PREFIX) else ITERATIONS_MIN
        if not (iterations.isascii() and iterations.isdecimal() and len(iterations) <= 8):
            raise LoginFailed("this is no message of a login")
        if not least <= int(iterations) <= ITERATIONS_MAX:
            raise LoginFailed("the node asks for too little work or too much")
        secret = self._salt_password(salt, int(iterations))
        client_key = _mac(secret, b"Client Key")
        without_proof = f"c={_encoded(_HEADER.encode())},r={nonce}"
        auth = f"{self._bare},{challenge},{without_proof}".encode()
        signature = _mac(hashlib.sha256(client_key).digest(), auth)
        self._expected = _mac(_mac(secret, b"Server Key"), auth)
        return f"{without_proof},p={_encoded(_xor(client_key, signature))}"

    def check(self, outcome: str) -> None:
        """The server's last: raises LoginFailed when it has not got the verifier of this password."""
        signature = _decoded(_fields(outcome, "v")["v"])
        if not self._expected or not hmac.compare_digest(signature, self._expected):
            raise LoginFailed("the node has not shown that it knows this user")


class ServerLogin:
    """The server's side. It does the same for a name that exists and for one that does not."""

    def __init__(self, first: str, nonce: bytes) -> None:
        """Raises LoginFailed for what is no first message."""
        if not first.startswith(_HEADER):
            raise LoginFailed("this is no login of ours")
        self._bare = first[len(_HEADER) :]
        fields = _fields(self._bare, "nr")
        if not 0 < len(fields["r"]) <= _NONCE_MAX:
            raise LoginFailed("a nonce is missing or too long")
        self.name = fields["n"].replace("=2C", ",").replace("=3D", "=")
        self._nonce = fields["r"] + binascii.b2a_base64(nonce, newline=False).decode()
        self._verifier: Verifier | None = None
        self._challenge = ""

    def challenge(self, verifier: Verifier) -> str:
        """The first answer."""
        self._verifier = verifier
        self._challenge = f"r={self._nonce},s={_encoded(verifier.salt)},i={verifier.iterations}"
        return self._challenge

    def outcome(self, final: str) -> str:
        """The last answer. Raises LoginFailed unless the client knows the password."""
        verifier, self._verifier = self._verifier, None
        if verifier is None:
            raise LoginFailed("a login is finished that was not begun")
        fields = _fields(final, "crp")
        auth = f"{self._bare},{self._challenge},c={fields['c']},r={fields['r']}".encode()
        proof = _decoded(fields["p"])
        signature = _mac(verifier.stored_key, auth)
        client_key = _xor(proof, signature) if len(proof) == len(signature) else bytes(len(signature))
        knows = hmac.compare_digest(hashlib.sha256(client_key).digest(), verifier.stored_key)
        bound = fields["c"] == _encoded(_HEADER.encode()) and hmac.compare_digest(
            fields["r"].encode(), self._nonce.encode()
        )
        if not (knows and bound):
            raise LoginFailed("the user or the password is wrong")
        return f"v={_encoded(_mac(verifier.server_key, auth))}"


def _fields(message: str, names: str) -> dict[str, str]:
    """Exactly these, in this order. Raises LoginFailed."""
    parts = message.split(",") if len(message) <= MESSAGE_MAX else []
    if len(parts) != len(names) or any(not part.startswith(f"{n}=") for part, n in zip(parts, names, strict=True)):
        raise LoginFailed("this is no message of a login")
    return {part[0]: part[2:] for part in parts}


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")


def _xor(one: bytes, two: bytes) -> bytes:
    return bytes([a ^ b for a, b in zip(one, two, strict=True)])


def _encoded(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _decoded(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (ValueError, UnicodeEncodeError) as error:
        raise LoginFailed("this is no message of a login") from error
