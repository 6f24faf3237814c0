"""SCRAM-SHA-256: the example of RFC 7677, both sides against each other, and what a false side may say."""

import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorate.core.auth.verifiers import ITERATIONS, Verifier, is_verifier, mock, read_verifier, secret_from
from quorate.wire.scram import (
    ITERATIONS_MIN,
    ClientLogin,
    LoginFailed,
    ServerLogin,
    make_verifier,
    prepared,
    salted,
)

SALT = bytes(range(16))
VERIFIER = make_verifier("pencil", SALT, ITERATIONS_MIN)
CLIENT_NONCE, SERVER_NONCE = b"c" * 18, b"s" * 18


def client(name: str = "user", password: str = "pencil") -> ClientLogin:
    return ClientLogin(name, CLIENT_NONCE, lambda salt, iterations: salted(password, salt, iterations))


def exchange(one: ClientLogin, verifier: Verifier) -> str:
    """All four messages; the last. Raises LoginFailed."""
    server = ServerLogin(one.first(), SERVER_NONCE)
    outcome = server.outcome(one.final(server.challenge(verifier)))
    one.check(outcome)
    return outcome


def test_the_example_of_the_standard() -> None:
    nonce = binascii.a2b_base64("rOprNGfwEbeRWgbNEkqO")
    one = ClientLogin("user", nonce, lambda salt, iterations: salted("pencil", salt, iterations))
    assert one.first() == "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert one.final(challenge) == (
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    one.check("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def test_who_knows_the_password_gets_in_and_knows_the_node() -> None:
    assert exchange(client(), VERIFIER).startswith("v=")


@pytest.mark.parametrize("password", ["pencil ", "Pencil", "x"])
def test_another_password_does_not(password: str) -> None:
    with pytest.raises(LoginFailed, match="the user or the password is wrong"):
        exchange(client(password=password), VERIFIER)


def test_a_user_that_does_not_exist_is_told_the_same() -> None:
    with pytest.raises(LoginFailed, match="the user or the password is wrong"):
        exchange(client("nobody"), mock("secret", "nobody"))


def test_what_stands_in_for_a_user_is_always_the_same_and_another_for_each_name() -> None:
    secret = secret_from(VERIFIER.text())
    assert mock(secret, "ann") == mock(secret, "ann")
    assert mock(secret, "ann").salt != mock(secret, "bob").salt
    assert mock(secret, "ann").salt != mock("another", "ann").salt
    assert mock(secret, "ann").iterations == ITERATIONS


def test_a_proof_is_worth_nothing_a_second_time() -> None:
    one = client()
    first = one.first()
    server = ServerLogin(first, SERVER_NONCE)
    proof = one.final(server.challenge(VERIFIER))
    server.outcome(proof)
    with pytest.raises(LoginFailed):
        server.outcome(proof)
    again = ServerLogin(first, b"t" * 18)
    again.challenge(VERIFIER)
    with pytest.raises(LoginFailed):
        again.outcome(proof)


def test_a_node_without_the_verifier_is_found_out() -> None:
    one = client()
    one.final(ServerLogin(one.first(), SERVER_NONCE).challenge(VERIFIER))
    with pytest.raises(LoginFailed, match="has not shown"):
        one.check("v=" + binascii.b2a_base64(bytes(32), newline=False).decode())


@pytest.mark.parametrize("iterations", ["1", "4095", "10000001", "99999999999", "-5", "x", ""])
def test_a_node_may_not_choose_how_much_work_a_password_is(iterations: str) -> None:
    one = client()
    nonce = ServerLogin(one.first(), SERVER_NONCE).challenge(VERIFIER).split(",")[0]
    with pytest.raises(LoginFailed):
        one.final(f"{nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i={iterations}")


def test_another_clients_nonce_is_refused() -> None:
    with pytest.raises(LoginFailed, match="does not belong"):
        client().final(f"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i={ITERATIONS_MIN}")


@given(st.text(max_size=60))
def test_no_text_breaks_either_side(text: str) -> None:
    for say in (lambda: ServerLogin(text, SERVER_NONCE), lambda: client().final(text), lambda: client().check(text)):
        with pytest.raises(LoginFailed):
            say()
    server = ServerLogin(client().first(), SERVER_NONCE)
    server.challenge(VERIFIER)
    with pytest.raises(LoginFailed):
        server.outcome(text)


def test_passwords_are_prepared_as_the_standard_says() -> None:
    assert prepared("I\u00adX") == b"IX"
    assert prepared("\u00aa") == b"a"
    assert prepared("\u2168") == b"IX"
    assert prepared("a\u00a0b") == b"a b"
    for refused in ("", "\u0007", "\u0627\u0031", "\u00ad"):
        with pytest.raises(ValueError, match="a password"):
            prepared(refused)


def test_a_verifier_survives_being_written_down_and_shows_nothing() -> None:
    assert read_verifier(VERIFIER.text()) == VERIFIER
    assert is_verifier(VERIFIER.text())
    assert "pencil" not in VERIFIER.text()
    assert VERIFIER.stored_key.hex() not in repr(VERIFIER)


@pytest.mark.parametrize("text", ["", "x", "SCRAM-SHA-256$1:00$00:00", "MD5$" + VERIFIER.text().partition("$")[2]])
def test_what_is_no_verifier_is_not_kept(text: str) -> None:
    assert not is_verifier(text)
