# cython: language_level=3, binding=False
"""The end of a turn of the reactor: what many have written in it goes out in one write."""

from subproxy.reactor._engine cimport Handle
from subproxy.reactor._stream cimport Stream


cdef class TurnEnd(Handle):
    """Tells C{gatherer}, once it is in the engine's list, before the reactor sleeps."""

    cdef int settle(self) except -1:
        self.queued = False
        if self.gatherer is not None:
            self.gatherer.turn_ended()
        return 0


cdef TurnEnd turn_end(object transport, object gatherer):
    """What tells C{gatherer}, who writes to C{transport}; None if no engine of ours is below it."""
    cdef TurnEnd found
    lower = transport
    while lower is not None and not isinstance(lower, Stream):
        lower = getattr(lower, "transport", None)
    if lower is None or (<Stream>lower).engine is None:
        return None
    found = TurnEnd.__new__(TurnEnd)
    found.gatherer = gatherer
    found.engine = (<Stream>lower).engine
    return found
