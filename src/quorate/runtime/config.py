"""A node's configuration: flag > `QUORATE_*` variable > TOML > default, all spelled alike.

`Config` is the one place that defines the keys; files, variables, flags, `--print-config` and the
documentation are read off it. An unknown key is an error that names the nearest known one.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from quorate.core.settings import Settings
from quorate.storage.interface import OPEN_REPLICAS
from quorate.tls.layer import node_name
from quorate.transport.addresses import Networks, is_loopback, parse_address, parse_networks
from quorate.transport.security import Credentials, Security
from quorate.wire.frames import WireError

ENVIRONMENT = "QUORATE_"
FILE_NAME = "node.toml"

TLS_KEYS = ("tls_certificate", "tls_key", "tls_ca")
"""All of them or none; in a file relative to it."""

ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - nobody is dialled there
"""Hosts that mean every address of a machine, and none that others could dial."""

UNITS_US = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000}
LEVELS = ("debug", "info", "warning", "error")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h)")
_MARK = {"duration": True}
_DEFAULTS = Settings()


class ConfigError(Exception):
    """The configuration cannot be used; the message says which key and why."""


def duration(description: str) -> Meta:
    """Marks an integer of microseconds that people write as `250ms` or `2s`."""
    return Meta(description=description, extra=_MARK)


class Config(Struct, frozen=True, kw_only=True):
    """Every key a node knows. Durations are integers of microseconds here, and strings with units outside."""

    folder: Annotated[str, Meta(description="the node's folder; relative to the file that names it")] = "."
    listen: Annotated[str, Meta(description="host:port to listen on; empty: the address the folder records")] = ""
    advertise: Annotated[
        str, Meta(description="host:port at which others reach this node; empty: where it listens or was founded")
    ] = ""
    insecure_plaintext: Annotated[
        str, Meta(description="networks beyond this machine in which nothing is encrypted, such as 10.0.0.0/8")
    ] = ""
    tls_certificate: Annotated[str, Meta(description="file with this node's certificate; empty: it speaks no TLS")] = ""
    tls_key: Annotated[str, Meta(description="file with the certificate's private key")] = ""
    tls_ca: Annotated[str, Meta(description="file with the certificate of the cluster's authority")] = ""
    log_level: Annotated[str, Meta(description="debug, info, warning or error")] = "info"
    heartbeat: Annotated[int, duration("how often each pair of nodes says that it is alive")] = _DEFAULTS.heartbeat_us
    suspect: Annotated[int, duration("silence after which a peer is taken for dead, at least")] = _DEFAULTS.suspect_us
    suspect_max: Annotated[int, duration("the same at most, on a slow or uneven network; as suspect: fixed")] = (
        _DEFAULTS.suspect_max_us
    )
    election: Annotated[int, duration("how long a candidate waits for votes, at least")] = _DEFAULTS.election_us
    answer_timeout: Annotated[int, duration("after which a waiting caller is told the truth")] = (
        _DEFAULTS.answer_timeout_us
    )
    drain: Annotated[int, duration("how long a stopping node may take to finish and hand over")] = 5_000_000
    read_limit: Annotated[int, duration("how long one read may run before it is ended")] = 60_000_000
    write_limit: Annotated[int, duration("how long one write may run before it is ended")] = _DEFAULTS.write_limit_us
    waiting_requests: Annotated[int, Meta(ge=1, description="requests that wait in one group at most")] = (
        _DEFAULTS.waiting_requests_max
    )
    log_keep: Annotated[int, Meta(ge=1, description="entries that each group's log keeps for nodes that were away")] = (
        _DEFAULTS.log_keep_entries
    )
    verify_every: Annotated[
        int, duration("about how often a leader compares the replicas of each of its groups; 0s: only when asked")
    ] = _DEFAULTS.verify_us
    open_replicas: Annotated[int, Meta(ge=1, description="data files open at a time at most; others open on use")] = (
        OPEN_REPLICAS
    )
    replica_idle: Annotated[int, duration("after which an unused data file is closed")] = (
        _DEFAULTS.close_idle_us * _DEFAULTS.close_idle_periods
    )
    connections: Annotated[int, Meta(ge=1, description="connections of clients at most")] = 4096
    user_connections: Annotated[int, Meta(ge=1, description="connections of one user at most")] = 1024
    user_requests: Annotated[int, Meta(ge=1, description="unanswered requests of one user at most")] = 8192
    user_request_bytes: Annotated[int, Meta(ge=1, description="bytes of one user's unanswered requests at most")] = (
        256 * 1024 * 1024
    )
    user_read_time: Annotated[
        int, duration("how long slow reads of one user may run in each minute, all together; 0s: no bound")
    ] = 0
    auth_stale_after: Annotated[
        int, duration("how long a node that does not hear the catalog's leader goes by the users that it knows")
    ] = _DEFAULTS.auth_stale_us
    etcd: Annotated[str, Meta(description="host:port of an etcd, or several with commas, for failover = etcd")] = ""
    resolvers: Annotated[
        str, Meta(description="resolvers of your own, FILE.py:FUNCTION with commas between; relative to the file")
    ] = ""
    client_requests: Annotated[int, Meta(ge=1, description="unanswered requests of one connection at most")] = 1024

    def settings(self) -> Settings:
        """The part that the protocols use."""
        return Settings(
            heartbeat_us=self.heartbeat,
            suspect_us=self.suspect,
            suspect_max_us=max(self.suspect, self.suspect_max),
            election_us=self.election,
            answer_timeout_us=self.answer_timeout,
            write_limit_us=self.write_limit,
            waiting_requests_max=self.waiting_requests,
            log_keep_entries=self.log_keep,
            verify_us=self.verify_every,
            auth_stale_us=self.auth_stale_after,
            has_tls=bool(self.tls_certificate),
            has_etcd=bool(self.etcd),
            close_idle_periods=max(1, self.replica_idle // _DEFAULTS.close_idle_us),
        )


class Key(Struct, frozen=True):
    """One key, as the ways to set it need to know it."""

    name: str
    description: str
    kind: type
    is_duration: bool
    default: Any


def keys() -> Iterator[Key]:
    """Every key of `Config`, in order."""
    info = msgspec.inspect.type_info(Config)
    assert isinstance(info, msgspec.inspect.StructType)
    for field in info.fields:
        meta = field.type
        assert isinstance(meta, msgspec.inspect.Metadata)
        schema = meta.extra_json_schema or {}
        kind = int if isinstance(meta.type, msgspec.inspect.IntType) else str
        yield Key(field.name, schema.get("description", ""), kind, bool(meta.extra), field.default)


def parse_duration(text: str) -> int:
    """Microseconds. Raises ValueError with a sentence that can be shown."""
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a duration: write a number and one of {', '.join(UNITS_US)}, such as 250ms")
    return round(float(found[1]) * UNITS_US[found[2]])


def format_duration(us: int) -> str:
    """The shortest exact spelling that `parse_duration` reads."""
    unit = max((unit for unit in UNITS_US if us % UNITS_US[unit] == 0), key=UNITS_US.__getitem__)
    return f"{us // UNITS_US[unit]}{unit}" if us else "0s"


def load(
    path: Path | None, flags: Mapping[str, str | int | None], environment: Mapping[str, str]
) -> tuple[Config, tuple[str, ...]]:
    """The effective configuration, and warnings. Raises ConfigError.

    `flags` maps key names to what was given, None for what was not. A `folder` from the file is relative to
    the file; from a flag or a variable, to the current directory.
    """
    known = {key.name: key for key in keys()}
    values: dict[str, Any] = {}
    if path is not None:
        values.update(_from_file(path, known))
    warnings = []
    for variable in sorted(environment):
        name = variable.removeprefix(ENVIRONMENT).lower()
        if not variable.startswith(ENVIRONMENT) or name in ("url", "user", "password", "token", "credentials"):
            continue
        if name in known:
            values[name] = _value(known[name], environment[variable], variable)
        else:
            warnings.append(f"the variable {variable} is not a key of the configuration{_nearest(name, known)}")
    for name, given in flags.items():
        if given is not None:
            values[name] = _value(known[name], given, "--" + name.replace("_", "-"))
    config = Config(**values)
    _check(config)
    return config, tuple(warnings)


def _from_file(path: Path, known: Mapping[str, Key]) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
    values = {}
    for name, given in table.items():
        if name not in known:
            raise ConfigError(f"{path}: unknown key {name!r}{_nearest(name, known)}")
        values[name] = _value(known[name], given, f"{path}: {name}")
    for name in TLS_KEYS:
        if values.get(name):
            values[name] = str(path.parent / str(values[name]))
    if values.get("resolvers"):
        values["resolvers"] = ", ".join([str(path.parent / each) for each in listed(str(values["resolvers"]))])
    values["folder"] = str(path.parent / str(values.get("folder", "")))
    return values


def _nearest(name: str, known: Mapping[str, Key]) -> str:
    found = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.4)
    return f"; did you mean {found[0]!r}?" if found else f"; the keys are {', '.join(known)}"


def _value(key: Key, given: object, where: str) -> str | int:
    """A value of the key's type from a string or from what TOML gave. Raises ConfigError."""
    try:
        if key.is_duration:
            if not isinstance(given, str):
                raise ValueError(f"{given!r} has no unit: write a string such as 250ms or 2s")
            return parse_duration(given)
        if key.kind is int:
            if isinstance(given, str) and given.strip().isdecimal():
                return int(given)
            if isinstance(given, bool) or not isinstance(given, int):
                raise ValueError(f"{given!r} is not a whole number")
            return given
        if isinstance(given, list) and all(isinstance(each, str) for each in given):
            given = ", ".join(given)
        if not isinstance(given, str):
            raise ValueError(f"{given!r} is not a string")
        return given
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error


