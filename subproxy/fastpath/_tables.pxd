# Tables of C, filled once from tables.py. See _tables.pyx.
from libc.string cimport memcmp

from subproxy.fastpath._bytes cimport same_name, u8

cdef enum:
    MOST_NAMES = 64
    BUCKETS = 256

cdef enum Kind:
    KEEP, DROP, ODD, HOST, LENGTH, CONNECTION, AGENT, REFERER, DATE, UPGRADE, TE
    WEBSOCKET_KEY, WEBSOCKET_VERSION
    CLAIMED, SENT_FOR, SENT_PROTO, SENT_HOST, SENT_PORT, SENT_FORWARDED, SENT_VIA, SENT_ID
    WEBSOCKET_ACCEPT

cdef enum Class:
    IS_TOKEN = 1
    IS_TARGET = 2
    IS_PLAIN = 4
    IS_UNDERSCORE = 8
    IS_VALUE = 16
    IS_ID = 32

cdef struct Name:
    int size
    int kind
    int next  # in the same bucket, or -1
    u8 text[32]

cdef struct Names:
    int count
    short bucket[BUCKETS]
    Name name[MOST_NAMES]

cdef struct Tables:
    u8 classes[256]
    u8 lower[256]
    Names request
    Names response
    Names methods

cdef const Tables *tables()

cdef inline int bucket_of(const u8 *text, int size) noexcept nogil:
    return (size * 33 + (text[0] | 0x20) * 5 + (text[size - 1] | 0x20)) & (BUCKETS - 1)


cdef inline int lookup(const Names *names, const u8 *text, int size) noexcept nogil:
    """The kind of a field by its name, a token, whose case does not matter; KEEP if it is not in the table."""
    cdef int at = names.bucket[bucket_of(text, size)]
    cdef const Name *name
    while at >= 0:
        name = &names.name[at]
        if name.size == size and same_name(text, name.text, size):
            return name.kind
        at = name.next
    return KEEP


cdef inline bint is_method(const Names *names, const u8 *text, int size) noexcept nogil:
    """Whether C{text}, whose case matters, is a method that is known."""
    cdef int at = names.bucket[bucket_of(text, size)]
    cdef const Name *name
    while at >= 0:
        name = &names.name[at]
        if name.size == size and memcmp(text, name.text, size) == 0:
            return True
        at = name.next
    return False
