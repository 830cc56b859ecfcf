# Where bytes go, as whoever has a body for it sees it: one interface for compiled code.
#
# A plain connection, a stream of HTTP/2 and a connection under TLS differ in what they do with bytes
# and in how many they take. Who moves a body (subproxy.relay, subproxy.fastpath) knows only this. See
# _byte_sink.pyx for the rules.


cdef class RoomWaiter:
    # Who is told when a sink that had no room has some.
    cdef int sink_has_room(self) except -1
    cdef int sink_closed(self) except -1


cdef class ByteSink:
    cdef Py_ssize_t room(self) except? -1
    cdef int write(self, const char *data, Py_ssize_t size, bint more) except -1
    cdef int wait_for_room(self, RoomWaiter waiter) except -1
    cdef int descriptor(self) except? -2
