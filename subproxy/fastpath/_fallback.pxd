# What of a connection the Python path takes over. See _fallback.pyx.
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._body_assembly cimport BodyAssembly
from subproxy.fastpath._asking cimport AskingClient


cdef enum Stage:
    IDLE, PARTIAL, GATHERING, QUEUED, UPLOADING, WAITING, DOWNLOADING, TUNNEL, SLOW, CLOSING, OVER


cdef class ReplaceableConnection(AskingClient):
    cdef readonly object transport
    cdef object slow
    cdef object closed_for  # a CloseReason, the first; None while none is known here
    cdef readonly long requests
    cdef public double deadline
    cdef readonly double due
    cdef readonly bint writable
    cdef readonly bint paused
    cdef unsigned char stage  # a Stage
    cdef unsigned char undelayed
    cdef unsigned char agreed  # upon HTTP/2, by a FastConnection
    cdef unsigned char prior  # HTTP/2 may begin without that
    cdef object tls  # a ClientTls; None: it has none, or not of ours
    cdef bytes asked_before  # the last host that was found to be served on it
    cdef readonly bytes rest  # bytes behind the request that is being answered; or of a partial head
    cdef object ticket  # the place in a queue of the request that waits for a guest
    cdef BodyAssembly gathering  # the request whose body is not here yet
    # Bodies over data connections, from the first one on; used again.
    cdef readonly object download
    cdef readonly object upload

    cdef bint in_scope(self, const u8 *name, Py_ssize_t size) except -1
    cdef int decline(self, const u8 *data, Py_ssize_t size) except -1
    cdef int become(self, object slow) except -1
    cdef int to_slow(self) except -1
    cdef int forget(self) except -1
    cdef int download_over(self, object download) except -1
    cdef int upload_over(self) except -1
    cdef int unexpected(self) except -1
