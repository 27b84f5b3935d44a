"""Which addresses may be used without TLS."""

from __future__ import annotations

import ipaddress


def is_loopback(target: str) -> bool:
    """Whether `host:port` is this machine, by its literal address or as `localhost`."""
    host = target.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_target(target: str) -> None:
    """Raises ValueError unless `target` is `host:port`."""
    host, _, port = target.rpartition(":")
    if not host or not port.isdecimal() or not 0 <= int(port) <= 65535:
        raise ValueError(
            "The address of a server is written host:port, as in 'compute.example:50051'. "
            f"Received: target={target!r}."
        )
