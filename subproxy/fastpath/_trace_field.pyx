# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""C{traceparent} in a head, where traces are followed.

Whether one is valid, and what a new one is, Python says, which is asked for nothing where traces are
not followed. A head with a C{tracestate}, or with a C{traceparent} that is not valid, is for Python.

The same in Python: C{subproxy.core.http.trace_context} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._request_head cimport MOST_FIELDS, Field, Head
from subproxy.fastpath._tables cimport Tables, tables

from subproxy.core.http.trace_context import MAX_SIZE, TRACEPARENT, TRACESTATE, trace_id

cdef const Tables *T = tables()
cdef int LONGEST = MAX_SIZE
cdef bytes PARENT = TRACEPARENT
cdef bytes STATE = TRACESTATE
cdef const u8 *PARENT_NAME = <const u8 *>PyBytes_AS_STRING(PARENT)
cdef const u8 *STATE_NAME = <const u8 *>PyBytes_AS_STRING(STATE)
cdef int PARENT_SIZE = <int>PyBytes_GET_SIZE(PARENT)
cdef int STATE_SIZE = <int>PyBytes_GET_SIZE(STATE)


cdef inline bint called(const Field *field, const u8 *name, int size) noexcept nogil:
    cdef int i
    if field.name_size != size:
        return False
    for i in range(size):
        if T.lower[field.name[i]] != name[i]:
            return False
    return True


cdef int find_trace(const u8 *data, const Head *head) except? -2:
    """Where the trace stands of which C{head} is, behind C{data}; 0: it is of none; -1: it is for
    Python."""
    cdef const Field *field
    cdef const Field *found = NULL
    cdef int i
    for i in range(head.kept):
        field = &head.field[i]
        if called(field, PARENT_NAME, PARENT_SIZE):
            if found != NULL:
                return -1
            found = field
        elif called(field, STATE_NAME, STATE_SIZE):
            return -1
    if found == NULL:
        return -1 if head.kept >= MOST_FIELDS else 0
    if found.value_size > LONGEST:
        return -1
    value = PyBytes_FromStringAndSize(<const char *>found.value, found.value_size)
    return -1 if trace_id(value) is None else <int>(found.value - data) + TRACE_AT


cdef int add_traceparent(Head *head, bytes value) except -1:
    """Let C{value}, which is kept elsewhere, be a field of C{head}, behind the others."""
    cdef Field *field = &head.field[head.kept]
    field.name = PARENT_NAME
    field.name_size = PARENT_SIZE
    field.value = <const u8 *>PyBytes_AS_STRING(value)
    field.value_size = <int>PyBytes_GET_SIZE(value)
    head.kept += 1
    return 0
