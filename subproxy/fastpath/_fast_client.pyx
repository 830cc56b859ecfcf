# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Who waits for what a guest says of an exchange that was begun on the compiled path: the client's side."""

from libc.stdint cimport int64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._response cimport Answer
from subproxy.reactor._stream cimport Receiver


cdef class FastClient(Receiver):
    """See above: what is false, or 0, was not for the compiled path, and nothing was done."""

    cdef int answered(self, Answer *answer) except -1:
        """The answer came."""
        raise NotImplementedError

    cdef bint end_came(self, int64_t length) except -1:
        """The guest has sent all of the body."""
        return False

    cdef bint body_came(self, const u8 *data, Py_ssize_t size) except -1:
        """Of a tunnel: the guest sends that."""
        return False

    cdef bint granted(self, int64_t amount) except -1:
        """Of a tunnel: so many bytes more may be sent to the guest."""
        return False

    cdef int hold_up(self, bint congested) except -1:
        """Of a tunnel: the guest does not read what we send, or reads again."""
        return 0

    cdef int give_up(self) except -1:
        """Move the exchange to the Python path."""
        raise NotImplementedError

    cdef bint failed(self, object error) except -1:
        """The guest has failed with C{error}, or gives the exchange up: it goes to another one."""
        return False

    cdef bint turn_came(self, object member) except -1:
        """Of a request that waits: it goes to C{member}, which has been charged with it."""
        return False
