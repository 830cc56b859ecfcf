"""See _ring_turn.pyx."""

from subproxy.reactor._ring import Ring

class RingLoop(Ring):
    """A ring that is waited for."""

    spin: float
