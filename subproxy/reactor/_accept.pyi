"""See _accept.pyx."""

from typing import Any

from twisted.internet.address import IPv4Address

from subproxy.reactor._engine import Engine, Handle
from subproxy.reactor._stream import Stream

class AcceptedStream(Stream):
    """What the compiled way fills in of a server's transport."""

    server: Any
    peer: Any
    host: Any
    sessionno: int
    def adopt(
        self, reactor: Any, socket: Any, protocol: Any, peer: Any, server: Any, sessionno: int
    ) -> None: ...

class Acceptor(Handle):
    """The accepting of one port."""

    wanted: bool
    def __init__(
        self, engine: Engine, port: Any, fd: int, transport: type[AcceptedStream] | None
    ) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def retire(self) -> None: ...
    def close(self) -> None: ...

def peer_address(fd: int) -> IPv4Address | None: ...
def host_address(fd: int) -> IPv4Address | None: ...
