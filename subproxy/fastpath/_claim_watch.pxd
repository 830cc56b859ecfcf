# Idle data connections, and who may claim one. See _claim_watch.pyx.
from libc.stdint cimport uint64_t

from subproxy.relay._flow cimport FlowUser, SpliceScheduler, Watcher


cdef class BodyClaim(FlowUser):
    # What a token stands for: subproxy.subscription.bodies.tokens.PendingClaim.
    cdef public bytes token
    cdef public object identity
    cdef public object exchange
    cdef public double due
    cdef public object timer
    cdef public object transfer  # of the Python path, which has it by now; or None

    cdef int taken(self, ClaimWatch watch) except -1
    cdef object to_python(self)


cdef class ClaimTable:
    # The tokens that are out, as compiled code knows them: subproxy.subscription.bodies.tokens.Tokens.
    cdef object tokens
    cdef object seconds
    cdef bytes prefix
    cdef dict promises
    cdef dict lapsing
    cdef object spent
    cdef object counts
    cdef object ends  # a LateEnds
    cdef list unsaid  # its `waiting`
    cdef bytes randomness  # of which what is behind `spare` has become tokens
    cdef Py_ssize_t spare

    cdef int issue(self, BodyClaim claim, bint lapses=*) except -1
    cdef int lapse(self, BodyClaim claim) except -1
    cdef int void(self, BodyClaim claim) except -1
    cdef int use(self, BodyClaim claim) except -1
    cdef int spend(self, BodyClaim claim, str how) except -1


cdef class ClaimWatch(Watcher):
    cdef object connection  # a FastDataConnection; None when it is closed
    cdef readonly int fd
    cdef SpliceScheduler rounds
    cdef ClaimTable claims
    cdef object identity
    cdef double patience  # seconds for which it may be idle
    cdef BodyClaim body  # whose body is carried
    cdef object transfer  # of the Python path, where that has it since the connection was closed
    cdef bint watching
    cdef uint64_t untold  # whose end is still to be told; 0: nobody's
    cdef int kind, buffer  # of its socket, as the last Flow into it had them
    cdef Py_ssize_t expected  # bytes of a `connect`, as the last one was; 0 before the first

    cdef int carry(self, BodyClaim body, object state, object left) except -1
    cdef int headed(self, object left) except -1
    cdef int carried(self) except -1
    cdef int idle(self) except -1
    cdef int odd(self, bytes came) except -1
    cdef bint say(self, const void *data, Py_ssize_t size) noexcept
