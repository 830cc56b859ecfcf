# A request as a frame. See _request_frame.pyx.
from libc.stdint cimport uint64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._request_head cimport Head

cdef struct Sender:
    # What is told of the client: see subproxy.core.http.forwarded. It is who asked first, or our peer.
    const u8 *address
    int address_size
    const u8 *scheme
    int scheme_size
    const u8 *node
    int node_size
    const u8 *via
    int via_size
    # X-Forwarded-For to Forwarded, as a frame has them, where the peer is a trusted proxy; else NULL.
    const u8 *fields
    int fields_size
    bint http2  # what its connection speaks

cdef enum:
    FRAME_END = 2  # bytes of a frame behind the body that it ends with: ",]"

cdef u8 *encode(
    u8 *end, const u8 *data, const Head *head, const Sender *sender, uint64_t number,
    const u8 *id, int id_size, const u8 *body, Py_ssize_t body_size,
    const u8 *token, int token_size, const u8 *tunnel, int tunnel_size,
    const u8 *ahead, int ahead_size,
) noexcept nogil

cdef Py_ssize_t room(const Head *head, const Sender *sender, int id_size, Py_ssize_t body_size) noexcept nogil
