# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""What one connection of HTTP/2 writes, on the compiled path, and what its streams know of it.

What its streams and the C{FastHttp2Protocol} behind it write in a turn of the reactor is gathered,
and written at once at the end of the turn.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._http2_response cimport FRAME_HEAD, put_frame_head
from subproxy.reactor._out_buffer cimport reserve_out, take_out
from subproxy.reactor._engine cimport enqueue

cdef enum:
    WINDOW_UPDATE = 8
    KEPT = 32768  # bytes of room that are kept from one turn to the next


cdef class FastHttp2Output:
    """The writing side. A subclass has C{turn_ended}, which is called at the end of a turn that was
    asked for."""

    def __dealloc__(self):
        free(self.out.data)

    # What the shell calls: see C{subproxy.fastpath.interfaces.FrontOfHttp2}.

    def put(self, list pieces):
        cdef bytes data
        cdef Py_ssize_t size = sum(map(len, pieces))
        if size > KEPT and self.transport is not None:
            self.flush()
            self.transport.writeSequence(pieces)  # which gathers them as they are
            return
        for data in pieces:
            size = PyBytes_GET_SIZE(data)
            memcpy(self.reserve(size), PyBytes_AS_STRING(data), size)
            self.out.size += size
        self.soon()

    def call_turn_end(self):
        self.tells = True
        self.soon()

    def flush_now(self):
        self.flush()

    # Bytes go.

    cdef u8 *reserve(self, Py_ssize_t size) except NULL:
        return reserve_out(&self.out, size, 4096)

    cdef int soon(self) except -1:
        if self.called or self.over:
            return 0
        self.called = True
        if self.turn_end is not None:
            enqueue(self.turn_end)
        else:
            self.path.factory.context.clock.callLater(0, self.turn_ended)
        return 0

    cdef int flush(self) except -1:
        cdef bytes data
        if self.out.size and self.transport is not None:
            data = take_out(&self.out, KEPT)
            if self.stream is not None:
                self.stream.cwrite(data)
            else:
                self.transport.write(data)
        return 0
    cdef int put_window(self, uint32_t more) except -1:
        """Open the window of the connection by C{more} bytes."""
        cdef u8 *o = put_frame_head(self.reserve(FRAME_HEAD + 4), 4, WINDOW_UPDATE, 0, 0)
        o[0] = more >> 24
        o[1] = more >> 16 & 255
        o[2] = more >> 8 & 255
        o[3] = more & 255
        self.out.size += FRAME_HEAD + 4
        return self.soon()
