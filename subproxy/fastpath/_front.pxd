# The client's side of the compiled path. See _front.pyx.
from libc.stdint cimport uint64_t

from subproxy.fastpath._answer cimport Answer
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport Client, FastChannel
from subproxy.fastpath._choice cimport Chooser, Way
from subproxy.fastpath._encode cimport Sender
from subproxy.fastpath._log cimport Lines
from subproxy.fastpath._scan cimport Bounds, Field, Head
from subproxy.reactor._stream cimport Stream


cdef class FastPath


cdef class Told:
    # What guests and the log are told of a client at one address.
    cdef object peer
    cdef bytes address
    cdef bytes scheme
    cdef bytes node
    cdef bytes via
    cdef Sender sender
    cdef bint trusted
    cdef dict clients  # of a trusted peer, by what it says in X-Forwarded-For

    cdef bytes client(self, FastPath path, const Field *sent)


cdef class FastPath:
    cdef readonly object factory
    cdef object connections
    cdef object monotonic
    cdef bint real_time
    cdef readonly Chooser chooser
    cdef Lines lines
    cdef Bounds bounds
    cdef long most_requests
    cdef long most_connections
    cdef double keepalive_timeout
    cdef double look_early  # how long before an idle connection's end its last answer is looked after
    cdef double header_timeout
    cdef double response_timeout
    cdef long most_inline  # bytes of a body that is sent on from here
    cdef object next_id
    cdef bytes prefix
    cdef public bytes date
    cdef public bint draining
    cdef dict told
    cdef readonly long answered
    cdef readonly long declined_requests
    cdef readonly long declined_answers
    cdef u8 *scratch
    cdef Py_ssize_t scratch_size

    cdef double now(self) except? -1.0
    cdef u8 *room(self, Py_ssize_t size) except NULL
    cdef Told tell(self, object transport)


cdef enum Stage:
    IDLE, PARTIAL, GATHERING, WAITING, SLOW, CLOSING, OVER


cdef class FastFront(Client):
    cdef FastPath path
    cdef readonly object transport
    cdef Stream stream
    cdef object slow
    cdef int stage
    cdef readonly long requests
    cdef public double deadline
    cdef readonly double due
    cdef readonly bint writable
    cdef readonly bint paused
    cdef bint undelayed
    cdef Told told
    cdef readonly bytes rest  # bytes behind the request that is being answered; or of a partial head
    # The request whose body is not here yet:
    cdef bytes gathered  # head and body, with room for some that is to come
    cdef Py_ssize_t filled
    cdef Py_ssize_t whole
    # The request that is being answered:
    cdef readonly FastChannel channel
    cdef Way way
    cdef readonly uint64_t number
    cdef bytes data
    cdef bytes client
    cdef uint64_t id  # if the request brought none that is taken over
    cdef int id_at
    cdef int id_size
    cdef readonly double started
    cdef int head_size
    cdef int line_size
    cdef int agent_at
    cdef int agent_size
    cdef int referer_at
    cdef int referer_size
    cdef bint is_head
    cdef bint close

    cdef int take(self, const u8 *data, Py_ssize_t size) except -1
    cdef bint begin(self, const u8 *data, Py_ssize_t size, Head *head) except -1
    cdef int gather(self, const u8 *data, Py_ssize_t size, Py_ssize_t whole) except -1
    cdef int gather_more(self, const u8 *data, Py_ssize_t size) except -1
    cdef int decline(self, const u8 *data, Py_ssize_t size) except -1
    cdef int become(self, object slow) except -1
    cdef int to_slow(self) except -1
    cdef int log(self, int status, Py_ssize_t sent, double ended) except -1
    cdef int forget(self) except -1
    cdef u8 *put_id(self, u8 *o)
