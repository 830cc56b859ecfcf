from subproxy.fastpath._guest_tunnels import GuestTunnels

class FastExchanges:
    count: int
    tunnels: GuestTunnels
    def surrender(self, most: int | None = None) -> list[int]: ...
    def hold_up(self, congested: bool) -> None: ...
