from subproxy.relay.flow import Flow
from subproxy.relay.pipes import Pipe
from subproxy.subscription.bodies.data_connection import DataConnection
from subproxy.subscription.bodies.response_transfer import ResponseTransfer

class FastDownload:
    head: bytes
    expected: bool
    length: int
    moved: int
    status: int
    first_byte: float
    stays: bool
    acknowledged: int | None
    ended: bool
    stalled: bool
    def part(self) -> tuple[DataConnection | None, Flow | None, Pipe | None]: ...
    def given_to(self, transfer: ResponseTransfer) -> None: ...
