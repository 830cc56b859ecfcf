from typing import Any

from subproxy.frontend.peer._host_context import HostContext
from subproxy.frontend.peer.host_gate import HostGate
from subproxy.frontend.tls.states import TlsState

class CompiledHostTransport:
    state: TlsState
    transport: Any
    def __init__(
        self, context: HostContext, inner: HostGate, clock: Any, called: bytes | None
    ) -> None: ...
    def makeConnection(self, transport: Any) -> None: ...
    def dataReceived(self, data: bytes) -> None: ...
    def connectionLost(self, reason: Any = ...) -> None: ...