LEAST_US = {
    "heartbeat": 5_000, "election": 5_000, "answer_timeout": 10_000, "read_limit": 1_000, "write_limit": 1_000,
    "replica_idle": 1_000, "auth_stale_after": 1_000_000,
}  # fmt: skip
"""Below these a node would do nothing but tick, or answer nobody in time."""


def _check(config: Config) -> None:
    """Refuse what cannot work together. Raises ConfigError."""
    try:
        msgspec.convert(msgspec.to_builtins(config), Config)
    except msgspec.ValidationError as error:
        raise ConfigError(str(error)) from error
    if config.log_level not in LEVELS:
        raise ConfigError(f"log_level: {config.log_level!r} must be one of {', '.join(LEVELS)}")
    for name, least_us in LEAST_US.items():
        if getattr(config, name) < least_us:
            raise ConfigError(f"{name} must be at least {least_us // 1_000}ms")
    if config.heartbeat * 2 > config.suspect:
        raise ConfigError("suspect must be at least two heartbeats, or one lost message looks like a dead node")
    networks(config)
    given = [name for name in TLS_KEYS if getattr(config, name)]
    if given and len(given) < len(TLS_KEYS):
        missing = next(name for name in TLS_KEYS if name not in given)
        raise ConfigError(f"{given[0]} is given without {missing}: TLS needs all of {', '.join(TLS_KEYS)}")
    if config.advertise:
        check_advertise(config.advertise)
    if config.listen:
        check_listen(config.listen, config)
    etcd_endpoints(config)


