# The fields of a request as the text of a head. See _http2_head.pyx.
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._hpack cimport FieldList

cdef Py_ssize_t write_text(
    const FieldList *fields, const u8 *scheme, int scheme_size, u8 **text
) except -1
