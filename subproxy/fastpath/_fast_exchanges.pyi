from collections.abc import Callable

from subproxy.errors import GuestFailure
from subproxy.fastpath._guest_tunnels import GuestTunnels

class FastExchanges:
    count: int
    tunnels: GuestTunnels
    def move(self, error: GuestFailure, timer: Callable[[], float], until: float) -> bool: ...
    def surrender(self, most: int | None = None) -> list[int]: ...
    def hold_up(self, congested: bool) -> None: ...
