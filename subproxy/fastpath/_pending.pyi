from subproxy.core.balancing.member import Pool
from subproxy.core.sites.site_rules import SiteRules
from subproxy.fastpath.earlier_attempts import EarlierAttempts

class PendingRequest:
    number: int
    pool: Pool
    rules: SiteRules | None
    body: bytes
    received: int
    queued: float
    earlier: EarlierAttempts | None
    streamed: bool
    stays: bool
    trace: bytes
    tunnel: bytes
    key: bytes
