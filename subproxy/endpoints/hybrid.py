"""Emulated vsock: the unix sockets of Firecracker, cloud-hypervisor and vhost-device-vsock.

A guest that dials port 12345 of its host makes the VMM connect to C{PATH_12345},
which is ours to provide; the VMM neither makes nor removes it. The other way
round, one connects to C{PATH} itself and asks for a port of the guest
(C{HybridVsockClientEndpoint} in C{hybridclient}).
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import stat
import struct
from collections.abc import Callable, Collection
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from subproxy.core.access.log_limit import LogLimit, not_logged

from .addresses import HybridVsockAddress
from .errors import CannotListenAt
from .listening import ListeningSocketPort
from .socketfile import FolderLock, SocketFile, publish

__all__ = ["DEFAULT_PORT", "MIN_BACKLOG", "HybridVsockPort", "HybridVsockServerEndpoint"]

DEFAULT_PORT = 12345
MIN_BACKLOG = 1024
LOCK_DEADLINE = 5.0
LOCK_RETRY = 0.01

_UCRED = struct.Struct("3i")


@implementer(IStreamServerEndpoint)
class HybridVsockServerEndpoint:
    """Listens where the VMM of one VM connects to when its guest dials C{port}.

    C{path} is the VM's socket, which need not exist yet; its folder must.
    C{backlog} is at least 1024: a VMM connects blocking, so a full one freezes
    all vsock ports of its VM. C{mode}, C{owner} and C{group} (names or
    numbers) are set before the socket can be reached. C{peerUids}: the users
    that may connect, which is to say that may run the VMM; None for any that
    the mode lets in.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: str,
        port: int = DEFAULT_PORT,
        backlog: int = MIN_BACKLOG,
        mode: int = 0o660,
        owner: str | int | None = None,
        group: str | int | None = None,
        peerUids: Collection[int] | None = None,
    ) -> None:
        self._reactor = reactor
        self.address = HybridVsockAddress(os.path.abspath(path), port)
        self._backlog = max(backlog, MIN_BACKLOG)
        self._mode = mode
        self._owner = owner
        self._group = group
        self._peerUids = None if peerUids is None else frozenset(peerUids)
        self.inherited: Callable[[str], SocketFile | None] = lambda path: None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address.socket_path}>"

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; fails with C{CannotListenAt}, whose text is one line.

        The Deferred has fired already on return, unless another proxy is just
        starting in the same folder: it is waited for, for 5 seconds at most.
        """
        return Deferred.fromCoroutine(self._listen(protocolFactory))

    async def _listen(self, protocolFactory: IProtocolFactory) -> IListeningPort:
        made = await self._publish()
        port = HybridVsockPort(made, self.address, protocolFactory, self._peerUids, self._reactor)
        try:
            port.startListening()
        except BaseException:
            made.withdraw()
            made.socket.close()
            raise
        return port

    async def _publish(self) -> SocketFile:
        path = self.address.socket_path
        inherited = self.inherited(path)
        if inherited is not None:
            return inherited
        uid, gid = _user_id(path, self._owner), _group_id(path, self._group)
        folder = os.path.dirname(path)
        lock = FolderLock(folder)
        deadline = self._reactor.seconds() + LOCK_DEADLINE
        try:
            self._warn_of_open_folder(folder)
            while not lock.acquire():
                if self._reactor.seconds() >= deadline:
                    raise CannotListenAt(path, f"another process holds the lock of {folder}")
                await deferLater(self._reactor, LOCK_RETRY)
        except OSError as e:
            raise CannotListenAt(path, f"{folder}: {(e.strerror or str(e)).lower()}") from e
        try:
            return publish(path, backlog=self._backlog, mode=self._mode, uid=uid, gid=gid)
        finally:
            lock.release()

    def _warn_of_open_folder(self, folder: str) -> None:
        mode = os.stat(folder).st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            self._log.warn(
                "{folder} is writable by everybody: any user can put a socket of their own"
                " in the place of {path}",
                folder=folder,
                path=self.address.socket_path,
            )


class HybridVsockPort(ListeningSocketPort):
    """What listens for one VM. C{is_ours} tells whether its name still leads here."""

    alone = True

    def __init__(
        self,
        made: SocketFile,
        address: HybridVsockAddress,
        factory: IProtocolFactory,
        peerUids: frozenset[int] | None,
        reactor: Any,
    ) -> None:
        super().__init__(made.socket, factory, address, self._admit, reactor, made.withdraw)
        self.made = made
        self.is_ours = made.is_ours
        self._guest = HybridVsockAddress(address.path)
        _ = self._guest.identity  # told once, while the folder is known to be there
        self._peerUids = peerUids
        self._refusals = LogLimit()

    def abandon(self) -> None:
        """Another process listens on the same socket from now on: leave it its name."""
        self._onClosing = None

    def _admit(self, skt: socket.socket, raw: object) -> IAddress | None:
        if self._peerUids is not None:
            creds = skt.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            pid, uid, _gid = _UCRED.unpack(creds)
            if uid not in self._peerUids:
                held = self._refusals.admit(self._seconds())
                if held is not None:
                    self._log.warn(
                        "{host}: refused a connection of user {uid} (process {pid}){more}",
                        host=self._host,
                        uid=uid,
                        pid=pid,
                        more=not_logged(held),
                    )
                return None
        return self._guest


def _user_id(path: str, owner: str | int | None) -> int:
    if owner is None:
        return -1
    if isinstance(owner, int) or owner.isdecimal():
        return int(owner)
    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise CannotListenAt(path, f"there is no user {owner!r}") from None


def _group_id(path: str, group: str | int | None) -> int:
    if group is None:
        return -1
    if isinstance(group, int) or group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise CannotListenAt(path, f"there is no group {group!r}") from None
