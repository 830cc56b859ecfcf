# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""What connections with other hosts have in common, at the system's libssl.

Both ends show a certificate, and verify that of the other by the same roots and the same rules: TLS
1.3, a chain of at most nine to a root that has signed itself, dates by the system's clock. No session
is resumed, so that who was let in once is looked at again each time.

The same by Twisted: C{subproxy.frontend.peer.host_tls} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t

from subproxy.frontend.tls._libssl cimport lib, symbol
from subproxy.frontend.tls._openssl cimport TLS1_3_VERSION, u8

cdef enum:
    CTRL_MODE = 33
    CTRL_SET_SESS_CACHE_MODE = 44
    CTRL_SET_TLSEXT_HOSTNAME = 55
    CTRL_SET_MIN_PROTO_VERSION = 123
    MODE_RELEASE_BUFFERS = 0x10
    VERIFY_PEER = 0x01
    VERIFY_FAIL_IF_NO_PEER_CERT = 0x02
    DEPTH = 9  # of a chain; Twisted's

cdef uint64_t OPTIONS = (
    (<uint64_t>1 << 14)  # no tickets
    | (<uint64_t>1 << 17)  # no compression
)

cdef struct Functions:
    void *(*TLS_method)() noexcept nogil
    void *(*SSL_CTX_new)(void *) noexcept nogil
    long (*SSL_CTX_ctrl)(void *, int, long, void *) noexcept nogil
    uint64_t (*SSL_CTX_set_options)(void *, uint64_t) noexcept nogil
    int (*SSL_CTX_set_num_tickets)(void *, size_t) noexcept nogil
    void (*SSL_CTX_set_verify)(void *, int, void *) noexcept nogil
    void (*SSL_CTX_set_verify_depth)(void *, int) noexcept nogil
    void *(*SSL_CTX_get_cert_store)(void *) noexcept nogil
    int (*X509_STORE_add_cert)(void *, void *) noexcept nogil
    void *(*d2i_X509)(void *, const u8 **, long) noexcept nogil
    void (*X509_free)(void *) noexcept nogil
    void (*SSL_set_connect_state)(void *) noexcept nogil
    long (*SSL_ctrl)(void *, int, long, void *) noexcept nogil
    unsigned long (*ERR_peek_last_error)() noexcept nogil

cdef Functions functions
cdef bint found_all = False


def prepare():
    """
    Look for what is needed in the library, which is open (C{load}).

    @raise OSError: it lacks something.
    """
    global found_all
    cdef void **at = <void **>&functions
    for name in (
        b"TLS_method", b"SSL_CTX_new", b"SSL_CTX_ctrl", b"SSL_CTX_set_options",
        b"SSL_CTX_set_num_tickets", b"SSL_CTX_set_verify", b"SSL_CTX_set_verify_depth",
        b"SSL_CTX_get_cert_store", b"X509_STORE_add_cert", b"d2i_X509", b"X509_free",
        b"SSL_set_connect_state", b"SSL_ctrl", b"ERR_peek_last_error",
    ):
        at[0] = symbol(name)
        at += 1
    if at != <void **>&functions + sizeof(functions) // sizeof(void *):
        raise AssertionError("as many names as functions")
    found_all = True


cdef str last_reason():
    """What the library has complained about last: what comes before it in its list is the cause."""
    cdef unsigned long code = functions.ERR_peek_last_error()
    cdef const char *text = lib.ERR_reason_error_string(code) if code else NULL
    lib.ERR_clear_error()
    return "" if text == NULL else text.decode("utf-8", "replace")


cdef class HostContext(Context):
    """
    See above, and L{prepare}. It is alive as long as its connections are.

    @raise ValueError: the library does not take the certificate, its key or a root; what it says.
    """

    def __init__(self, tuple chain, bytes key, tuple roots):
        if not found_all:
            raise AssertionError("nobody has prepared it")
        lib.ERR_clear_error()
        self.lib = &lib
        self.alpn = b""
        self.asks_clients = True
        self.context = functions.SSL_CTX_new(functions.TLS_method())
        if self.context == NULL:
            raise MemoryError
        self.check(functions.SSL_CTX_ctrl(
            self.context, CTRL_SET_MIN_PROTO_VERSION, TLS1_3_VERSION, NULL) == 1)
        functions.SSL_CTX_ctrl(self.context, CTRL_MODE, MODE_RELEASE_BUFFERS, NULL)
        functions.SSL_CTX_ctrl(self.context, CTRL_SET_SESS_CACHE_MODE, 0, NULL)
        functions.SSL_CTX_set_options(self.context, OPTIONS)
        self.check(functions.SSL_CTX_set_num_tickets(self.context, 0) == 1)
        self.use(chain, key)
        self.trust(roots)

    cdef int trust(self, tuple roots) except -1:
        cdef const u8 *at
        cdef void *root
        cdef bint good
        cdef void *store = functions.SSL_CTX_get_cert_store(self.context)
        for der in roots:
            at = <const u8 *>PyBytes_AS_STRING(der)
            root = functions.d2i_X509(NULL, &at, PyBytes_GET_SIZE(der))
            self.check(root != NULL)
            good = functions.X509_STORE_add_cert(store, root) == 1
            functions.X509_free(root)
            self.check(good)
        functions.SSL_CTX_set_verify_depth(self.context, DEPTH)
        functions.SSL_CTX_set_verify(
            self.context, VERIFY_PEER | VERIFY_FAIL_IF_NO_PEER_CERT, NULL)
        return 0

    cdef void *dialled(self, Feed *feed, bytes called) except NULL:
        """A new connection of a client, which reads what C{feed} has; it says whom it has C{called}."""
        cdef void *ssl = self.connection(feed)
        functions.SSL_set_connect_state(ssl)
        if called and functions.SSL_ctrl(
            ssl, CTRL_SET_TLSEXT_HOSTNAME, 0, PyBytes_AS_STRING(called)
        ) != 1:
            lib.SSL_free(ssl)
            raise MemoryError
        return ssl
