import pytest

from quorate.transport.addresses import format_address, is_loopback, parse_address


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:7", "127.0.0.1", 7), ("[::1]:80", "::1", 80), ("db.example:65535", "db.example", 65535)],
)
def test_addresses_are_read_and_written(text: str, host: str, port: int) -> None:
    assert parse_address(text) == (host, port)
    assert format_address(host, port) == text


@pytest.mark.parametrize("text", ["", "host", ":80", "host:", "host:x", "host:65536", "host:-1", "::1:80", "host:٣"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        parse_address(text)


@pytest.mark.parametrize("host", ["127.9.9.9", "::1", "localhost"])
def test_loopback_is_told_apart(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
def test_everything_else_may_be_reached_by_others(host: str) -> None:
    assert not is_loopback(host)