def listed(value: str) -> tuple[str, ...]:
    """The parts of a value with commas between them."""
    return tuple(each.strip() for each in value.split(",") if each.strip())


def etcd_endpoints(config: Config) -> tuple[tuple[str, int], ...]:
    """Host and port of every etcd that is named. Raises ConfigError."""
    try:
        return tuple(parse_address(each.strip()) for each in config.etcd.split(",")) if config.etcd else ()
    except ValueError as error:
        raise ConfigError(f"etcd: {error}; write host:port, and commas between several") from error


def networks(config: Config) -> Networks:
    """Those in which nothing has to be encrypted. Raises ConfigError."""
    try:
        return parse_networks(config.insecure_plaintext)
    except ValueError as error:
        raise ConfigError(f"insecure_plaintext: {error}") from error


def security(config: Config, cluster: str = "", node: int = 0) -> Security:
    """How this node protects its connections with this configuration. Raises ConfigError when it would not."""
    return Security(cluster, networks(config), credentials(config, cluster, node) if config.tls_certificate else None)


def credentials(config: Config, cluster: str, node: int) -> Credentials:
    """This node's certificate, as its files are now. Raises ConfigError when others would not believe it."""
    try:
        found = Credentials(config.tls_certificate, config.tls_key, config.tls_ca)
    except WireError as error:
        raise ConfigError(f"tls_certificate: {config.tls_certificate} cannot be used: {error}") from error
    except OSError as error:
        reason = getattr(error, "reason", None) or error.strerror or error
        files = ", ".join(getattr(config, name) for name in TLS_KEYS)
        raise ConfigError(f"tls_certificate: {files} cannot be used: {reason}") from error
    if node_name(cluster, node) not in found.names:
        named = ", ".join(found.names) or "nobody"
        raise ConfigError(
            f"tls_certificate: {config.tls_certificate} names {named}, and this node is {node_name(cluster, node)}:"
            " issue one with `quorate certs issue`"
        )
    return found


def check_listen(address: str, config: Config) -> None:
    """Refuse an address that other machines reach while nothing protects what they would send. Raises ConfigError."""
    try:
        host, _port = parse_address(address)
    except ValueError as error:
        raise ConfigError(f"listen: {error}") from error
    if is_loopback(host) or config.insecure_plaintext or config.tls_certificate:
        return
    raise ConfigError(
        f"listen: {address} can be reached from other machines, and nothing would be encrypted. Give this node a"
        f" certificate: `quorate certs init CA`, then `quorate certs issue CA --node {config.folder}`. Or name the"
        ' networks that nobody else can enter: insecure_plaintext = ["10.0.0.0/8"] (docs/deploy.md)'
    )


def check_advertise(address: str) -> None:
    """Refuse an address that nobody can dial. Raises ConfigError."""
    try:
        host, port = parse_address(address)
    except ValueError as error:
        raise ConfigError(f"advertise: {error}") from error
    if host in ANYWHERE or not port:
        raise ConfigError(f"advertise: nobody can dial {address}; give one address of this node, with its port")


def to_toml(config: Config) -> str:
    """The whole configuration as TOML, one key a line with its meaning; `load` reads it back."""
    lines = []
    for key in keys():
        value = getattr(config, key.name)
        shown = json.dumps(format_duration(value) if key.is_duration else value, ensure_ascii=False)
        lines.append(f"{key.name} = {shown}  # {key.description}\n")
    return "".join(lines)
