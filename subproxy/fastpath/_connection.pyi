from typing import Any

from subproxy.core.balancing.member import Member
from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.forwarded import Peer
from subproxy.core.http.trace_context import TraceContext
from subproxy.fastpath._channel import FastChannel
from subproxy.fastpath._download import FastDownload
from subproxy.fastpath._fast_tunnel import FastTunnel
from subproxy.fastpath._pending import PendingRequest
from subproxy.frontend.factory import Http1Factory
from subproxy.frontend.limits import HttpLimits
from subproxy.telemetry.access_log import AccessLog
from subproxy.telemetry.close_reason import CloseReason
from subproxy.telemetry.counters import Counters

class FastPath:
    factory: Http1Factory
    date: bytes
    draining: bool
    http2: bool
    answered: int
    declined_requests: int
    declined_answers: int
    tunnels: int
    tunnelled: int
    streamed: int
    def __init__(
        self,
        factory: Http1Factory,
        log: AccessLog | None = ...,
        counters: Counters | None = ...,
    ) -> None: ...
    def front(self, http2: bool = ..., prior: bool = ...) -> FastConnection: ...
    def forget_clients(self) -> None: ...
    def set_limits(self, limits: HttpLimits) -> None: ...
    def set_traces(self, traces: TraceContext | None) -> None: ...
    def stats(self) -> dict[str, int]: ...

class FastConnection:
    factory: Http1Factory
    close_reason: CloseReason | None
    transport: Any
    deadline: float
    due: float
    requests: int
    writable: bool
    paused: bool
    rest: bytes | None
    asked: PendingRequest
    channel: FastChannel
    started: float
    peer: Peer | None
    member: Member
    download: FastDownload
    tunnel: FastTunnel
    frame: bytes
    busy: bool
    def tell(self, host: str | None, secure: bool, tls: ClientTls | None = None) -> None: ...
    def close_if_idle(self) -> None: ...
    def abort(self) -> None: ...
    def deadline_passed(self, now: float) -> None: ...
    def take_back(self, requests: int, due: float, deadline: float) -> None: ...
    def makeConnection(self, transport: Any) -> None: ...
    def dataReceived(self, data: bytes) -> None: ...
    def readConnectionLost(self) -> None: ...
    def writeConnectionLost(self) -> None: ...
    def connectionLost(self, reason: Any) -> None: ...
