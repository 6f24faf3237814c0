"""What `connect` is pointed at: a folder, memory, or a cluster.

The standard library's URL parser cannot hold several hosts with ports, so a cluster's URL is read here:
`quorate://host[:port][,host[:port]...][/database][?option=value&...]`.
"""

import difflib
import os
from pathlib import Path
from typing import Union
from urllib.parse import parse_qsl, unquote

from msgspec import Struct, structs

from quorate.client.checks import check_database, check_text, shown
from quorate.client.credentials import NOBODY, Credentials, check_login, find_login
from quorate.client.marker import NOTHING, check_bookmark
from quorate.client.protection import Protection, check_protection
from quorate.core.bookmarks import Bookmark
from quorate.core.read_levels import READ_LEVELS, SESSION, SPELLINGS, STRONGEST, NoSuchLevel, parse
from quorate.errors import OperationalError, ProgrammingError

SCHEME = "quorate://"
MEMORY = ":memory:"
DEFAULT_PORT = 7654
DEFAULT_DATABASE = "main"
DEFAULT_TIMEOUT = 5.0
"""Seconds a call may take, retries included."""

OPTIONS = ("timeout", "read", "bookmark", "cluster", "tls", "ca", "certificate", "key")
File = Union[str, "os.PathLike[str]", None]
SAFE, ALWAYS = "safe", "always"
"""Whether a write that was running when its node was lost is sent to another node: not by itself, or always."""
"""What may follow the `?` of a URL; the keyword arguments of `connect` go before them."""

_SQLITE_MAGIC = b"SQLite format 3\x00"
_HOST_LENGTH_MAX = 253
_LABEL_LENGTH_MAX = 63
"""Bytes of a host's name, and of what is between two dots of it (RFC 1035)."""
_PORT_LENGTH_MAX = 5


class ClusterTarget(Struct, frozen=True):
    """Some of a cluster's nodes, one of its databases, and how to speak to it."""

    addresses: tuple[str, ...]
    """Each `host:port`."""
    database: str = DEFAULT_DATABASE
    timeout: float | None = None
    """Seconds; None: not said in the URL."""
    read: str | None = None
    bookmark: Bookmark = NOTHING
    cluster: str = ""
    """The id of the cluster that is meant; empty: whichever answers first."""
    protection: Protection = Protection()
    login: Credentials = NOBODY
    """Who the URL says that we are; a password in it is nowhere else afterwards."""


class FolderTarget(Struct, frozen=True):
    """An embedded node's folder, and the database in it."""

    path: Path
    database: str = DEFAULT_DATABASE


class MemoryTarget(Struct, frozen=True):
    """An embedded node without a disk."""

    database: str = DEFAULT_DATABASE
    shared: str = ""
    """Connections of one process that name the same share a node, as long as one of them is open; empty: with none."""


Target = ClusterTarget | FolderTarget | MemoryTarget


def is_cluster(target: str) -> bool:
    """Does this name a cluster (and not a folder)?"""
    return target.lower().startswith(SCHEME)


def parse_target(target: object) -> Target:
    """Where to connect. Raises ProgrammingError with what is wrong and how it would be right."""
    if isinstance(target, os.PathLike):
        target = os.fspath(target)
    if not isinstance(target, str):
        raise ProgrammingError(
            f"connect takes a path or a URL, not {type(target).__name__}",
            hint='for example "./shop", ":memory:" or "quorate://10.0.0.1:7654,10.0.0.2:7654/shop"',
        )
    if is_cluster(target):
        return parse_cluster_url(target)
    if target == MEMORY:
        return MemoryTarget()
    scheme, separator, _ = target.partition("://")
    if separator:
        raise ProgrammingError(
            f"unknown scheme {scheme + separator!r}", hint=f'a cluster\'s URL begins with "{SCHEME}"'
        )
    return FolderTarget(check_folder(target))


