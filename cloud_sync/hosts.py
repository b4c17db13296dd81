"""Host names and IP addresses, checked before they stand in certificates, configurations and connections."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator

_LABEL = re.compile(r"[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?")


def check_host(host: str) -> str:
    """The host itself, if it is an IP address or a name of dotted labels.

    Raises:
        ValueError: it is neither; a port, a blank or a line break belong to no host.
    """
    if _address(host) is None:
        labels = host.split(".")
        # a name that ends in a number is an address with a mistake in it
        if len(host) > 253 or labels[-1].isdigit() or not all(_LABEL.fullmatch(label) for label in labels):
            raise ValueError(f"{host!r} is no host name or IP address, such as sync.example.org or 192.0.2.7")
    return host


def is_wildcard(host: str) -> bool:
    """Whether it stands for all addresses of a machine: one can listen there, not connect."""
    address = _address(host)
    return address is not None and address.is_unspecified


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        # a zone (fe80::1%eth0) means something on one machine only, and may hold any character
        return None if "%" in host else ipaddress.ip_address(host)
    except ValueError:
        return None


HostName = Annotated[str, AfterValidator(check_host)]
