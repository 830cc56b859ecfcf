# The client's side of the compiled path where clients speak HTTP/2. See _http2_connection.pyx.
from libc.stdint cimport uint32_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._client_info cimport ClientInfo
from subproxy.fastpath._collected_data cimport CollectedData
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._fallback cimport ReplaceableConnection
from subproxy.fastpath._hpack cimport FastHpackDecoder
from subproxy.fastpath._http2_output cimport FastHttp2Output
from subproxy.fastpath._request_head cimport Head


cdef class FastHttp2Connection(FastHttp2Output):
    cdef FastHpackDecoder decoder
    cdef ClientInfo told
    cdef ReplaceableConnection before  # knows which hosts may be asked for; None: any
    cdef dict served  # the shell's
    cdef object machine
    # DATA of a stream that Python has, frames of one turn that it is given as one:
    cdef CollectedData collected  # None for none
    cdef u8 *held
    cdef Py_ssize_t held_size
    cdef Py_ssize_t held_room
    cdef Py_ssize_t list_size
    cdef int most_fields
    cdef long seen  # requests at the last look
    cdef bint begun
    cdef bint greeted
    cdef bint block  # fields are not whole
    cdef bint turned  # Python has dealt with something of this read
    cdef bint going
    cdef int spent  # what frames of this read have cost Python
    cdef bint heavy  # it had its share of the last turn: what it is read next waits in line, too
    cdef bint called_up  # it goes on where it rested, within the budget of whoever has
    cdef bint resting  # it has had its share of the turn, and goes on in a later one

    cdef int feed(self, const u8 *data, Py_ssize_t size) except -1
    cdef int hold(self, const u8 *data, Py_ssize_t size) except -1
    cdef Py_ssize_t walk(self, const u8 *data, Py_ssize_t size) except -1
    cdef bint fields(self, const u8 *p, uint32_t size, int flags, uint32_t number) except -1
    cdef bint crowded(self) except -1
    cdef bint may_gather(self, const Head *head) except -1
    cdef bint data(
        self, const u8 *p, uint32_t size, int flags, uint32_t number, Py_ssize_t rest
    ) except -1
    cdef bint collect(
        self, const u8 *p, uint32_t size, int flags, uint32_t number, Py_ssize_t rest
    ) except -1
    cdef int pass_on(self) except -1
    cdef int end_of_read(self) except -1
    cdef bint window(self, const u8 *p, uint32_t number) except -1
    cdef int to_python(self, int kind, int flags, uint32_t number, const u8 *p, uint32_t size) except -1
    cdef int turn(self) except -1


cdef bint begins_http2(const u8 *data, Py_ssize_t size) noexcept nogil
cdef FastHttp2Connection take_over(
    ReplaceableConnection before, FastContext path, object transport, ClientInfo told
)
