"""Making a cluster: a folder for each node, who the founders are, and `cluster.json` that points to them."""

import errno
import json
import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import Struct

from quorate.core.formats import HERE
from quorate.core.recovered import Identity, Member
from quorate.core.requests import StatusReport
from quorate.runtime.config import FILE_NAME, ConfigError
from quorate.transport.addresses import format_address, parse_address

CLUSTER_FILE = "cluster.json"
PORTS = range(17_000, 32_000)
"""Where free ports are looked for."""


class NodePlace(Struct, frozen=True):
    """Where one node of a cluster is."""

    name: str
    pid: int
    """Of the running process; 0 when none was started, or when it has ended."""
    address: str
    folder: str


class ClusterFile(Struct, frozen=True):
    """`cluster.json`: what other programs need to use, watch and harm a cluster."""

    cluster: str
    nodes: tuple[NodePlace, ...]
    url: str
    ca: str = ""
    """The file with the certificate of the authority that clients verify with; empty: nothing is encrypted."""


def url_of(addresses: tuple[str, ...], database: str = "", *, ca: str = "", cluster: str = "") -> str:
    """The URL of a cluster, or of a database in it. One that is encrypted names the authority, and whose it is."""
    place = "quorate://" + ",".join(addresses) + (f"/{database}" if database else "")
    return f"{place}?cluster={cluster}&ca={quote(ca)}" if ca else place


def free_ports(host: str, count: int) -> list[int]:
    """Ports that nobody listens on now, all different. Raises OSError when the host is not this machine's.

    They lie below the range from which operating systems take the ports of outgoing connections: otherwise a
    dead node's port could be taken before its restart, even by the very connection that tries to reach it.
    """
    sockets: list[socket.socket] = []
    try:
        while len(sockets) < count:
            probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            sockets.append(probe)
            try:
                probe.bind((host, PORTS.start + secrets.randbelow(len(PORTS))))
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                sockets.pop().close()
        return [probe.getsockname()[1] for probe in sockets]
    finally:
        for probe in sockets:
            probe.close()


def taken_port(host: str, ports: Sequence[int]) -> int:
    """One of these ports on which somebody listens; 0: none is taken. Raises OSError as `free_ports` does."""
    for port in ports:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as nodes do: what is just closed is free
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise
                return port
    return 0


def local_members(count: int, host: str, prefix: str = "n", ports: Sequence[int] = ()) -> dict[str, str]:
    """Names and addresses for nodes on this machine, on these ports or else on free ones."""
    chosen = enumerate(ports or free_ports(host, count), start=1)
    return {f"{prefix}{number}": format_address(host, port) for number, port in chosen}


def found(
    folder: Path,
    members: Mapping[str, str],
    options: Mapping[str, str] | None = None,
    format_number: int = HERE.highest,
    *,
    listen: str = "",
    admin: tuple[str, str] | None = None,
) -> ClusterFile:
    """Make `folder`/NAME for each name -> address, and `folder`/cluster.json. `options` go into each node.toml;
    `listen` is the host on which all of them listen, if that is not their address; `admin` the name and the verifier
    of the first user, or nobody has to log in.

    Raises ConfigError when the folder holds a cluster already or anything else, or an address is wrong, and OSError.
    """
    from quorate.storage.node_file import create

    if (folder / CLUSTER_FILE).exists():
        raise ConfigError(f"{folder} holds a cluster already")
    others = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    if others:
        raise ConfigError(f"{folder} is not empty (it has {others[0]}): name a new or an empty folder")
    if len(set(members.values())) != len(members):
        raise ConfigError("two nodes cannot have one address")
    for name, address in members.items():
        _check_place(name, address, folder / name)
    cluster = secrets.token_hex(8)
    founders = tuple(Member(secrets.randbits(62) + 1, name, address) for name, address in members.items())
    for member in founders:
        place = folder / member.name
        place.mkdir(parents=True, exist_ok=True)
        create(place / "node.db", Identity(cluster, member.node, member.name, 0, founders, format_number, admin))
        _write_config(place, member.address, options, listen)
    places = tuple(NodePlace(each.name, 0, each.address, str((folder / each.name).resolve())) for each in founders)
    made = ClusterFile(cluster, places, url_of(tuple(members.values())))
    write_cluster_file(folder, made)
    return made


def join(
    folder: Path,
    name: str,
    address: str,
    known: StatusReport,
    options: Mapping[str, str] | None = None,
    *,
    listen: str = "",
) -> NodePlace:
    """Make `folder`/NAME for a node that is to be taken into a running cluster, which `known` describes: with an id of
    its own, and the addresses of those who are members now. If `folder` has this cluster's cluster.json, it is added
    there. `options` and `listen` are those of `found`.

    Raises ConfigError when the name or the address is wrong or taken, and OSError.
    """
    from quorate.storage.node_file import create

    place = folder / name
    _check_place(name, address, place)
    for member in known.members:
        if name == member.name or address == member.address:
            raise ConfigError(f"{member.name} at {member.address} is a member already: choose another name and address")
    members = tuple(Member(each.node, each.name, each.address) for each in known.members)
    place.mkdir(parents=True, exist_ok=True)
    identity = Identity(known.cluster, secrets.randbits(62) + 1, name, 0, members, known.version)
    create(place / "node.db", identity)
    _write_config(place, address, options, listen)
    made = NodePlace(name, 0, address, str(place.resolve()))
    there = read_cluster_file(folder) if (folder / CLUSTER_FILE).exists() else None
    if there is not None and there.cluster == known.cluster:
        places = (*there.nodes, made)
        url = url_of(tuple(each.address for each in places), ca=there.ca, cluster=there.cluster)
        write_cluster_file(folder, ClusterFile(there.cluster, places, url, there.ca))
    return made


def _check_place(name: str, address: str, place: Path) -> None:
    """Raises ConfigError."""
    if not name or name in (".", "..") or not all(each.isalnum() or each in "-_." for each in name):
        raise ConfigError(f"{name!r} cannot be a node's name: letters, digits, '-', '_' and '.' only")
    try:
        parse_address(address)
    except ValueError as error:
        raise ConfigError(f"node {name}: {error}") from error
    if place.exists() and any(place.iterdir()):
        raise ConfigError(f"{place} is not empty")


def _write_config(place: Path, address: str, options: Mapping[str, str] | None, listen: str) -> None:
    lines = {"listen": address}
    if listen:
        lines = {"listen": format_address(listen, parse_address(address)[1]), "advertise": address}
    lines |= options or {}
    text = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in lines.items())
    (place / FILE_NAME).write_text(text, encoding="utf-8")


def write_cluster_file(folder: Path, content: ClusterFile) -> None:
    """Replace `cluster.json` at once: a reader sees the old one or the new one."""
    path = folder / CLUSTER_FILE
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    draft.replace(path)


def forget(folder: Path, name: str) -> NodePlace | None:
    """Strike a node from `folder`/cluster.json; where it was, or None when it was not there. Raises ConfigError."""
    known = read_cluster_file(folder)
    left = tuple(place for place in known.nodes if place.name != name)
    if len(left) < len(known.nodes):
        url = url_of(tuple(place.address for place in left), ca=known.ca, cluster=known.cluster)
        write_cluster_file(folder, ClusterFile(known.cluster, left, url, known.ca))
    return next((place for place in known.nodes if place.name == name), None)


def read_cluster_file(folder: Path) -> ClusterFile:
    """Raises ConfigError."""
    path = folder / CLUSTER_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=ClusterFile)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"{path} is damaged: {error}") from error
