# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""A request as a frame: what the validator, C{Forwarding.stamp} and the channel make of it, in one pass.

Written from the end to the beginning, because a tnetstring begins with its length.

The same in Python: C{subproxy.core.http.forwarded}, C{subproxy.subscription.request_frame} and
C{subproxy.wire.frames} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint64_t

from subproxy.fastpath._bytes cimport (
    u8, back_bytes, back_length, back_number, back_pair, back_string,
)
from subproxy.fastpath._request_head cimport GOOD, PARTIAL_HEAD, Bounds, Field, Head, scan
from subproxy.fastpath._tables cimport SENT_FOR, SENT_VIA


cdef Py_ssize_t room(const Head *head, const Sender *sender, int id_size, Py_ssize_t body_size) noexcept nogil:
    """More bytes than the frame can have."""
    return (
        head.size + body_size + 24 * head.kept + 3 * head.host_size + 4 * sender.address_size
        + 4 * sender.scheme_size + sender.node_size + sender.via_size + sender.fields_size
        + 2 * id_size + 1024
    )


cdef inline u8 *back_list(
    u8 *o, const char *name, int name_size, const Field *sent, const u8 *value, int value_size,
) noexcept nogil:
    """A field that is a list: what was sent of it, if anything, and one element more."""
    cdef u8 *end
    cdef u8 *last
    if sent.name == NULL:
        return back_pair(o, name, name_size, value, value_size)
    o -= 1
    o[0] = c"]"
    end = o
    o -= 1
    o[0] = c","
    last = o
    o = back_bytes(o, value, value_size)
    o = back_bytes(o, b", ", 2)
    o = back_bytes(o, sent.value, sent.value_size)
    o = back_length(o, last)
    o = back_string(o, name, name_size)
    return back_length(o, end)


cdef inline u8 *back_own_fields(u8 *o, const Head *head, const Sender *sender) noexcept nogil:
    """What a client is told of that nobody has told anything of: it is itself who asks."""
    cdef u8 *inner
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
    return back_pair(o, b"X-Forwarded-For", 15, sender.address, sender.address_size)


cdef u8 *encode(
    u8 *end, const u8 *data, const Head *head, const Sender *sender, uint64_t number,
    const u8 *id, int id_size, const u8 *body, Py_ssize_t body_size,
    const u8 *token, int token_size, const u8 *tunnel, int tunnel_size,
    const u8 *ahead, int ahead_size,
) noexcept nogil:
    """Write the frame so that it ends at C{end}; return where it begins.

    With a C{token} the body comes over a data connection, and there is no C{body}. Nor is there one
    where a C{tunnel} is asked for: a protocol, as the guest spells it. C{ahead} is a token for the body
    of the response. With neither, and yet a size,
    the frame is written as far as to its body: that, and FRAME_END bytes, are elsewhere.
    """
    cdef bint apart = body == NULL and token == NULL and body_size
    cdef u8 *o = end if apart else end - 1
    cdef u8 *last
    cdef u8 *inner
    cdef u8 *digits
    cdef int i = head.kept
    cdef const Field *field
    if apart:
        o -= 1
        o[0] = c":"
        o = back_number(o, <uint64_t>body_size)
    elif token != NULL:
        o[0] = c"]"
        o -= 1
        o[0] = c"}"
        last = o
        o = back_string(o, token, token_size)
        o = back_bytes(o, b"5:token,", 8)
        o -= 1
        o[0] = c"#"
        digits = o
        o = back_number(o, <uint64_t>body_size)
        o = back_length(o, digits)
        o = back_bytes(o, b"6:length,", 9)
        o = back_length(o, last)
    elif tunnel != NULL:
        o[0] = c"]"
        o = back_bytes(o, b"0:~", 3)
    else:
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
    if sender.http2:
        o = back_bytes(o, b"7:version,1:2,", 14)
    else:
        o = back_bytes(o, b"7:version,3:1.1,", 16)
    o = back_string(o, id, id_size)
    o = back_bytes(o, b"2:id,", 5)
    if head.trailers:
        o = back_bytes(o, b"8:trailers,4:true!", 18)
    if tunnel != NULL:
        o = back_string(o, tunnel, tunnel_size)
        o = back_bytes(o, b"6:tunnel,", 9)
    if ahead != NULL:
        o = back_string(o, ahead, ahead_size)
        o = back_bytes(o, b"5:ahead,", 8)
    o = back_length(o, last)
    o -= 1
    o[0] = c"]"
    last = o
    if body_size:
        # The channel adds it, behind all that the validator has made.
        o -= 1
        o[0] = c"]"
        inner = o
        o -= 1
        o[0] = c","
        digits = o
        o = back_number(o, <uint64_t>body_size)
        o = back_length(o, digits)
        o = back_bytes(o, b"14:Content-Length,", 18)
        o = back_length(o, inner)
    o = back_pair(o, b"X-Request-Id", 12, id, id_size)
    o = back_list(o, b"Via", 3, &head.sent[SENT_VIA - SENT_FOR], sender.via, sender.via_size)
    if sender.fields != NULL:
        o = back_bytes(o, sender.fields, sender.fields_size)
    else:
        o = back_own_fields(o, head, sender)
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
    if apart:
        last = o
        o -= 1
        o[0] = c":"
        return back_number(o, <uint64_t>(end - last + body_size + FRAME_END - 1))
    return back_length(o, end - 1)


def request_frame(
    bytes data, Py_ssize_t number, bytes id, bytes address, bytes node, bytes via,
    int target=16384, int most_head=16384, int fields=100,
):
    """The scanner and the encoder alone, for tests.

    Returns the frame, the bytes of head and body, the path and the Host as received, and whether
    the connection closes; True if more may make a plain request of C{data}; None if it is not plain.
    """
    cdef Head head
    cdef Bounds bounds
    cdef Sender sender
    cdef int found
    cdef Py_ssize_t body
    cdef const u8 *begin = <const u8 *>PyBytes_AS_STRING(data)
    cdef u8 *end
    bounds.target = target
    bounds.head = most_head
    bounds.fields = fields
    found = scan(begin, len(data), &bounds, False, &head)
    if found != GOOD:
        return True if found == PARTIAL_HEAD else None
    body = head.length if head.length > 0 else 0
    if head.size + body > len(data):
        return None
    sender.address = <const u8 *>PyBytes_AS_STRING(address)
    sender.address_size = <int>len(address)
    sender.scheme = <const u8 *>b"http"
    sender.scheme_size = 4
    sender.node = <const u8 *>PyBytes_AS_STRING(node)
    sender.node_size = <int>len(node)
    sender.via = <const u8 *>PyBytes_AS_STRING(via)
    sender.via_size = <int>len(via)
    sender.fields = NULL
    sender.fields_size = 0
    sender.http2 = False
    scratch = bytearray(room(&head, &sender, <int>len(id), body))
    end = <u8 *>PyByteArray_AS_STRING(scratch) + len(scratch)
    frame = encode(
        end, begin, &head, &sender, number, <const u8 *>PyBytes_AS_STRING(id), <int>len(id),
        begin + head.size, body, NULL, 0, NULL, 0, NULL, 0,
    )
    return (
        PyBytes_FromStringAndSize(<char *>frame, end - frame),
        head.size + body,
        data[head.target - begin:head.target - begin + head.path_size],
        data[head.host - begin:head.host - begin + head.host_size],
        bool(head.close),
    )
