# The system's libssl: what it writes. See _libssl.pyx.
from subproxy.frontend.tls._openssl cimport Feed, Libssl, OpensslContext

cdef struct Output:
    # What BIOs of ours have written within one call, which is for one connection.
    char *data
    Py_ssize_t size
    Py_ssize_t room
    bint lent  # data is somebody's for this call; where it is too small, it is replaced

cdef Libssl lib
cdef Output output

cdef void *symbol(const char *name) except NULL

cdef class Context(OpensslContext):
    cdef int use(self, tuple chain, bytes key) except -1
    cdef int ask_clients(self, tuple authorities, bint optional) except -1
    cdef int revoke(self, tuple lists) except -1
    cdef void *connection(self, Feed *feed) except NULL
