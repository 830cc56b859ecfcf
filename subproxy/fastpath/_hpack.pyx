# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""Fields as HPACK has them, read into one list that all connections share, and written.

One block is read after the other, so that the list is scratch space: nothing of a block that was
read costs memory of its connection but what it put into its table.

The same in Python: C{subproxy.frontend.http2.hpack}, C{subproxy.frontend.http2.field_table} and
C{subproxy.frontend.http2.huffman} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset

from subproxy.fastpath._bytes cimport put_bytes, u8

from subproxy.frontend.http2 import hpack as described
from subproxy.frontend.http2.field_table import OVERHEAD, STATIC_TABLE, TABLE_SIZE
from subproxy.frontend.http2.hpack import HpackError
from subproxy.frontend.http2.huffman import EOS, LENGTHS, PADDING, codes

cdef enum:
    STATIC = 61
    LONGEST_STATIC = 64
    COUNTED = 32
    MOST_SHIFT = 28
    FEWEST = 64
    FAILS = 1
    ACCEPTS = 2
    COMPLETES = 4

if len(STATIC_TABLE) != STATIC or OVERHEAD != COUNTED or TABLE_SIZE > MOST_ENTRIES * COUNTED:
    raise ImportError("the tables of HPACK differ from subproxy.frontend.http2.field_table")

cdef int TABLE_LIMIT = TABLE_SIZE
cdef int END = EOS
cdef uint64_t MOST = 0x7FFFFFFF


cdef struct Step:
    uint8_t state
    uint8_t symbol
    uint8_t does

cdef Step STEPS[256][16]

cdef struct StaticEntry:
    u8 name[LONGEST_STATIC]
    u8 value[LONGEST_STATIC]
    int name_size
    int value_size
    bint first  # of its name

cdef StaticEntry STATICS[STATIC + 1]
cdef FieldList LIST
cdef short BY_SIZE[LONGEST_STATIC + 1]  # the first entry with a name of that size, 0 for none
cdef short NEXT[STATIC + 1]  # the next one with a name of the same size


cdef int fill_steps() except -1:
    """The steps of the Huffman code: in Python they would take a tenth of a start."""
    cdef short nodes[256][2]  # where a 0 and a 1 lead: to a node, or to a leaf, ~symbol
    cdef bint accepting[256]
    cdef int used = 1, symbol, at, bit, side, state, bits, found
    cdef unsigned int code
    cdef Step *step
    memset(nodes, 0, sizeof(nodes))
    memset(accepting, 0, sizeof(accepting))
    for symbol, number in enumerate(codes()):
        code, at = number, 0
        for bit in range(LENGTHS[symbol] - 1, 0, -1):
            side = code >> bit & 1
            if nodes[at][side] <= 0:
                if used == 256 or nodes[at][side] < 0:
                    raise ImportError("the Huffman code has another number of states")
                nodes[at][side] = used
                used += 1
            at = nodes[at][side]
        nodes[at][code & 1] = ~symbol
    if used != 256:
        raise ImportError("the Huffman code has another number of states")
    at = 0
    accepting[0] = True
    for _ in range(PADDING):
        at = nodes[at][1]
        accepting[at] = True
    for state in range(256):
        for bits in range(16):
            step = &STEPS[state][bits]
            at, found = state, -1
            for bit in range(3, -1, -1):
                at = nodes[at][bits >> bit & 1]
                if at == ~END:
                    break
                if at < 0:
                    at, found = 0, ~at
            if at < 0:
                step.does = FAILS
            else:
                step.state = at
                step.symbol = max(0, found)
                step.does = ACCEPTS * accepting[at] | COMPLETES * (found >= 0)
    return 0


cdef int fill_statics() except -1:
    """The static table, and where to look in it for a name."""
    cdef int i
    for i in range(STATIC, 0, -1):
        name, value = STATIC_TABLE[i - 1]
        if max(len(name), len(value)) > LONGEST_STATIC:
            raise ImportError("an entry of the static table is longer than there is room for")
        STATICS[i].name_size = len(name)
        STATICS[i].value_size = len(value)
        memcpy(STATICS[i].name, <const u8 *><char *><bytes>name, len(name))
        memcpy(STATICS[i].value, <const u8 *><char *><bytes>value, len(value))
        NEXT[i] = BY_SIZE[len(name)]
        BY_SIZE[len(name)] = i
    return 0

fill_steps()
fill_statics()


cdef FieldList *field_list() noexcept:
    """The fields that were read last."""
    return &LIST


cdef int make_room(Py_ssize_t size) except -1:
    """See that C{size} more bytes of text, and one more field, fit into the list."""
    cdef u8 *text
    cdef Span *span
    if LIST.used + size > LIST.text_room:
        text = <u8 *>realloc(LIST.text, 2 * (LIST.used + size) + 4096)
        if text == NULL:
            raise MemoryError
        LIST.text = text
        LIST.text_room = 2 * (LIST.used + size) + 4096
    if LIST.count >= LIST.room:
        span = <Span *>realloc(LIST.span, (2 * LIST.room + FEWEST) * sizeof(Span))
        if span == NULL:
            raise MemoryError
        LIST.span = span
        LIST.room = 2 * LIST.room + FEWEST
    return 0


