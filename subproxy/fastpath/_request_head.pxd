# A request head, taken apart where it lies. See _request_head.pyx.
from libc.stdint cimport int64_t

from subproxy.fastpath._bytes cimport u8

cdef enum:
    MOST_FIELDS = 128

cdef enum Scanned:
    GOOD, PARTIAL_HEAD, NOT_PLAIN

cdef struct Field:
    const u8 *name
    const u8 *value
    int name_size
    int value_size

cdef enum:
    SENT_KINDS = 7  # SENT_FOR to SENT_ID
    KEY_SIZE = 24  # bytes: 16 in base64

cdef struct Bounds:
    # What the operator allows, as far as the compiled path goes along.
    int target
    int head
    int fields

cdef struct Head:
    const u8 *target
    const u8 *host
    const u8 *agent
    const u8 *referer
    int method_size
    int target_size
    int path_size
    int line_size
    int size
    int host_size
    int agent_size
    int referer_size
    int fields
    int kept
    bint close
    bint trailers  # the client takes them
    bint websocket  # it asks for one, as RFC 6455 section 4.2.1 has it
    const u8 *key  # of that handshake: KEY_SIZE bytes
    int64_t length
    # What a trusted peer said of the client, by kind less SENT_FOR; no name where it said nothing.
    Field sent[SENT_KINDS]
    Field field[MOST_FIELDS]

cdef int scan(
    const u8 *data, Py_ssize_t size, const Bounds *bounds, bint trusted, Head *head,
) noexcept nogil
