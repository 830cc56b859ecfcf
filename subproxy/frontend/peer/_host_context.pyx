# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""What connections with other hosts have in common, at the system's libssl.

Both ends show a certificate, and verify that of the other by the same roots and the same rules: TLS
1.3, a chain of at most nine to a root that has signed itself, dates by the system's clock. No session
is resumed, so that who was let in once is looked at again each time.

The same by Twisted: C{subproxy.frontend.peer.host_tls} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint64_t

from subproxy.frontend.tls._libssl cimport lib, rest
from subproxy.frontend.tls._openssl cimport TLS1_3_VERSION

cdef enum:
    CTRL_SET_TLSEXT_HOSTNAME = 55
    CTRL_CLEAR_MODE = 78
    MODE_RELEASE_BUFFERS = 0x10
    DEPTH = 9  # of a chain; Twisted's

cdef uint64_t OPTIONS = (
    (<uint64_t>1 << 14)  # no tickets
    | (<uint64_t>1 << 17)  # no compression
)


cdef str last_reason():
    """What the library has complained about last: what comes before it in its list is the cause."""
    cdef unsigned long code = rest.ERR_peek_last_error()
    cdef const char *text = lib.ERR_reason_error_string(code) if code else NULL
    lib.ERR_clear_error()
    return "" if text == NULL else text.decode("utf-8", "replace")


cdef void keep_buffers(void *ssl) noexcept:
    """The buffers of C{ssl}, of a record each way, are not given back whenever they are empty."""
    rest.SSL_ctrl(ssl, CTRL_CLEAR_MODE, MODE_RELEASE_BUFFERS, NULL)


cdef class HostContext(Context):
    """
    See above. The library is open (C{load}). It is alive as long as its connections are.

    @raise ValueError: the library does not take the certificate, its key or a root; what it says.
    """

    def __init__(self, tuple chain, bytes key, tuple roots):
        self.alpn = b""
        self.make(rest.TLS_method(), TLS1_3_VERSION, MODE_RELEASE_BUFFERS, OPTIONS, 0)
        self.use(chain, key)
        self.trust(roots, False)
        rest.SSL_CTX_set_verify_depth(self.context, DEPTH)
        self.verify(False)

    cdef void *dialled(self, Feed *feed, bytes called) except NULL:
        """A new connection of a client, which reads what C{feed} has; it says whom it has C{called}."""
        cdef void *ssl = self.connection(feed)
        rest.SSL_set_connect_state(ssl)
        if called and rest.SSL_ctrl(
            ssl, CTRL_SET_TLSEXT_HOSTNAME, 0, PyBytes_AS_STRING(called)
        ) != 1:
            lib.SSL_free(ssl)
            raise MemoryError
        return ssl
