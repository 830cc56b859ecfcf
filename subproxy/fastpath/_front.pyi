from typing import Any

from subproxy.admin.counters import Counters
from subproxy.core.forwarded import Peer
from subproxy.core.member import Member
from subproxy.fastpath._asked import Asked
from subproxy.fastpath._channel import FastChannel
from subproxy.frontend.access_log import AccessLog
from subproxy.frontend.factory import Http1Factory
from subproxy.subscription.protocol import SubscriptionProtocol

class FastPath:
    factory: Http1Factory
    date: bytes
    draining: bool
    answered: int
    declined_requests: int
    declined_answers: int
    def __init__(
        self,
        factory: Http1Factory,
        log: AccessLog | None = ...,
        counters: Counters | None = ...,
    ) -> None: ...
    def front(self) -> FastFront: ...
    def channel(self, protocol: SubscriptionProtocol) -> FastChannel: ...
    def stats(self) -> dict[str, int]: ...

class FastFront:
    factory: Http1Factory
    transport: Any
    deadline: float
    due: float
    requests: int
    writable: bool
    paused: bool
    rest: bytes | None
    asked: Asked
    channel: FastChannel
    started: float
    peer: Peer | None
    member: Member
    frame: bytes
    busy: bool
    def tell(self, host: str | None, secure: bool) -> None: ...
    def closeIfIdle(self) -> None: ...
    def abort(self) -> None: ...
    def deadlinePassed(self, now: float) -> None: ...
    def takeBack(self, requests: int, due: float, deadline: float) -> None: ...
    def makeConnection(self, transport: Any) -> None: ...
    def dataReceived(self, data: bytes) -> None: ...
    def readConnectionLost(self) -> None: ...
    def writeConnectionLost(self) -> None: ...
    def connectionLost(self, reason: Any) -> None: ...
