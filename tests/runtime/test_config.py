from pathlib import Path

import pytest

from quorate.core.settings import Settings
from quorate.runtime.config import (
    Config,
    ConfigError,
    check_listen,
    etcd_endpoints,
    format_duration,
    keys,
    load,
    parse_duration,
    security,
    to_toml,
)
from quorate.transport.security import PlaintextRefused


def write(folder: Path, text: str) -> Path:
    path = folder / "node.toml"
    path.write_text(text)
    return path


def test_flags_beat_variables_beat_the_file_beats_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, 'heartbeat = "10ms"\nsuspect = "1s"\nelection = "2s"\n')
    config, warnings = load(
        path, {"heartbeat": "30ms", "suspect": None}, {"QUORATE_HEARTBEAT": "20ms", "QUORATE_SUSPECT": "3s"}
    )
    assert (config.heartbeat, config.suspect, config.election) == (30_000, 3_000_000, 2_000_000)
    assert config.answer_timeout == Settings().answer_timeout_us
    assert warnings == ()


def test_what_is_printed_can_be_read_back(tmp_path: Path) -> None:
    config, _ = load(
        None, {"folder": str(tmp_path), "heartbeat": "5500us", "connections": 12, "log_level": "debug"}, {}
    )
    assert load(write(tmp_path, to_toml(config)), {}, {})[0] == config


def test_every_key_has_a_meaning_and_can_be_set_in_every_way(tmp_path: Path) -> None:
    for key in keys():
        assert key.description
        default = getattr(Config(), key.name)
        text = format_duration(default) if key.is_duration else str(default)
        by_flag, _ = load(None, {key.name: text}, {})
        by_variable, _ = load(None, {}, {f"QUORATE_{key.name.upper()}": text})
        assert by_flag == by_variable == Config()


def test_an_unknown_key_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"hartbeat.*did you mean 'heartbeat'"):
        load(write(tmp_path, 'hartbeat = "1s"'), {}, {})


def test_an_unknown_variable_is_a_warning(tmp_path: Path) -> None:
    """It may be meant for another program of ours."""
    _, (warning,) = load(None, {}, {"QUORATE_HARTBEAT": "1s", "QUORATE_URL": "quorate://h", "HOME": "x"})
    assert "did you mean 'heartbeat'" in warning


def test_several_etcds_may_be_named_and_the_protocols_hear_that_there_is_one() -> None:
    config, _ = load(None, {"etcd": "127.0.0.1:2379, [::1]:2379"}, {})
    assert etcd_endpoints(config) == (("127.0.0.1", 2379), ("::1", 2379))
    assert config.settings().has_etcd
    without, _ = load(None, {}, {})
    assert etcd_endpoints(without) == ()
    assert not without.settings().has_etcd


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("heartbeat = 100", "no unit"),
        ('heartbeat = "100"', "not a duration"),
        ('connections = "many"', "not a whole number"),
        ("connections = true", "not a whole number"),
        ("connections = 0", "connections"),
        ("log_level = 3", "not a string"),
        ('log_level = "loud"', "log_level"),
        ('suspect = "150ms"', "two heartbeats"),
        ('heartbeat = "1us"', "heartbeat must be at least 5ms"),
        ('answer_timeout = "0s"', "answer_timeout must be at least 10ms"),
        ('election = "0s"', "election"),
        ('listen = "here"', "host:port"),
        ('listen = "0.0.0.0:7000"', "nothing would be encrypted"),
        ('advertise = "0.0.0.0:7000"', "nobody can dial"),
        ('advertise = "db.example:0"', "nobody can dial"),
        ('advertise = "db.example"', "advertise: .*host:port"),
        ('insecure_plaintext = "*"', "not a network"),
        ('insecure_plaintext = ["10.0.0.0/8", "0.0.0.0/0"]', "every address"),
        ('insecure_plaintext = "::/0"', "every address"),
        ('insecure_plaintext = "10.0.0.1/8"', "not a network"),
        ('etcd = "here"', "etcd: .*host:port"),
        ('etcd = "127.0.0.1:2379,,"', "commas between several"),
        ("= 3", "not TOML"),
    ],
)
def test_wrong_values_are_refused_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(write(tmp_path, text), {}, {})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"node\.toml cannot be read"):
        load(tmp_path / "node.toml", {}, {})


def test_the_folder_is_the_files_own_unless_it_says_otherwise(tmp_path: Path) -> None:
    assert load(write(tmp_path, ""), {}, {})[0].folder == str(tmp_path)
    assert load(write(tmp_path, 'folder = "data"'), {}, {})[0].folder == str(tmp_path / "data")
    assert load(write(tmp_path, 'folder = "data"'), {"folder": "elsewhere"}, {})[0].folder == "elsewhere"


@pytest.mark.parametrize(
    ("text", "us"), [("1us", 1), ("250ms", 250_000), ("1.5s", 1_500_000), ("2m", 120_000_000), ("1h", 3_600_000_000)]
)
def test_durations(text: str, us: int) -> None:
    assert parse_duration(text) == us
    assert parse_duration(format_duration(us)) == us


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1 s", "1d", "1e3s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:7000", "localhost:7000"])
def test_loopback_may_be_listened_on(address: str) -> None:
    check_listen(address, Config())


def test_beyond_loopback_needs_networks_that_are_named(tmp_path: Path) -> None:
    text = 'listen = "0.0.0.0:7000"\ninsecure_plaintext = ["10.0.0.0/8", "fd00::/8"]\n'
    config, _ = load(write(tmp_path, text), {}, {})
    assert load(write(tmp_path, to_toml(config)), {}, {})[0].insecure_plaintext == "10.0.0.0/8, fd00::/8"
    protected = security(config)
    for host in ("127.0.0.1", "::1", "10.1.2.3", "::ffff:10.1.2.3", "fd00::1"):
        protected.check_plain((host, 1))
    for host in ("192.168.0.1", "fe80::1%lo", "11.0.0.1", "::ffff:11.0.0.1", "2001:db8::1"):
        with pytest.raises(PlaintextRefused, match="no unencrypted connections"):
            protected.check_plain((host, 1))
