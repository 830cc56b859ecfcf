# The client's side of the compiled path where clients speak HTTP/2. See _http2_connection.pyx.
from libc.stdint cimport int64_t, uint32_t

from subproxy.fastpath._asking cimport AskingClient
from subproxy.fastpath._body_assembly cimport BodyAssembly
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._client_info cimport ClientInfo
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._fallback cimport ReplaceableConnection
from subproxy.fastpath._hpack cimport FastHpackDecoder
from subproxy.fastpath._http2_counts cimport FastHttp2Counts
from subproxy.fastpath._request_head cimport Head
from subproxy.fastpath._turn_end cimport TurnEnd
from subproxy.reactor._stream cimport Stream


cdef class FastHttp2Connection:
    cdef FastContext path
    cdef object transport
    cdef Stream stream
    cdef TurnEnd turn_end
    cdef FastHpackDecoder decoder
    cdef readonly FastHttp2Counts counts
    cdef ClientInfo told
    cdef ReplaceableConnection before  # knows which hosts may be asked for; None: any
    cdef object tls  # a ClientTls; None: it has none, or not of ours
    cdef readonly object shell
    cdef dict served  # the shell's
    cdef object machine
    cdef dict streams
    # DATA of a stream that Python has, frames of one turn that it is given as one:
    cdef list pieces  # None for none
    cdef Py_ssize_t pieces_size
    cdef uint32_t pieces_number
    cdef int pieces_flags
    cdef list begun_bodies  # of this read, whose lengths are not known; None for none
    cdef u8 *held
    cdef Py_ssize_t held_size
    cdef Py_ssize_t held_room
    cdef u8 *out
    cdef Py_ssize_t out_size
    cdef Py_ssize_t out_room
    cdef Py_ssize_t list_size
    cdef int most_fields
    cdef Py_ssize_t peer_list_size
    cdef long seen  # requests at the last look
    cdef bint begun
    cdef bint greeted
    cdef bint block  # fields are not whole
    cdef bint turned  # Python has dealt with something of this read
    cdef bint called  # the end of the turn will be told
    cdef bint going
    cdef readonly bint over
    cdef public bint writable

    cdef int feed(self, const u8 *data, Py_ssize_t size) except -1
    cdef int hold(self, const u8 *data, Py_ssize_t size) except -1
    cdef Py_ssize_t walk(self, const u8 *data, Py_ssize_t size) except -1
    cdef bint fields(self, const u8 *p, uint32_t size, int flags, uint32_t number) except -1
    cdef bint may_gather(self, const Head *head) except -1
    cdef bint data(self, const u8 *p, uint32_t size, int flags, uint32_t number) except -1
    cdef int put_window(self, uint32_t more) except -1
    cdef bint collect(self, const u8 *p, uint32_t size, int flags, uint32_t number) except -1
    cdef int pass_on(self) except -1
    cdef int end_of_read(self) except -1
    cdef bint window(self, const u8 *p, uint32_t number) except -1
    cdef int to_python(self, int kind, int flags, uint32_t number, const u8 *p, uint32_t size) except -1
    cdef int turn(self) except -1
    cdef u8 *reserve(self, Py_ssize_t size) except NULL
    cdef int soon(self) except -1
    cdef int flush(self) except -1


cdef class FastHttp2Stream(AskingClient):
    cdef FastHttp2Connection front
    cdef readonly long number
    cdef double late  # when it has waited for too long
    cdef readonly int64_t room  # what the client has opened its window by

    # Of a request whose body is gathered:
    cdef BodyAssembly gathering
    cdef long cost  # bytes that its head takes, as long as it is here
    cdef Py_ssize_t head_size  # of the text in it
    cdef Py_ssize_t came  # bytes of the body, of so many:
    cdef int64_t length  # -1 if that is not known
    cdef readonly bint whole

    cdef bint gather(self, const u8 *data, Py_ssize_t size, const Head *head) except -1
    cdef bint begin_gathered(self) except -1
    cdef bint begin(self, const u8 *data, Py_ssize_t size, Head *head) except -1

cdef bint begins_http2(const u8 *data, Py_ssize_t size) noexcept nogil
cdef FastHttp2Connection take_over(
    ReplaceableConnection before, FastContext path, object transport, ClientInfo told
)
