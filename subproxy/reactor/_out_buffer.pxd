# What a connection writes in a turn of the reactor, gathered until its end.
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, realloc

ctypedef unsigned char u8

cdef struct OutBuffer:
    u8 *data
    Py_ssize_t size
    Py_ssize_t room

cdef inline u8 *reserve_out(OutBuffer *out, Py_ssize_t size, Py_ssize_t more) except NULL:
    # Where so many bytes can be put behind what there is; where there was no room, there is as much more.
    cdef u8 *larger
    if out.size + size > out.room:
        larger = <u8 *>realloc(out.data, out.size + size + more)
        if larger == NULL:
            raise MemoryError
        out.data = larger
        out.room = out.size + size + more
    return out.data + out.size

cdef inline bytes take_out(OutBuffer *out, Py_ssize_t kept):
    # All that was gathered; room beyond so many bytes is given back.
    cdef bytes data = PyBytes_FromStringAndSize(<char *>out.data, out.size)
    out.size = 0
    if out.room > kept:
        free(out.data)
        out.data = NULL
        out.room = 0
    return data