def check_folder(path: str) -> Path:
    """The folder of an embedded node; it need not exist. Raises ProgrammingError for a file."""
    if not path or "\x00" in path:
        raise ProgrammingError("the path of an embedded database is empty or has a NUL", hint="give a folder's path")
    if path.startswith("file:"):
        raise ProgrammingError(
            f"{path} is a URI of SQLite's, and Quorate keeps a database in a folder", hint="give the folder's path"
        )
    if path.startswith("~"):
        raise ProgrammingError(f"{path}: the shell expands ~, connect does not", hint="use os.path.expanduser(path)")
    folder = Path(path)
    try:
        folder.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return folder
    except UnicodeEncodeError:
        raise ProgrammingError("the path has a lone surrogate, which no file's name can have") from None
    except OSError as error:
        raise OperationalError(f"{path} cannot be opened: {error.strerror or error}") from error
    if folder.is_file():
        with folder.open("rb") as file:
            plain = file.read(len(_SQLITE_MAGIC)) in (_SQLITE_MAGIC, b"")
        if plain:
            raise ProgrammingError(
                f"{path} is a plain SQLite file, and Quorate keeps a database in a folder",
                hint=f"load it with: quorate import {path} --into ./{folder.stem}",
            )
    if folder.exists() and not folder.is_dir():
        raise ProgrammingError(f"{path} is not a folder", hint="Quorate keeps a database in a folder of its own")
    return folder


def parse_cluster_url(url: str) -> ClusterTarget:
    """Read a cluster's URL. Raises ProgrammingError or NotSupportedError."""
    url = check_text(url, "a cluster's URL")
    if not is_cluster(url):
        raise ProgrammingError(f"{url!r:.200} is not a cluster's URL", hint=f"it begins with {SCHEME}host:port")
    rest, _, fragment = url[len(SCHEME) :].partition("#")
    if fragment:
        raise ProgrammingError("a cluster's URL has no part after '#'", hint="a password writes '#' as %23")
    rest, _, query = rest.partition("?")
    hosts, slash, path = rest.partition("/")
    user_info, at, hosts = hosts.rpartition("@")
    login = login_of(user_info) if at else NOBODY
    database = check_database(unquote(path.rstrip("/"))) if slash and path.strip("/") else DEFAULT_DATABASE
    addresses = tuple(dict.fromkeys(parse_address(host.strip()) for host in hosts.split(",")))
    return ClusterTarget(addresses, database, *_options(query), login=login)


def login_of(text: str) -> Credentials:
    """`user` or `user:password`, percent-encoded. Raises ProgrammingError, which does not show the password."""
    user, colon, password = text.partition(":")
    return check_login(unquote(user), unquote(password) if colon else None, None)


