"""The addresses of vsock, native and emulated, and the identity that each stands for.

An identity is what the transport itself proves of a VM: the peer CID on native
vsock (the host's kernel takes packets only with a guest's own source CID), the
path of the VM's unix socket where a VMM emulates it. It is never what a guest
says of itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

from twisted.internet.interfaces import IAddress
from zope.interface import implementer

__all__ = [
    "CID_ANY",
    "CID_HOST",
    "CID_HYPERVISOR",
    "CID_LOCAL",
    "LOCAL_CIDS",
    "MAX_SOCKET_PATH",
    "PORT_ANY",
    "HybridVsockAddress",
    "VsockAddress",
]

CID_HYPERVISOR = 0
CID_LOCAL = 1
CID_HOST = 2
CID_ANY = 0xFFFF_FFFF
PORT_ANY = 0xFFFF_FFFF

LOCAL_CIDS = frozenset((CID_HYPERVISOR, CID_LOCAL, CID_HOST))
"""Context ids that are no guest: the hypervisor, the loopback of this kernel, the host."""

MAX_SOCKET_PATH = 107
"""Bytes in the path of a unix socket: C{sun_path} is 108 with its terminating NUL."""

_NAMES = {CID_ANY: "any", CID_HYPERVISOR: "hypervisor", CID_LOCAL: "local", CID_HOST: "host"}


@implementer(IAddress)
@dataclass(frozen=True, repr=False)
class VsockAddress:
    """One end of an C{AF_VSOCK} stream: a context id and a port, both of 32 bits."""

    cid: int
    port: int

    @property
    def identity(self) -> str:
        """C{cid:10}: the VM, whatever port it dialled from."""
        return f"cid:{self.cid}"

    def __repr__(self) -> str:
        port = "any" if self.port == PORT_ANY else self.port
        return f"VsockAddress({_NAMES.get(self.cid, self.cid)}, {port})"


@implementer(IAddress)
@dataclass(frozen=True, repr=False)
class HybridVsockAddress:
    """One end of an emulated vsock stream: the unix socket of a VM, and a vsock port.

    C{path} is the socket that the VMM binds (C{uds_path} of Firecracker,
    C{socket=} of cloud-hypervisor). C{port} is the vsock port, or None for the
    guest's own end, since no VMM tells the port that a guest dialled from.
    """

    path: str
    port: int | None = None

    @cached_property
    def identity(self) -> str:
        """C{path:/tmp/cid10.sock}: the VM's socket, its folder freed of symlinks.

        Two spellings of one folder give one identity. The last component is
        kept as it is: the socket may not exist yet, and a symlink in its place
        must not lend a VM the name of another.
        """
        folder, name = os.path.split(os.path.abspath(self.path))
        return "path:" + os.path.join(os.path.realpath(folder), name)

    @property
    def socket_path(self) -> str:
        """Where the VMM connects to when its guest dials C{port}: C{/tmp/cid10.sock_12345}."""
        if self.port is None:
            raise ValueError(f"{self!r} is a guest's end: it has no port of its own")
        return f"{self.path}_{self.port}"

    def __repr__(self) -> str:
        port = "" if self.port is None else f", {self.port}"
        return f"HybridVsockAddress({self.path!r}{port})"
