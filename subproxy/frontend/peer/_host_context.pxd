# What connections with other hosts have in common. See _host_context.pyx.
from subproxy.frontend.tls._libssl cimport Context
from subproxy.frontend.tls._openssl cimport Feed

cdef str last_reason()
cdef void keep_buffers(void *ssl) noexcept


cdef class HostContext(Context):
    cdef void *dialled(self, Feed *feed, bytes called) except NULL
