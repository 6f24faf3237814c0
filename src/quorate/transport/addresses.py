"""Addresses of the form `host:port` and `[v6]:port`."""

import ipaddress

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


def parse_address(text: str) -> tuple[str, int]:
    """Host and port. Raises ValueError with a sentence that can be shown."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not an address of the form host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{text!r}: an IPv6 address is written [host]:port")
    return host, int(port)


def format_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it. A name other than `localhost` counts as not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_networks(text: str) -> Networks:
    """Networks such as `10.0.0.0/8, fd00::/8`. Raises ValueError with a sentence that can be shown."""
    found = []
    for each in filter(None, (part.strip() for part in text.split(","))):
        try:
            network = ipaddress.ip_network(each)
        except ValueError:
            raise ValueError(f"{each!r} is not a network such as 10.0.0.0/8 or fd00::/8") from None
        if not network.prefixlen:
            raise ValueError(f"{each} is every address there is: name the networks that nobody else can listen to")
        found.append(network)
    return tuple(found)


def is_trusted(host: str, networks: Networks) -> bool:
    """Whether what goes to this host or comes from it may travel in plain text: it is this machine, or in one of the
    networks."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or any(address in network for network in networks)
