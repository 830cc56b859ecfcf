# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""A request head, taken apart where it lies: one pass, and no object for what is in it.

It accepts only what the validator (C{subproxy.frontend.http1.framing}) surely accepts. Whatever is not plain is not for here, and is not judged either:
the Python path sees the same bytes. Host and path are the exception: what they may hold
is checked when their route is looked for.

The same in Python: C{subproxy.frontend.http1.framing}, C{subproxy.core.http.request_rules},
C{subproxy.core.http.upgrade} and C{subproxy.frontend.http1.head_parser} (see C{subproxy.fastpath.twins}).
"""

from libc.stdint cimport int64_t
from libc.string cimport memcmp

from subproxy.core.http.fields import FORWARDING_PREFIX
from subproxy.fastpath._bytes cimport name_run, same_name, target_run, u8, value_end
from subproxy.fastpath._tables cimport (
    AGENT, CLAIMED, CONNECTION, DROP, HOST, IS_TARGET, IS_TOKEN, IS_UNDERSCORE, KEEP, LENGTH,
    ODD, REFERER, SENT_FOR, SENT_ID, TE, UPGRADE, WEBSOCKET_KEY, WEBSOCKET_VERSION, Names, Tables,
    is_method, lookup, tables,
)

cdef const Tables *T = tables()
cdef bytes _prefix = FORWARDING_PREFIX
cdef const u8 *PREFIX = <const u8 *><char *>_prefix
cdef int PREFIX_SIZE = len(_prefix)


cdef bint connection_options(
    const u8 *p, const u8 *end, bint *close, bint *upgrade,
) noexcept nogil:
    """Whether a C{Connection} has no options but those that name nothing that would be kept."""
    cdef const u8 *last
    cdef int size
    while True:
        while p < end and (p[0] == 32 or p[0] == 9 or p[0] == 44):
            p += 1
        if p == end:
            return True
        last = p
        while last < end and last[0] != 44:
            last += 1
        size = <int>(last - p)
        while p[size - 1] == 32 or p[size - 1] == 9:
            size -= 1
        if size == 5 and same_name(p, b"close", 5):
            close[0] = True
        elif size == 7 and same_name(p, b"upgrade", 7):
            upgrade[0] = True
        elif not (
            (size == 10 and same_name(p, b"keep-alive", 10))
            or (size == 14 and same_name(p, b"http2-settings", 14))
            or (size == 2 and same_name(p, b"te", 2))
        ):
            return False
        p = last


cdef bint lists_trailers(const u8 *p, const u8 *end) noexcept nogil:
    """Whether a C{TE} may say C{trailers} somewhere."""
    while end - p >= 8:
        if same_name(p, b"trailers", 8):
            return True
        p += 1
    return False


cdef bint is_nonce(const u8 *p, Py_ssize_t size) noexcept nogil:
    """Whether that is 16 bytes in base64: C{subproxy.core.http.upgrade._is_nonce}."""
    cdef int i
    cdef u8 each
    if size != KEY_SIZE or p[22] != 61 or p[23] != 61:
        return False
    for i in range(22):
        each = p[i]
        if not (97 <= each <= 122 or 65 <= each <= 90 or 47 <= each <= 57 or each == 43):
            return False
    return True


cdef int scan(
    const u8 *data, Py_ssize_t size, const Bounds *bounds, bint trusted, Head *head,
) noexcept nogil:
    """Take C{data} apart, of which C{data[size]} is zero. GOOD, PARTIAL_HEAD or NOT_PLAIN.

    C{trusted}: the peer is a proxy whose word about the client is taken.
    PARTIAL_HEAD: it ends before the head does, and so far it is plain.
    """
    cdef const u8 *p = data
    cdef const u8 *end = data + size
    cdef const u8 *name
    cdef const u8 *value
    cdef const u8 *last
    cdef const u8 *classes = T.classes
    cdef int name_size, kind
    cdef u8 seen
    cdef bint connection = False
    cdef bint upgrade = False  # it is an option of Connection
    cdef int offers = 0, keys = 0, versions = 0
    cdef int64_t length
    cdef Field *field
    # A request line that is not whole, and so long already, is measured by the validator.
    cdef bint brief = size < bounds.head and size + 16 < bounds.target

    if size > bounds.head:
        # Also where only what follows the head makes it so long: a rest is not worth a thought.
        end = data + bounds.head
    while classes[p[0]] & IS_TOKEN:
        p += 1
    head.method_size = <int>(p - data)
    if p >= end:
        return PARTIAL_HEAD if brief and head.method_size <= 32 else NOT_PLAIN
    if p[0] != 32 or head.method_size == 0:
        return NOT_PLAIN
    if not (head.method_size == 3 and memcmp(data, b"GET", 3) == 0):
        if not is_method(&T.methods, data, head.method_size):
            return NOT_PLAIN
    p += 1
    head.target = p
    if p[0] != 47:
        return PARTIAL_HEAD if p == end and brief else NOT_PLAIN
    p = target_run(p, end, False)
    while classes[p[0]] & IS_TARGET and p[0] != 63:
        p += 1
    head.path_size = <int>(p - head.target)
    if p[0] == 63:
        p = target_run(p, end, True)
        while classes[p[0]] & IS_TARGET:
            p += 1
    head.target_size = <int>(p - head.target)
    if p - data > bounds.target:
        return NOT_PLAIN
    if end - p < 11:
        if end - p >= 0 and memcmp(p, b" HTTP/1.1\r\n", end - p) == 0 and brief:
            return PARTIAL_HEAD
        return NOT_PLAIN
    if memcmp(p, b" HTTP/1.1\r\n", 11) != 0:
        return NOT_PLAIN
    p += 9
    head.line_size = <int>(p - data)
    if head.line_size > bounds.target:
        return NOT_PLAIN
    p += 2
    head.host = head.agent = head.referer = NULL
    head.host_size = head.agent_size = head.referer_size = 0
    head.fields = head.kept = 0
    head.close = head.trailers = head.websocket = False
    head.key = NULL
    head.length = -1
    for kind in range(SENT_KINDS):
        head.sent[kind].name = NULL
    while True:
        if p[0] == 13:
            if p[1] == 10 and end - p >= 2:
                p += 2
                break
            return PARTIAL_HEAD if end - p == 1 and size < bounds.head else NOT_PLAIN
        name = p
        seen = 0
        p = name_run(p, end)
        while classes[p[0]] & IS_TOKEN:
            seen |= classes[p[0]]
            p += 1
        if p >= end:
            return PARTIAL_HEAD if p == end and size < bounds.head else NOT_PLAIN
        name_size = <int>(p - name)
        if name_size == 0 or p[0] != 58:
            return NOT_PLAIN
        p += 1
        while p[0] == 32 or p[0] == 9:
            p += 1
        value = p
        if p > end:
            return NOT_PLAIN
        p = value_end(p, end)
        if end - p < 2:
            if size < bounds.head and (p == end or p[0] == 13):
                return PARTIAL_HEAD
            return NOT_PLAIN
        if p[0] != 13 or p[1] != 10:
            return NOT_PLAIN
        last = p
        p += 2
        while last > value and ((last - 1)[0] == 32 or (last - 1)[0] == 9):
            last -= 1
        head.fields += 1
        if head.fields > bounds.fields:
            return NOT_PLAIN
        if seen & IS_UNDERSCORE:
            return NOT_PLAIN
        kind = lookup(&T.request, name, name_size)
        if kind != KEEP:
            if kind == DROP:
                continue
            if kind == ODD:
                return NOT_PLAIN
            if kind == HOST:
                if head.host != NULL:
                    return NOT_PLAIN
                head.host = value
                head.host_size = <int>(last - value)
                continue
            if kind == LENGTH:
                # Nineteen digits are the most that the validator reads; fewer are enough here.
                if head.length >= 0 or last - value > 9 or last == value:
                    return NOT_PLAIN
                if value[0] == 48 and last - value > 1:
                    return NOT_PLAIN
                length = 0
                while value < last:
                    if not 48 <= value[0] <= 57:
                        return NOT_PLAIN
                    length = length * 10 + (value[0] - 48)
                    value += 1
                head.length = length
                continue
            if kind == CONNECTION:
                if connection:
                    return NOT_PLAIN
                connection = True
                if last - value == 5 and same_name(value, b"close", 5):
                    head.close = True
                elif not (last - value == 10 and same_name(value, b"keep-alive", 10)):
                    if not connection_options(value, last, &head.close, &upgrade):
                        return NOT_PLAIN
                continue
            if kind == UPGRADE:
                # Clients in Java offer it with every request. RFC 9110 section 7.8: it is ignored.
                offers += 1
                if last - value == 9 and same_name(value, b"websocket", 9):
                    head.websocket = True
                elif not (last - value == 3 and same_name(value, b"h2c", 3)):
                    return NOT_PLAIN
                continue
            if kind == TE:
                if last - value == 8 and same_name(value, b"trailers", 8):
                    head.trailers = True
                elif lists_trailers(value, last):
                    return NOT_PLAIN
                continue
            if kind >= CLAIMED:
                if not trusted:
                    continue
                if kind != CLAIMED:
                    if value == last and kind != SENT_ID:
                        continue
                    field = &head.sent[kind - SENT_FOR]
                    if field.name != NULL:
                        return NOT_PLAIN
                    field.name = name
                    field.value = value
                    field.value_size = <int>(last - value)
                    continue
            elif kind == AGENT:
                head.agent = value
                head.agent_size = <int>(last - value)
            elif kind == REFERER:
                head.referer = value
                head.referer_size = <int>(last - value)
            elif kind == WEBSOCKET_KEY:
                keys += 1
                if is_nonce(value, last - value):
                    head.key = value
            elif kind == WEBSOCKET_VERSION:
                # One that is not known counts as many.
                versions += 1 if last - value == 2 and value[0] == 49 and value[1] == 51 else 2
        elif not trusted and name_size >= PREFIX_SIZE and same_name(name, PREFIX, PREFIX_SIZE):
            continue
        field = &head.field[head.kept]
        field.name = name
        field.name_size = name_size
        field.value = value
        field.value_size = <int>(last - value)
        head.kept += 1
    head.size = <int>(p - data)
    if head.websocket and not (
        # What is not asked for so, Python refuses, or goes on without.
        upgrade and offers == 1 and head.length <= 0
        and head.method_size == 3 and memcmp(data, b"GET", 3) == 0
        and keys == 1 and head.key != NULL and versions == 1
    ):
        return NOT_PLAIN
    if head.host_size == 0 or head.path_size == 0:
        return NOT_PLAIN
    return GOOD
