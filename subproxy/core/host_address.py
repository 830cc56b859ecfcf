"""What another host of a cluster is called, and where it is dialled."""

from __future__ import annotations

import re

from subproxy.core.printable import printable

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_.-]{0,126}[a-z0-9])?\Z")
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):([0-9]{1,5})\Z")


def check_name(name: str) -> str:
    """
    C{name}, if a host may be called so.

    @raise ValueError: it may not.
    """
    if not _NAME.match(name):
        raise ValueError(
            f"'{printable(name)}' is no name of a host: lower-case letters, digits, dots, hyphens "
            "and underscores, at most 128"
        )
    return name


def split_address(address: str) -> tuple[str, int]:
    """
    The host and the port of an address, C{HOST:PORT} or C{[ADDRESS]:PORT}.

    @raise ValueError: it is none.
    """
    found = _ADDRESS.match(address)
    if found is None or not 0 < int(found.group(3)) < 65536:
        raise ValueError(f"'{printable(address)}' is no address: HOST:PORT is needed")
    return found.group(1) or found.group(2), int(found.group(3))


def parse_peer(text: str) -> tuple[str, str]:
    """
    The name and the address of C{NAME=HOST:PORT}.

    @raise ValueError: it is no such thing.
    """
    name, equals, address = text.partition("=")
    if not equals:
        raise ValueError("NAME=HOST:PORT is needed, the name as the certificate has it")
    split_address(address)
    return check_name(name), address
