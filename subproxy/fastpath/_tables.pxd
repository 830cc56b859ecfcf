# Tables of C, filled once from tables.py. See _tables.pyx.
from subproxy.fastpath._bytes cimport u8

cdef enum:
    MOST_NAMES = 64
    BUCKETS = 256

cdef enum Kind:
    KEEP, DROP, ODD, HOST, LENGTH, CONNECTION, AGENT, REFERER, DATE, UPGRADE, TE
    CLAIMED, SENT_FOR, SENT_PROTO, SENT_HOST, SENT_PORT, SENT_FORWARDED, SENT_VIA, SENT_ID

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

cdef inline int lookup(const Names *names, const u8 *fold, const u8 *text, int size) noexcept nogil:
    """The kind of a name; KEEP if it is not in the table. C{fold} maps each byte before it is compared."""
    cdef int at, i
    cdef const Name *name
    at = names.bucket[(size * 33 + fold[text[0]] * 5 + fold[text[size - 1]]) & (BUCKETS - 1)]
    while at >= 0:
        name = &names.name[at]
        if name.size == size:
            i = 0
            while i < size and fold[text[i]] == name.text[i]:
                i += 1
            if i == size:
                return name.kind
        at = name.next
    return KEEP
