# cython: language_level=3, binding=False
"""The numbers of one connection of HTTP/2, which both paths change at each request.

When collected bodies hold too much of the window, C{subproxy.frontend.http2.window} knows, too.
"""

from subproxy.frontend.http2.bounds import CONNECTION_WINDOW
from subproxy.frontend.http2.counts import FIRST_WINDOW

cdef long HALF_A_WINDOW = CONNECTION_WINDOW // 2


cdef class FastHttp2Counts:
    """See C{subproxy.frontend.http2.counts.IHttp2Counts}."""

    def __cinit__(self):
        self.room = self.first_room = FIRST_WINDOW
        self.left = CONNECTION_WINDOW

    cdef bint holds_much(self) noexcept:
        """See C{subproxy.frontend.http2.window.held_beyond}."""
        return self.left + self.taken < HALF_A_WINDOW
