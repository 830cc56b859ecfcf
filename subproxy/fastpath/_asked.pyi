from subproxy.core.pool import Pool

class Asked:
    number: int
    pool: Pool
    body: bytes
    stays: bool
