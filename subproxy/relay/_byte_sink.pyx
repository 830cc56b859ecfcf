# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""Where bytes go, for compiled code: the base classes of C{ByteSink} and of who waits for one.

What stands behind a sink is the business of the
room that has it: C{subproxy.fastpath._client_sink} for a plain connection; a stream of HTTP/2 and a
connection under TLS have theirs beside their protocols.

The rules, for every implementation:

 - Nothing here calls back into its caller: C{sink_has_room} and C{sink_closed} come later, from the
   reactor or from whatever made the room, never from within C{write} or C{wait_for_room}.
 - All bytes that were written go out in order, and before those that are written later by whatever
   way, C{descriptor} included.
 - When the sink closes, its waiter is told C{sink_closed}, once, and is forgotten. Before the sink's
   descriptor is closed: who splices into that has stopped by then.
"""


cdef class RoomWaiter:
    """Who is told when a sink that had no room has some."""

    cdef int sink_has_room(self) except -1:
        """There is room again: told once for each C{wait_for_room}."""
        raise NotImplementedError

    cdef int sink_closed(self) except -1:
        """The sink takes no more, ever. Nothing is told after that."""
        raise NotImplementedError


cdef class ByteSink:
    """One direction of one connection, or of one stream of a connection."""

    cdef Py_ssize_t room(self) except? -1:
        """
        How many bytes it takes now without holding more than it should.

        That is what the transport's buffer leaves, or the credit of an HTTP/2 stream and of its
        connection. 0: none for now; below zero: none, ever.
        """
        raise NotImplementedError

    cdef int write(self, const char *data, Py_ssize_t size, bint more) except -1:
        """
        Take all C{size} bytes, which are copied if they don't leave at once.

        More than C{room} is allowed, and is held: for a head, or for the rest of something. A sink
        that has closed drops them.

        @param more: more follows at once, so a packet that is not full may wait for that.
        """
        raise NotImplementedError

    cdef int wait_for_room(self, RoomWaiter waiter) except -1:
        """
        Tell C{waiter}, once, when there is room again; None: nobody waits any more.

        Where there is a descriptor, that is when all that was written has left. One waits at a time.
        """
        raise NotImplementedError

    cdef int descriptor(self) except? -2:
        """
        The descriptor that its bytes may be spliced into, non-blocking; it stays the sink's own.

        -1: there is none now, because something that was written has not left, or never, because
        what goes into the socket is not what is written here (TLS, HTTP/2): then bytes are copied,
        by C{write}.
        """
        raise NotImplementedError
