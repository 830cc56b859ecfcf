# Blocks of fields of HTTP/2, read where they lie. See _hpack.pyx.
from subproxy.fastpath._bytes cimport u8

cdef enum BlockRead:
    # How a block was read.
    BLOCK_READ, BLOCK_LARGE, BLOCK_MALFORMED

cdef enum:
    MOST_ENTRIES = 128  # of a table of 4096 bytes, each of which counts 32 and more

cdef struct Span:
    # A field in the text of a list.
    int name_at
    int name_size
    int value_at
    int value_size

cdef struct FieldList:
    # The fields of the block that was read last, by whichever decoder.
    Span *span
    int count
    int room
    u8 *text
    Py_ssize_t used
    Py_ssize_t text_room

cdef FieldList *field_list() noexcept

cdef struct Entry:
    # Its name and value stand behind it.
    int name_size
    int value_size


cdef class FastHpackDecoder:
    cdef Entry *entries[MOST_ENTRIES]
    cdef int first
    cdef int count
    cdef int size
    cdef int limit

    cdef int read(self, const u8 *p, const u8 *end, Py_ssize_t size, int count) except -1
    cdef void shrink(self, int size) noexcept
    cdef int insert(self, const u8 *text, const Span *span) except -1

cdef list listed()

cdef u8 *put_integer(u8 *o, int bits, int first, unsigned int number) noexcept nogil
cdef u8 *put_field(u8 *o, const u8 *name, int name_size, const u8 *value, int value_size) noexcept nogil