def parse_address(text: str) -> str:
    """`host`, `host:port`, `[v6]` or `[v6]:port` as `host:port`. Raises ProgrammingError."""
    text = check_text(text, "an address")
    host, port = text, ""
    if text.startswith("["):
        host, bracket, after = text[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise ProgrammingError(f"cannot read the address {text!r}", hint="an IPv6 address looks like [::1]:7654")
        host, port = f"[{host}]", after[1:]
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    elif text.count(":") > 1:
        raise ProgrammingError(f"cannot read the address {text!r}", hint="an IPv6 address looks like [::1]:7654")
    if host in ("", "[]") or any(sign.isspace() for sign in host):
        raise ProgrammingError(f"an address without a host: {text!r}", hint="quorate://host:port,host:port/database")
    if not _is_host(host):
        raise ProgrammingError(
            f"{host!r:.80} cannot be the name of a host",
            hint=f"it has at most {_HOST_LENGTH_MAX} characters, and at most {_LABEL_LENGTH_MAX} between two dots",
        )
    if not port:
        return f"{host}:{DEFAULT_PORT}"
    if not port.isdecimal() or not port.isascii() or len(port) > _PORT_LENGTH_MAX or not 0 < int(port) < 65536:
        raise ProgrammingError(
            f"{port!r:.80} is not a port (in {text!r:.200})", hint="a port is a number from 1 to 65535"
        )
    return f"{host}:{int(port)}"


def _is_host(host: str) -> bool:
    """Whether this can be given to a resolver, which says what is wrong in words of its own."""
    if not host.isprintable() or len(host) > _HOST_LENGTH_MAX:
        return False
    if host.startswith("["):
        return host.isascii()
    labels = host.removesuffix(".").split(".")
    if host.isascii():
        return all(0 < len(label) <= _LABEL_LENGTH_MAX for label in labels)
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def split_address(address: str) -> tuple[str, int]:
    """`host:port` as a socket wants it. Raises ProgrammingError."""
    host, _, port = parse_address(address).rpartition(":")
    return host.strip("[]"), int(port)


def with_login(target: ClusterTarget, given: Credentials) -> ClusterTarget:
    """The same place, for whom a certificate names, or arguments, the URL or the surroundings. Raises
    ProgrammingError."""
    login = find_login(given, target.login, certified=bool(target.protection.certificate))
    return structs.replace(target, login=login)


def with_protection(
    target: ClusterTarget, tls: str | None, ca: File, certificate: File = None, key: File = None
) -> ClusterTarget:
    """The same place, spoken to as arguments say; the URL says what they do not. Raises ProgrammingError."""
    if tls is None and ca is None and certificate is None and key is None:
        return target
    known = target.protection
    files = (
        _file(ca, known.ca, "ca"),
        _file(certificate, known.certificate, "certificate"),
        _file(key, known.key, "key"),
    )
    return structs.replace(target, protection=check_protection(known.tls if tls is None else tls, *files))


def _file(given: File, known: str, what: str) -> str:
    return known if given is None else check_text(os.fspath(given) if isinstance(given, os.PathLike) else given, what)


def check_alone(
    retry: str,
    login: Credentials,
    tls: str | None = None,
    ca: File = None,
    certificate: File = None,
    key: File = None,
) -> None:
    """What has no meaning for a folder. Raises ProgrammingError when somebody is named, for nobody logs in there."""
    check_retry(retry)
    if (tls, ca, certificate, key) != (None, None, None, None):
        raise ProgrammingError("tls=, ca=, certificate= and key= are for clusters: nothing is sent to a folder")
    if login:
        raise ProgrammingError("a folder has no users: who can open it may do everything")


def check_read_level(level: str) -> str:
    """One of the read levels. Raises ProgrammingError that names the nearest."""
    level = check_text(level, "a read level")
    try:
        if level != STRONGEST:
            parse(level)
    except NoSuchLevel as error:
        near = nearest(level, READ_LEVELS) if ":" not in level else f"known are {', '.join(SPELLINGS)}"
        raise ProgrammingError(str(error), hint=near) from None
    return level


def check_retry(retry: str) -> str:
    """What a client repeats by itself. Raises ProgrammingError."""
    retry = check_text(retry, "retry")
    if retry not in (SAFE, ALWAYS):
        raise ProgrammingError(f"unknown retry {retry!r:.80}", hint=nearest(retry, (SAFE, ALWAYS)))
    return retry


def check_timeout(timeout: float) -> float:
    """A positive number of seconds. Raises ProgrammingError."""
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < 1e9:
        raise ProgrammingError(f"a timeout is a positive number of seconds, not {shown(timeout)}")
    return float(timeout)


def nearest(word: str, known: tuple[str, ...]) -> str:
    """A hint for a misspelt word."""
    close = difflib.get_close_matches(word[:80], known, 1, 0.5)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"


def _options(query: str) -> tuple[float | None, str | None, Bookmark, str, Protection]:
    """What a URL's query names, in the order of `ClusterTarget`."""
    timeout: float | None = None
    bookmark = NOTHING
    read: str | None = None
    texts = {"cluster": "", "tls": "", "ca": "", "certificate": "", "key": ""}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "timeout":
            try:
                timeout = check_timeout(float(value))
            except ValueError:
                raise ProgrammingError(f"timeout={value!r} is not a number of seconds") from None
        elif name == "read":
            read = check_read_level(value)
        elif name == "bookmark":
            bookmark = check_bookmark(value)
        elif name in texts:
            texts[name] = check_text(value, name)
        else:
            raise ProgrammingError(f"unknown option {name!r} in a cluster's URL", hint=nearest(name, OPTIONS))
    return timeout, read, bookmark, texts.pop("cluster"), check_protection(**texts)


def default_read(read: str | None, bookmark: Bookmark = NOTHING) -> str:
    """The read level of a connection; when it names none, `session` if it goes on with one, otherwise the strongest
    that its database promises."""
    if read is None:
        return SESSION if bookmark else STRONGEST
    return check_read_level(read)
