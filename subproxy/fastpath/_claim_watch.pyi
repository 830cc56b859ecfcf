from twisted.internet.interfaces import IReactorTime

from subproxy.relay.pump import Pump
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.bodies.tokens import Tokens

class ClaimWatch:
    fd: int
    def __init__(
        self,
        connection: DataConnection,
        pump: Pump,
        tokens: Tokens[DataConnection],
        clock: IReactorTime,
        patience: float,
        fd: int,
    ) -> None: ...
    def start(self) -> None: ...
    def close(self) -> None: ...
    def send(self, data: bytes) -> bool: ...
    def connectionGone(self) -> None: ...
    def writable(self) -> None: ...
