from subproxy.admin.counters import Counters
from subproxy.core.dispatcher import Dispatcher
from subproxy.core.member import Member
from subproxy.core.pool import Pool
from subproxy.frontend.gate import Gate

class Chooser:
    def __init__(self, dispatcher: Dispatcher, gate: Gate, counters: Counters | None) -> None: ...
    def settle(self) -> None: ...
    def pick(self, pool: Pool) -> Member | None: ...
