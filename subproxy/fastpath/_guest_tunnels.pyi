class GuestTunnels:
    count: int
    open: dict[int, object]
