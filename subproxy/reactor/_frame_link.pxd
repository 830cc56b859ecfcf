# A transport that takes frames where they lie. See _frame_link.pyx.
from subproxy.reactor._out_buffer cimport u8
from subproxy.reactor._receive cimport Receiver


cdef class FrameLink(Receiver):
    cdef bint takes_frames

    cdef int gather(self, const char *data, Py_ssize_t size) except -1
    cdef u8 *room(self, Py_ssize_t size) except NULL
    cdef int filled(self, Py_ssize_t size) except -1
    cdef int lend(self, Receiver receiver) except -1
    cdef int lent_back(self, Receiver receiver) except -1


cdef FrameLink link_of(object transport)
