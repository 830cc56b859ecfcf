# cython: language_level=3, binding=False
"""What stands above a socket, and takes frames of a compiled protocol where they lie.

A compiled protocol knows this alone of the connection with another host: what speaks TLS there is
loaded where there are hosts.
"""


cdef class FrameLink(Receiver):
    """See above. Who takes no frames has none of these."""

    cdef int gather(self, const char *data, Py_ssize_t size) except -1:
        """Send these bytes, at the end of the turn."""
        raise NotImplementedError

    cdef u8 *room(self, Py_ssize_t size) except NULL:
        """Where so many bytes can be put behind what was gathered; C{filled} says that they are."""
        raise NotImplementedError

    cdef int filled(self, Py_ssize_t size) except -1:
        """So many bytes of the room are to be sent."""
        raise NotImplementedError

    cdef int lend(self, Receiver receiver) except -1:
        """What comes is C{receiver}'s from now on, where it lies."""
        raise NotImplementedError

    cdef int lent_back(self, Receiver receiver) except -1:
        """It is not any more, if it was."""
        raise NotImplementedError


cdef FrameLink link_of(object transport):
    """C{transport}, if it takes frames; else None."""
    if isinstance(transport, FrameLink) and (<FrameLink>transport).takes_frames:
        return <FrameLink>transport
    return None