cdef inline const u8 *integer(const u8 *p, const u8 *end, int bits, uint32_t *value) noexcept nogil:
    """C{read_integer}; NULL where that raises."""
    cdef uint64_t number = p[0] & ((1 << bits) - 1)
    cdef int shift = 0
    cdef u8 byte
    p += 1
    if number == <uint64_t>((1 << bits) - 1):
        while True:
            if p >= end or shift > MOST_SHIFT:
                return NULL
            byte = p[0]
            p += 1
            number += <uint64_t>(byte & 0x7F) << shift
            if number > MOST:
                return NULL
            if not byte & 0x80:
                break
            shift += 7
    value[0] = <uint32_t>number
    return p


cdef int huffman(const u8 *p, const u8 *end, u8 *o) noexcept nogil:
    """Decode p..end to C{o}, which has room for 8 bytes where p has 5; the size, or -1."""
    cdef u8 *begin = o
    cdef const Step *step
    cdef int state = 0, does = ACCEPTS
    while p < end:
        step = &STEPS[state][p[0] >> 4]
        if step.does & FAILS:
            return -1
        if step.does & COMPLETES:
            o[0] = step.symbol
            o += 1
        step = &STEPS[step.state][p[0] & 15]
        does = step.does
        if does & FAILS:
            return -1
        if does & COMPLETES:
            o[0] = step.symbol
            o += 1
        state = step.state
        p += 1
    return <int>(o - begin) if does & ACCEPTS else -1


cdef const u8 *string(const u8 *p, const u8 *end, int *size) except? NULL:
    """Put a string behind the text of the list; where it ends in the block, NULL if nowhere."""
    cdef uint32_t length
    cdef bint coded
    if p >= end:
        return NULL
    coded = p[0] & 0x80
    p = integer(p, end, 7, &length)
    if p == NULL or <Py_ssize_t>length > end - p:
        return NULL
    make_room(2 * <Py_ssize_t>length)
    if coded:
        size[0] = huffman(p, p + length, LIST.text + LIST.used)
        if size[0] < 0:
            return NULL
    else:
        memcpy(LIST.text + LIST.used, p, length)
        size[0] = <int>length
    LIST.used += size[0]
    return p + length


cdef list listed():
    """The fields that were read last, as Python has them."""
    cdef int i
    cdef const Span *span
    cdef const u8 *text = LIST.text
    fields = []
    for i in range(LIST.count):
        span = &LIST.span[i]
        fields.append((
            PyBytes_FromStringAndSize(<const char *>text + span.name_at, span.name_size),
            PyBytes_FromStringAndSize(<const char *>text + span.value_at, span.value_size),
        ))
    return fields


