"""Telling a service manager how it goes (sd_notify of systemd), where there is one."""

import contextlib
import os
import socket

READY, STOPPING = "READY=1", "STOPPING=1"


def tell(state: str) -> None:
    """One datagram to the socket that the service manager names; nothing happens without one."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place.startswith(("/", "@")):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), "\0" + place[1:] if place.startswith("@") else place)
