# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""The numbers of one tunnel in frames: the credit of each half, and what went through it. No I/O.

All of it is what objects of the Python path would say of the same tunnel, which take over these numbers when
anything happens that is not plain. A tunnel that is idle costs little more than this.

The same in Python: C{subproxy.wire.credit}, C{subproxy.frontend.client_tunnel} and
C{subproxy.subscription.tunnel_request} (see C{subproxy.fastpath.twins}).
"""

from subproxy.wire.limits import MAX_CREDIT as _most_credit

cdef long MAX_CREDIT = _most_credit


cdef class FastTunnel:
    """See above. Both halves are open: the end of either is for Python."""

    cdef int open(self, long window, double now) except -1:
        """It begins: the guest may send C{window} bytes, the client none."""
        self.left = <int>window
        self.first_byte = now
        return 0

    cdef bint may_send(self, Py_ssize_t size, long weighty, long most) noexcept:
        """Whether C{size} bytes of the client's may go to the guest in a frame; then they do.

        Not if they would make the tunnel one for a data connection: then Python offers that.
        """
        if size > self.available:
            return False
        if size >= weighty:
            if self.much_sent + size >= most:
                return False
            self.much_sent += size
        self.available -= <int>size
        self.sent += size
        return True

    cdef bint may_take(self, Py_ssize_t size, long weighty, long most) noexcept:
        """Whether C{size} bytes of the guest's may be taken, likewise; they are not counted yet."""
        return size <= self.left and (size < weighty or self.much_received + size < most)

    cdef int taken(self, Py_ssize_t size, long weighty) noexcept:
        """They are about to be written to the client."""
        if size >= weighty:
            self.much_received += size
        self.left -= <int>size
        self.received += size
        self.owed += <int>size
        return 0

    cdef long left_for_client(self, long window) noexcept:
        """All that is owed has left for the client; return the credit to grant the guest now, or 0."""
        cdef long grant
        self.consumed += self.owed
        self.owed = 0
        if 2 * <long>self.consumed < window:
            return 0
        grant = self.consumed
        self.consumed = 0
        self.left += <int>grant
        return grant

    cdef bint granted(self, long amount) noexcept:
        """The guest takes so many bytes more; false if that is more than a window can hold."""
        if amount > MAX_CREDIT or <long>self.available + amount > MAX_CREDIT:
            return False
        self.available += <int>amount
        return True
