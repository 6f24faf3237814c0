"""A private certificate authority in a folder: `ca.crt`, `ca.key`, and a copy of each certificate that it has issued.

Whoever has an authority of their own needs none of this: what a node's certificate must say is in docs/tls.md.
"""

import datetime as dt
import ipaddress
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorate.core.auth.users import valid_user
from quorate.runtime.config import ANYWHERE, FILE_NAME, ConfigError
from quorate.tls.layer import node_name, user_name
from quorate.transport.addresses import parse_address

if TYPE_CHECKING:
    from cryptography import x509

    from quorate.core.recovered import Identity

CA, CA_KEY = "ca.crt", "ca.key"
CERTIFICATE, KEY = "node.crt", "node.key"
ISSUED = "issued"
HERE = ("localhost", "127.0.0.1", "::1")
"""Under these a node is known on its own machine."""
CA_DAYS, NODE_DAYS = 3650, 365
_EARLIER = dt.timedelta(hours=1)
"""Clocks of other machines may be behind."""


def make(folder: Path, days: int = CA_DAYS) -> Path:
    """A new authority in this folder; its certificate. Raises ConfigError and OSError."""
    x509, serialization = _library()
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    if (folder / CA_KEY).exists():
        raise ConfigError(f"{folder} holds an authority already")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Quorate cluster authority")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    uses = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    made = (
        _draft(name, name, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**uses, key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    _write_key(folder / CA_KEY, key)
    (folder / CA).write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return folder / CA


def issue(authority: Path, node: Path, hosts: Sequence[str] = (), days: int = NODE_DAYS) -> "x509.Certificate":
    """A certificate for the node in this folder, with its key and the authority's certificate, put there; its node.toml
    names them. It is for the addresses in node.toml and of the founding, and for `hosts`. Raises ConfigError, OSError
    and StorageError."""
    from quorate.storage.node_file import read_identity

    if not (node / "node.db").is_file():
        raise ConfigError(f"{node} is not the folder of a node: make one with `quorate init`")
    identity = read_identity(node / "node.db")
    names = [node_name(identity.cluster, identity.node)]
    made = _sign(authority, identity.name, names, [*_hosts(node, identity), *hosts], days, node / KEY)
    (node / CERTIFICATE).write_bytes(_pem(made))
    (node / CA).write_bytes((authority / CA).read_bytes())
    text = (node / FILE_NAME).read_text(encoding="utf-8")
    lines = {"tls_certificate": CERTIFICATE, "tls_key": KEY, "tls_ca": CA}
    missing = "".join(f'{name} = "{file}"\n' for name, file in lines.items() if f"{name} =" not in text)
    (node / FILE_NAME).write_text(text + missing, encoding="utf-8")
    return made


def issue_user(authority: Path, name: str, cluster: str, target: Path, days: int = NODE_DAYS) -> "x509.Certificate":
    """A certificate that logs this user in to the cluster with this id (empty: to that for which the authority has
    issued others), put with its key into the folder `target`. Raises ConfigError and OSError."""
    if not valid_user(name):
        raise ConfigError(f"{name!r:.80} cannot be the name of a user")
    cluster = cluster or _cluster_of(authority)
    made = _sign(authority, name, [user_name(cluster, name)], [], days, target / f"{name}.key", user=True)
    (target / f"{name}.crt").write_bytes(_pem(made))
    return made


def _cluster_of(authority: Path) -> str:
    """The one cluster for which this authority has issued certificates. Raises ConfigError."""
    x509, _ = _library()
    found: set[str] = set()
    for file in sorted((authority / ISSUED).glob("*.crt")):
        names = read(file).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        found.update(uri.split("/")[2] for uri in uris if uri.startswith("quorate://"))
    if len(found) != 1:
        raise ConfigError(
            f"{authority} does not tell which cluster is meant: give --id; `quorate status --json` shows it"
        )
    return found.pop()


def _hosts(node: Path, identity: "Identity") -> list[str]:
    """Under which hosts clients may know this node."""
    keys = tomllib.loads((node / FILE_NAME).read_text(encoding="utf-8"))
    own = [member.address for member in identity.founders if member.node == identity.node]
    given = [str(keys.get(key, "")) for key in ("advertise", "listen")]
    found = [parse_address(address)[0] for address in (*given, *own) if address]
    return list(dict.fromkeys([*(host for host in found if host not in ANYWHERE), *HERE]))


def _sign(
    authority: Path,
    name: str,
    uris: Sequence[str],
    hosts: Sequence[str],
    days: int,
    key_file: Path,
    *,
    user: bool = False,
) -> "x509.Certificate":
    x509, serialization = _library()
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        ca = x509.load_pem_x509_certificate((authority / CA).read_bytes())
        ca_key: Any = serialization.load_pem_private_key((authority / CA_KEY).read_bytes(), None)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{authority} holds no authority: make one with `quorate certs init {authority}`") from error
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    known = [x509.UniformResourceIdentifier(each) for each in uris] + [_general(x509, host) for host in hosts]
    uses = [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    if not user:
        uses.insert(0, x509.ExtendedKeyUsageOID.SERVER_AUTH)
    made = (
        _draft(subject, ca.subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(known), critical=False)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    _write_key(key_file, key)
    (authority / ISSUED).mkdir(exist_ok=True)
    (authority / ISSUED / f"{name}-{made.serial_number:X}.crt").write_bytes(_pem(made))
    return made  # type: ignore[no-any-return]


def _general(x509: Any, host: str) -> Any:
    """A host as a certificate names it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _draft(subject: Any, issuer: Any, public_key: Any, days: int) -> Any:
    x509, _ = _library()
    now = dt.datetime.now(dt.UTC)
    end = now + dt.timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, end) - _EARLIER)
        .not_valid_after(end)
    )


def read(path: Path) -> "x509.Certificate":
    """A certificate from a file. Raises ConfigError."""
    x509, _ = _library()
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())  # type: ignore[no-any-return]
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is not a certificate in PEM") from error


def _pem(made: Any) -> bytes:
    _, serialization = _library()
    return made.public_bytes(serialization.Encoding.PEM)  # type: ignore[no-any-return]


def _write_key(path: Path, key: Any) -> None:
    """A private key that nobody else can read, at any moment."""
    _, serialization = _library()
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_bytes(*form))
    draft.replace(path)


def _library() -> Any:
    """The parts of `cryptography` that are needed. Raises ConfigError."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise ConfigError(
            "certificates are made with the package cryptography: pip install 'quoratedb[certs]'"
        ) from error
    return x509, serialization
