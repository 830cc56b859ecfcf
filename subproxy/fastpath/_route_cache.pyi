from subproxy.core.balancing.member import Member, Pool
from subproxy.core.dispatcher import Dispatcher
from subproxy.frontend.http1.request_validator import RequestValidator
from subproxy.telemetry.counters import Counters

class RouteCache:
    def __init__(
        self,
        dispatcher: Dispatcher,
        validator: RequestValidator,
        counters: Counters | None,
        lines: object = ...,
    ) -> None: ...
    def settle(self) -> None: ...
    def pick(self, pool: Pool) -> Member | None: ...
