# The frames of a request that another process passes on, and of its answer. See _peer_frames.pyx.
from libc.stdint cimport uint64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._response cimport Answer

cdef struct PeerRequest:
    uint64_t number
    const u8 *method
    int method_size
    const u8 *target
    int target_size
    int path_size
    const u8 *host
    int host_size
    Py_ssize_t body_size
    const u8 *rest  # the frame behind its number, to its end

cdef bint decode_request(
    const u8 *payload, const u8 *end, Py_ssize_t inline_limit, PeerRequest *request,
) noexcept nogil
cdef bytes guest_frame(const PeerRequest *request, const u8 *end, uint64_t number)
cdef Py_ssize_t answer_room(const Answer *answer) noexcept nogil
cdef u8 *back_answer(
    u8 *end, const Answer *answer, uint64_t number, bint bodiless,
) noexcept nogil
