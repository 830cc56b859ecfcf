"""A token bucket: so many in a second, and so many at once."""

from __future__ import annotations


class TokenBucket:
    """Allows C{rate} a second on average and C{burst} at once. It begins full.

    C{refused} counts what was not allowed; who logs "and so many more" sets it back to 0.
    """

    __slots__ = ("_last", "_tokens", "burst", "rate", "refused")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        if rate < 0.0 or burst < 0.0:
            raise ValueError("rate and burst cannot be negative")
        self.rate = rate
        self.burst = burst
        self.refused = 0
        self._tokens = burst
        self._last = now

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Take C{amount} tokens if they are there; tell whether they were."""
        self._fill(now)
        if self._tokens < amount:
            self.refused += 1
            return False
        self._tokens -= amount
        return True

    def spend(self, now: float, amount: float = 1.0) -> float:
        """
        Take C{amount} tokens, there or not; return how many are left: fewer than none is
        debt.
        """
        self._fill(now)
        self._tokens -= amount
        return self._tokens

    def give(self, amount: float = 1.0) -> None:
        """Give back C{amount} tokens that were taken."""
        self._tokens = min(self.burst, self._tokens + amount)

    def wait(self, now: float, amount: float = 1.0) -> float:
        """Return in how many seconds C{amount} tokens will be there; infinity if never."""
        self._fill(now)
        missing = amount - self._tokens
        if missing <= 0.0:
            return 0.0
        if amount > self.burst or self.rate <= 0.0:
            return float("inf")
        return missing / self.rate

    def _fill(self, now: float) -> None:
        if now > self._last:
            self._tokens = min(self.burst, self._tokens + (now - self._last) * self.rate)
            self._last = now
