from collections.abc import Callable

from subproxy.fastpath._connection import FastPath
from subproxy.frontend.peer.protocol import PeerProtocol

class FastPeer:
    heard: float
    awaited: bool
    def __init__(
        self,
        protocol: PeerProtocol,
        path: FastPath,
        seconds: Callable[[], float] | None = None,
    ) -> None: ...
    def __len__(self) -> int: ...
    def dataReceived(self, data: bytes) -> None: ...
    def surrender(self) -> None: ...
    def write(self) -> None: ...
