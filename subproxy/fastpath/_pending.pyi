from subproxy.core.balancing.pool import Pool

class PendingRequest:
    number: int
    pool: Pool
    body: bytes
    stays: bool