cdef class FastHpackDecoder:
    """Reads the blocks of one connection: see C{IFieldDecoder}."""

    def __cinit__(self):
        self.limit = TABLE_LIMIT

    def __dealloc__(self):
        cdef int i
        for i in range(self.count):
            free(self.entries[(self.first + i) & (MOST_ENTRIES - 1)])

    def decode(self, bytes block, Py_ssize_t size, Py_ssize_t count):
        """See C{IFieldDecoder}."""
        cdef const u8 *p = <const u8 *>PyBytes_AS_STRING(block)
        cdef int found = self.read(
            p, p + PyBytes_GET_SIZE(block), size, <int>min(count, <Py_ssize_t>MOST)
        )
        if found == BLOCK_MALFORMED:
            raise HpackError("a block of fields is malformed")
        return None if found == BLOCK_LARGE else listed()

    cdef void shrink(self, int size) noexcept:
        cdef Entry *entry
        while self.count and self.size > size:
            self.count -= 1
            entry = self.entries[(self.first + self.count) & (MOST_ENTRIES - 1)]
            self.size -= entry.name_size + entry.value_size + COUNTED
            free(entry)

    cdef int insert(self, const u8 *text, const Span *span) except -1:
        cdef int size = span.name_size + span.value_size + COUNTED
        cdef Entry *entry
        self.shrink(self.limit - size)
        if size > self.limit:
            return 0
        entry = <Entry *>malloc(sizeof(Entry) + size - COUNTED)
        if entry == NULL:
            raise MemoryError
        entry.name_size = span.name_size
        entry.value_size = span.value_size
        memcpy(<u8 *>(entry + 1), text + span.name_at, span.name_size)
        memcpy(<u8 *>(entry + 1) + span.name_size, text + span.value_at, span.value_size)
        self.first = (self.first - 1) & (MOST_ENTRIES - 1)
        self.entries[self.first] = entry
        self.count += 1
        self.size += size
        return 0

    cdef int read(self, const u8 *p, const u8 *end, Py_ssize_t size, int count) except -1:
        """Read p..end into the list, which may be C{size} bytes large and C{count} fields long."""
        cdef uint32_t index
        cdef Span span
        cdef const Entry *entry
        cdef u8 byte
        cdef bint begun = False, over = False
        LIST.used = 0
        LIST.count = 0
        while p < end:
            byte = p[0]
            if byte & 0xE0 == 0x20:
                if begun:
                    return BLOCK_MALFORMED
                p = integer(p, end, 5, &index)
                if p == NULL or index > <uint32_t>TABLE_LIMIT:
                    return BLOCK_MALFORMED
                self.limit = <int>index
                self.shrink(self.limit)
                continue
            p = integer(p, end, 7 if byte & 0x80 else 6 if byte & 0x40 else 4, &index)
            if p == NULL or index > <uint32_t>(STATIC + self.count):
                return BLOCK_MALFORMED
            if over and byte & 0x80 and index:
                # It changes no table: to copy it would cost a thousand times what it is.
                continue
            span.name_at = <int>LIST.used
            if index == 0:
                if byte & 0x80:
                    return BLOCK_MALFORMED
                p = string(p, end, &span.name_size)
                if p == NULL:
                    return BLOCK_MALFORMED
            elif index <= STATIC:
                make_room(2 * LONGEST_STATIC)
                span.name_size = STATICS[index].name_size
                memcpy(LIST.text + LIST.used, STATICS[index].name, span.name_size)
                LIST.used += span.name_size
            else:
                entry = self.entries[(self.first + index - STATIC - 1) & (MOST_ENTRIES - 1)]
                make_room(entry.name_size + entry.value_size)
                span.name_size = entry.name_size
                memcpy(LIST.text + LIST.used, <const u8 *>(entry + 1), span.name_size)
                LIST.used += span.name_size
            span.value_at = <int>LIST.used
            if not byte & 0x80:
                p = string(p, end, &span.value_size)
                if p == NULL:
                    return BLOCK_MALFORMED
                if byte & 0x40:
                    self.insert(LIST.text, &span)
            elif index <= STATIC:
                span.value_size = STATICS[index].value_size
                memcpy(LIST.text + LIST.used, STATICS[index].value, span.value_size)
                LIST.used += span.value_size
            else:
                span.value_size = entry.value_size
                memcpy(
                    LIST.text + LIST.used, <const u8 *>(entry + 1) + span.name_size, span.value_size
                )
                LIST.used += span.value_size
            begun = True
            size -= span.name_size + span.value_size + COUNTED
            count -= 1
            if size < 0 or count < 0:
                # Read on, for the table's sake. No more is kept, and neither number may wrap.
                over = True
                size = count = 0
            if over:
                LIST.used = 0
                LIST.count = 0
            else:
                make_room(0)
                LIST.span[LIST.count] = span
                LIST.count += 1
        return BLOCK_LARGE if over else BLOCK_READ


# Written.


cdef u8 *put_integer(u8 *o, int bits, int first, unsigned int number) noexcept nogil:
    """C{put_integer} of the reference: up to six bytes."""
    cdef unsigned int most = (1 << bits) - 1
    if number < most:
        o[0] = first | number
        return o + 1
    o[0] = first | most
    o += 1
    number -= most
    while number >= 128:
        o[0] = number & 127 | 128
        o += 1
        number >>= 7
    o[0] = number
    return o + 1


cdef inline bint secret(const u8 *name, int size) noexcept nogil:
    return (
        (size == 10 and memcmp(name, b"set-cookie", 10) == 0)
        or (size == 13 and memcmp(name, b"authorization", 13) == 0)
        or (size == 16 and memcmp(name, b"www-authenticate", 16) == 0)
    )


cdef u8 *put_field(
    u8 *o, const u8 *name, int name_size, const u8 *value, int value_size
) noexcept nogil:
    """C{encode_field}: up to 18 bytes more than name and value; the name is in lower case."""
    cdef int index = 0, found = 0
    cdef const StaticEntry *entry
    if name_size <= LONGEST_STATIC:
        index = BY_SIZE[name_size]
    while index:
        entry = &STATICS[index]
        if memcmp(entry.name, name, name_size) == 0:
            if entry.value_size == value_size and memcmp(entry.value, value, value_size) == 0:
                o[0] = 0x80 | index
                return o + 1
            if not found:
                found = index
        elif found:
            break
        index = NEXT[index]
    index = 0x10 if secret(name, name_size) else 0
    if found:
        o = put_integer(o, 4, index, found)
    else:
        o[0] = index
        o = put_integer(o + 1, 7, 0, name_size)
        o = put_bytes(o, name, name_size)
    o = put_integer(o, 7, 0, value_size)
    return put_bytes(o, value, value_size)


if described._SECRET != {b"set-cookie", b"authorization", b"www-authenticate"}:
    raise ImportError("which fields are secret differs from subproxy.frontend.http2.hpack")


def encode_field(bytes name, bytes value):
    """The writer alone, for tests."""
    cdef bytes out = PyBytes_FromStringAndSize(NULL, len(name) + len(value) + 18)
    cdef u8 *begin = <u8 *>PyBytes_AS_STRING(out)
    cdef u8 *end = put_field(
        begin, <const u8 *>PyBytes_AS_STRING(name), <int>len(name),
        <const u8 *>PyBytes_AS_STRING(value), <int>len(value),
    )
    return out[:end - begin]
