# The libssl of a wheel: what it is given and gives. See _wheel_libssl.pyx.
from subproxy.frontend.tls._openssl cimport Libssl, OpensslContext

cdef struct Memory:
    void *(*BIO_s_mem)() noexcept nogil
    int (*BIO_free)(void *) noexcept nogil
    int (*BIO_read)(void *, void *, int) noexcept nogil
    int (*BIO_write)(void *, const void *, int) noexcept nogil
    long (*BIO_get_mem_data)(void *, char **) noexcept nogil
    int (*i2d_X509_bio)(void *, void *) noexcept nogil

cdef Memory memory

cdef void *memory_bio() except NULL

cdef class WheelContext(OpensslContext):
    cdef void *connection(self, void **source, void **sink) except NULL
