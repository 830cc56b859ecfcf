from subproxy.core.balancing.member import Member, Pool
from subproxy.core.dispatcher import Dispatcher
from subproxy.core.http.request_rules import RequestRules
from subproxy.telemetry.counters import Counters

class RouteCache:
    def __init__(
        self,
        dispatcher: Dispatcher,
        rules: RequestRules,
        counters: Counters | None,
        lines: object = ...,
    ) -> None: ...
    def settle(self) -> None: ...
    def pick(self, pool: Pool) -> Member | None: ...
    def pick_here(self, pool: Pool, onward: bool = False) -> Member | None: ...
