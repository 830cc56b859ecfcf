# The numbers of one tunnel. See _fast_tunnel.pyx.


cdef class FastTunnel:
    cdef readonly double first_byte  # when its head was written, in monotonic seconds
    # No window is larger than MAX_CREDIT: an int is enough.
    cdef readonly int available  # bytes that may be sent to the guest
    cdef readonly int left  # bytes that the guest may send
    cdef readonly int owed  # bytes of the guest's that have not left for the client
    cdef readonly int consumed  # bytes of it that have, and were not granted anew
    cdef readonly long sent  # bytes of the client's
    cdef readonly long received  # bytes of the guest's
    # Bytes of pieces that are some of much:
    cdef readonly long much_sent
    cdef readonly long much_received

    cdef int open(self, long window, double now) except -1
    cdef bint may_send(self, Py_ssize_t size, long weighty, long most) noexcept
    cdef bint may_take(self, Py_ssize_t size, long weighty, long most) noexcept
    cdef int taken(self, Py_ssize_t size, long weighty) noexcept
    cdef long left_for_client(self, long window) noexcept
    cdef bint granted(self, long amount) noexcept
