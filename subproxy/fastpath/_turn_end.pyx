# cython: language_level=3, binding=False
"""The end of a turn of the ring: what many have written in it goes out in one write."""

from subproxy.reactor._ring cimport Handle


cdef class TurnEnd(Handle):
    """Tells C{gatherer}, once it is in the ring's list, before the reactor sleeps."""

    cdef int settle(self) except -1:
        self.queued = False
        if self.gatherer is not None:
            self.gatherer.turn_ended()
        return 0
