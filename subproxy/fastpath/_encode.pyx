# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""A request as a frame: what the gate, `Forwarding.stamp` and the channel make of it, in one pass.

Written from the end to the beginning, because a tnetstring begins with its length.
"""

from libc.stdint cimport uint64_t

from subproxy.fastpath._bytes cimport (
    u8, back_bytes, back_length, back_number, back_pair, back_string,
)
from subproxy.fastpath._scan cimport Field, Head


cdef Py_ssize_t room(const Head *head, const Sender *sender, int id_size, Py_ssize_t body_size) noexcept nogil:
    """More bytes than the frame can have."""
    return (
        head.size + body_size + 24 * head.kept + 3 * head.host_size + 4 * sender.address_size
        + 4 * sender.scheme_size + sender.node_size + sender.via_size + 2 * id_size + 1024
    )


cdef u8 *encode(
    u8 *end, const u8 *data, const Head *head, const Sender *sender, uint64_t number,
    const u8 *id, int id_size, const u8 *body, Py_ssize_t body_size,
) noexcept nogil:
    """Write the frame so that it ends at `end`; return where it begins."""
    cdef u8 *o = end - 1
    cdef u8 *last
    cdef u8 *inner
    cdef int i = head.kept
    cdef const Field *field
    o[0] = c"]"
    o = back_string(o, body, body_size)
    o -= 1
    o[0] = c"}"
    last = o
    # The keys in the order of the encoder, which writes backwards too.
    o = back_string(o, sender.address, sender.address_size)
    o = back_bytes(o, b"6:client,", 9)
    o = back_string(o, sender.scheme, sender.scheme_size)
    o = back_bytes(o, b"6:scheme,", 9)
    o = back_bytes(o, b"7:version,3:1.1,", 16)
    o = back_string(o, id, id_size)
    o = back_bytes(o, b"2:id,", 5)
    o = back_length(o, last)
    o -= 1
    o[0] = c"]"
    last = o
    o = back_pair(o, b"X-Request-Id", 12, id, id_size)
    o = back_pair(o, b"Via", 3, sender.via, sender.via_size)
    # Forwarded: for=NODE;host="HOST";proto=SCHEME
    o -= 1
    o[0] = c"]"
    inner = o
    o -= 1
    o[0] = c","
    o = back_bytes(o, sender.scheme, sender.scheme_size)
    o = back_bytes(o, b'";proto=', 8)
    o = back_bytes(o, head.host, head.host_size)
    o = back_bytes(o, b';host="', 7)
    o = back_bytes(o, sender.node, sender.node_size)
    o = back_bytes(o, b"for=", 4)
    o = back_length(o, inner - 1)
    o = back_bytes(o, b"9:Forwarded,", 12)
    o = back_length(o, inner)
    o = back_pair(o, b"X-Forwarded-Host", 16, head.host, head.host_size)
    o = back_pair(o, b"X-Forwarded-Proto", 17, sender.scheme, sender.scheme_size)
    o = back_pair(o, b"X-Forwarded-For", 15, sender.address, sender.address_size)
    while i > 0:
        i -= 1
        field = &head.field[i]
        o = back_pair(o, field.name, field.name_size, field.value, field.value_size)
    o = back_pair(o, b"Host", 4, head.host, head.host_size)
    o = back_length(o, last)
    o = back_string(o, head.target, head.target_size)
    o = back_string(o, data, head.method_size)
    o -= 1
    o[0] = c"#"
    last = o
    o = back_number(o, number)
    o = back_length(o, last)
    o = back_bytes(o, b"7:request,", 10)
    return back_length(o, end - 1)
