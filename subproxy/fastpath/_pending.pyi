from subproxy.core.balancing.member import Pool

class PendingRequest:
    number: int
    pool: Pool
    body: bytes
    stays: bool
