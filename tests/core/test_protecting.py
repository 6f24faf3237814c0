"""Steps from plain text to TLS, on nodes whose messages the test delivers by hand."""

from typing import Any

import msgspec
import pytest

from quorate.core import kernel
from quorate.core.calls import Reply, Request
from quorate.core.certificates import (
    ACCEPTED,
    OFF,
    REQUIRED,
    CertificateRead,
    Certificates,
    Protect,
    RevokeCertificate,
    SetTls,
    serial_of,
)
from quorate.core.kernel import Now
from quorate.core.requests import Answer, Refused
from quorate.core.statements import Token
from tests.core.harness import Cluster, Machine

SECOND = 1_000_000


def started() -> tuple[Cluster, Machine]:
    """With its catalog's leader."""
    cluster = Cluster(3)
    cluster.run(2 * SECOND)
    return cluster, cluster.leader(0)


def asked(cluster: Cluster, machine: Machine, body: Any) -> list[kernel.Effect]:
    return machine.node.step(Now(cluster.now_us, 5_000), Request(7, body))


def refusal(effects: list[kernel.Effect]) -> Refused:
    (reply,) = effects
    assert isinstance(reply, Reply)
    assert isinstance(reply.body, Refused)
    return reply.body


def read(cluster: Cluster, machine: Machine, found: Certificates) -> list[kernel.Effect]:
    """What a node asks for when its catalog says this."""
    catalog = msgspec.structs.replace(machine.node.directory.catalog, certificates=found)
    machine.node.catalog_reads += 1
    return machine.node.step(Now(cluster.now_us, 0), kernel.CatalogRead(catalog))


def certify(cluster: Cluster, machine: Machine, *, certified: bool = True) -> list[kernel.Effect]:
    """Every node says whether it has a certificate."""
    found = []
    for number in list(machine.node.directory.members):
        found += machine.node.step(Now(cluster.now_us, 0), kernel.Located(number, "", certified))
    return found


def test_tls_is_required_only_when_every_member_is_there_and_has_a_certificate() -> None:
    cluster, leader = started()
    require = SetTls(REQUIRED, Token("t", 0))
    refused = refusal(asked(cluster, leader, require))
    assert refused.error == "OperationalError"
    assert all(f"{member.name} has no certificate" in refused.message for member in cluster.members)
    certify(cluster, leader)
    other = next(number for number in leader.node.directory.members if number != leader.number)
    leader.node.step(Now(cluster.now_us, 0), kernel.Located(other, "", certified=False))
    assert "has no certificate" in refusal(asked(cluster, leader, require)).message
    certify(cluster, leader)
    leader.node.step(Now(cluster.now_us, 0), kernel.Unreachable(other))
    assert "is away" in refusal(asked(cluster, leader, require)).message
    leader.node.liveness.on_any_message(Now(cluster.now_us, 0), other)
    asked(cluster, leader, require)
    assert leader.node.proposals, "it is being written"


def test_a_step_that_was_taken_is_none_and_there_is_no_step_back() -> None:
    cluster, leader = started()
    read(cluster, leader, Certificates(REQUIRED, made=True))
    for step in (ACCEPTED, REQUIRED):
        (reply,) = asked(cluster, leader, SetTls(step, Token("t", 0)))
        assert isinstance(reply, Reply)
        assert isinstance(reply.body, Answer)
    for step in (OFF, "preferred"):
        assert refusal(asked(cluster, leader, SetTls(step, Token("t", 0)))).error == "ProgrammingError"


def test_the_leader_writes_down_who_has_a_certificate_while_both_are_accepted() -> None:
    cluster, leader = started()
    certify(cluster, leader)
    assert not leader.node.proposals, "before the first step nobody dials by TLS for what somebody says"
    read(cluster, leader, Certificates(ACCEPTED, tuple(leader.node.directory.members), made=True))
    certify(cluster, leader)
    assert not leader.node.proposals
    read(cluster, leader, Certificates(ACCEPTED, (leader.number,), made=True))
    certify(cluster, leader)
    assert len(leader.node.proposals) == 1, "one write for all of them"


@pytest.mark.parametrize(("step", "required"), [(OFF, True), (ACCEPTED, False), (REQUIRED, True)])
def test_a_node_with_a_certificate_protects_its_connections_as_the_catalog_says(step: str, required: bool) -> None:
    cluster, leader = started()
    leader.node.settings = msgspec.structs.replace(leader.node.settings, has_tls=True)
    effects = read(cluster, leader, Certificates(step, (2,), ("AB",), made=True))
    assert Protect(required, (2,), ("AB",)) in effects
    assert not any(
        isinstance(effect, Protect) for effect in read(cluster, leader, Certificates(step, (2,), ("AB",), True))
    )


def test_a_node_without_a_certificate_stops_where_tls_is_required() -> None:
    cluster, leader = started()
    effects = read(cluster, leader, Certificates(ACCEPTED, made=True))
    assert not any(isinstance(effect, kernel.Halt | Protect) for effect in effects)
    (halt,) = [
        each for each in read(cluster, leader, Certificates(REQUIRED, made=True)) if isinstance(each, kernel.Halt)
    ]
    assert "quorate certs issue" in halt.reason


def test_a_certificate_is_revoked_once_by_its_number_however_that_is_written() -> None:
    cluster, leader = started()
    assert serial_of("0a:Bc") == serial_of("abc") == "ABC"
    assert refusal(asked(cluster, leader, RevokeCertificate("n1", Token("t", 0)))).error == "ProgrammingError"
    read(cluster, leader, Certificates(revoked=("ABC",), made=True))
    (reply,) = asked(cluster, leader, RevokeCertificate("0abc", Token("t", 0)))
    assert isinstance(reply, Reply)
    assert isinstance(reply.body, Answer)
    asked(cluster, leader, RevokeCertificate("0abcd", Token("t", 0)))
    assert leader.node.proposals


def test_a_node_says_that_its_own_certificate_was_revoked() -> None:
    cluster, leader = started()
    leader.node.step(Now(cluster.now_us, 0), CertificateRead("ABC", 9))
    assert (leader.node.status().certificate, leader.node.status().expires_us) == ("ABC", 9)
    assert not leader.node.status().revoked
    effects = read(cluster, leader, Certificates(revoked=("ABC",), made=True))
    assert kernel.Note("certificate_revoked", {"serial": "ABC"}) in effects
    assert leader.node.status().revoked
