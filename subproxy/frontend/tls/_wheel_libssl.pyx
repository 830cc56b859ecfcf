# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""The libssl of a wheel, by pointers to its functions that somebody has found.

It has no BIO methods to call, so that its connections read and write memory BIOs of its own.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize

from subproxy.frontend.tls._openssl cimport Libssl, OpensslContext

from subproxy.frontend.tls._openssl import NAMES

MEMORY_NAMES = (
    *("BIO_s_mem", "BIO_free", "BIO_read", "BIO_write", "BIO_get_mem_data", "i2d_X509_bio"),
)
"""Of what is called beside C{NAMES}, in the order of C{Memory}."""

if len(MEMORY_NAMES) * sizeof(void *) != sizeof(Memory):
    raise AssertionError("as many names as functions")

cdef Libssl lib
cdef Memory memory


def load(functions):
    """
    Call these from now on.

    @param functions: the address of each of C{NAMES} and C{MEMORY_NAMES}.
    """
    cdef void **at = <void **>&lib
    for name in NAMES:
        at[0] = <void *><size_t>functions[name]
        at += 1
    at = <void **>&memory
    for name in MEMORY_NAMES:
        at[0] = <void *><size_t>functions[name]
        at += 1


cdef void *memory_bio() except NULL:
    """A new one, empty: who reads it is told to try again."""
    cdef void *bio = lib.BIO_new(memory.BIO_s_mem())
    if bio == NULL:
        raise MemoryError
    return bio


cdef class WheelContext(OpensslContext):
    """
    What connections with one certificate have in common, see C{OpensslContext}.

    @param address: of an C{SSL_CTX}, which is ours now.
    @param asks_clients: for certificates.
    """

    def __init__(self, size_t address, bytes alpn, bint asks_clients):
        self.lib = &lib
        self.context = <void *>address
        self.asks_clients = asks_clients
        self.speak(alpn)

    cdef bytes peer_certificate(self, void *ssl):
        cdef void *bio
        cdef char *at = NULL
        cdef void *found = lib.SSL_get1_peer_certificate(ssl)
        if found == NULL:
            return None
        try:
            bio = memory_bio()
            try:
                if memory.i2d_X509_bio(bio, found) != 1:
                    raise MemoryError
                size = memory.BIO_get_mem_data(bio, &at)
                return PyBytes_FromStringAndSize(at, size)
            finally:
                memory.BIO_free(bio)
        finally:
            lib.X509_free(found)

    cdef void *connection(self, void **source, void **sink) except NULL:
        """
        A new connection of a server.

        @param source: told what it reads, which is its own.
        @param sink: told likewise what it writes to.
        """
        cdef void *ssl
        source[0] = memory_bio()
        try:
            sink[0] = memory_bio()
        except MemoryError:
            memory.BIO_free(source[0])
            raise
        ssl = lib.SSL_new(self.context)
        if ssl == NULL:
            memory.BIO_free(source[0])
            memory.BIO_free(sink[0])
            raise MemoryError
        lib.SSL_set_bio(ssl, source[0], sink[0])
        lib.SSL_set_accept_state(ssl)
        return ssl
