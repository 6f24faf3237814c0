"""Steps from plain text to TLS, and certificates that are revoked: what the catalog's leader decides, and what each
node does when it has read that."""

from typing import TYPE_CHECKING

from quorate.core.certificates import (
    ACCEPTED,
    REQUIRED,
    STEPS,
    TLS_SCHEMA,
    CertificateRead,
    Certificates,
    Protect,
    RevokeCertificate,
    SetTls,
    serial_of,
)
from quorate.core.directory import CHANGE_UNDER_WAY
from quorate.core.kernel import CATALOG_DATABASE, Halt, Note, Now
from quorate.core.requests import Refused, Run
from quorate.core.roster import is_current
from quorate.core.statements import Statement

if TYPE_CHECKING:
    from quorate.core.node import Node

NO_CERTIFICATE = (
    "this cluster speaks TLS only, and this node has no certificate: issue one with"
    " `quorate certs issue CA --node FOLDER`, and start the node again"
)


def write_for(node: "Node", now: Now, body: SetTls | RevokeCertificate) -> Run | Refused | None:
    """The write that makes this change; why it cannot be; None: it is so already."""
    if not is_current(node):
        return CHANGE_UNDER_WAY
    known = node.directory.catalog.certificates
    found = _step(node, known, body.step) if isinstance(body, SetTls) else _revocation(now, known, body.serial)
    if not isinstance(found, list):
        return found
    begun = [] if known.made else [Statement(sql) for sql in TLS_SCHEMA]
    return Run(CATALOG_DATABASE, (*begun, *found), token=body.token)


def _step(node: "Node", known: Certificates, step: str) -> list[Statement] | Refused | None:
    if step not in (ACCEPTED, REQUIRED):
        return Refused("ProgrammingError", f"{step!r:.80} is no step", f"there are: {ACCEPTED}, {REQUIRED}")
    if STEPS.index(known.step) >= STEPS.index(step):
        return None
    if step == REQUIRED and (reasons := _unready(node)):
        hint = "issue it one with `quorate certs issue`, start it again, and repeat this command"
        return Refused("OperationalError", f"plain text is still needed: {', '.join(reasons)}", hint)
    return [Statement("DELETE FROM tls_step"), Statement("INSERT INTO tls_step VALUES (?, ?)", ((1, step),))]


def _unready(node: "Node") -> list[str]:
    """Which members would be cut off, and why."""
    alive = node.liveness.alive()
    found = []
    for member in node.directory.members.values():
        if member.node != node.me and not alive.get(member.node, False):
            found.append(f"{member.name} is away")
        elif member.node not in node.certified:
            found.append(f"{member.name} has no certificate")
    return found


def _revocation(now: Now, known: Certificates, serial: str) -> list[Statement] | Refused | None:
    try:
        kept = serial_of(serial)
    except ValueError:
        hint = "`quorate certs show FILE` shows it"
        return Refused("ProgrammingError", f"{serial!r:.80} is not the number of a certificate", hint)
    if kept in known.revoked:
        return None
    return [Statement("INSERT INTO revoked VALUES (?, ?)", ((kept, now.wall_us),))]


def after_catalog(node: "Node", before: Certificates) -> None:
    """The catalog was read: protect connections as it says."""
    found = node.directory.catalog.certificates
    if found == before or node.settings.trusted:
        return
    if found.step != before.step:
        node.emit(Note("tls", {"was": before.step, "step": found.step}))
    if node.settings.has_tls:
        node.emit(Protect(found.step != ACCEPTED, found.certified, found.revoked))
    elif found.step == REQUIRED:
        node.emit(Halt(NO_CERTIFICATE))
    _warn(node)


def on_certificate(node: "Node", _now: Now, event: CertificateRead) -> None:
    """The node uses this one."""
    node.certificate = event
    _warn(node)


def _warn(node: "Node") -> None:
    if is_revoked(node):
        node.emit(Note("certificate_revoked", {"serial": node.certificate.serial}))


def is_revoked(node: "Node") -> bool:
    """Whether no peer believes this node's certificate any more."""
    return node.certificate.serial in node.directory.catalog.certificates.revoked
