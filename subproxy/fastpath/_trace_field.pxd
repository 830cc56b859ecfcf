# traceparent and tracestate in a head. See _trace_field.pyx.
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._request_head cimport Head

cdef enum:
    ROOM = 128  # more bytes than a traceparent adds to a frame
    TRACE_AT = 3  # where the trace is in a traceparent
    TRACE_SIZE = 32

cdef int find_trace(const u8 *data, const Head *head) except? -2
cdef int add_traceparent(Head *head, bytes value) except -1
