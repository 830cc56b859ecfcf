# A request as a frame. See _encode.pyx.
from libc.stdint cimport uint64_t

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._scan cimport Head

cdef struct Sender:
    # What is told of the client: see subproxy.core.forwarded.
    const u8 *address
    int address_size
    const u8 *scheme
    int scheme_size
    const u8 *node
    int node_size
    const u8 *via
    int via_size

cdef u8 *encode(
    u8 *end, const u8 *data, const Head *head, const Sender *sender, uint64_t number,
    const u8 *id, int id_size, const u8 *client, Py_ssize_t client_size,
    const u8 *body, Py_ssize_t body_size,
) noexcept nogil

cdef Py_ssize_t room(const Head *head, const Sender *sender, int id_size, Py_ssize_t body_size) noexcept nogil
