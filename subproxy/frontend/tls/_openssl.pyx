# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""What is the same for every libssl that is called by pointers: the system's, and that of a wheel.

Each has a table of functions, and its own contexts: see C{_libssl} and C{_wheel_libssl}. One thread
calls all of it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memcmp

NAMES = (
    *("SSL_new", "SSL_free", "SSL_set_accept_state", "SSL_set_bio", "SSL_do_handshake", "SSL_read"),
    *("SSL_write", "SSL_shutdown", "SSL_get_error", "SSL_session_reused", "SSL_version"),
    *("SSL_get1_peer_certificate", "SSL_get0_alpn_selected", "SSL_CTX_free"),
    *("SSL_CTX_set_alpn_select_cb", "X509_free", "BIO_new", "ERR_clear_error", "ERR_peek_error"),
    "ERR_reason_error_string",
)
"""Of the functions of a table, in their order there."""

if len(NAMES) * sizeof(void *) != sizeof(Libssl):
    raise AssertionError("as many names as functions")


cdef str reason(const Libssl *lib):
    """What the library has complained about last."""
    cdef unsigned long code = lib.ERR_peek_error()
    cdef const char *text = lib.ERR_reason_error_string(code) if code else NULL
    lib.ERR_clear_error()
    return "unknown" if text == NULL else text.decode("utf-8", "replace")


cdef int choose_protocol(
    void *ssl, const u8 **chosen, u8 *size, const u8 *offered, unsigned offered_size, void *ours
) noexcept:
    """The first of ours that the client offers, too (RFC 7301 section 3.2)."""
    cdef bytes alpn = (<OpensslContext>ours).alpn
    cdef const u8 *at = <const u8 *>PyBytes_AS_STRING(alpn)
    cdef const u8 *end = at + PyBytes_GET_SIZE(alpn)
    cdef unsigned place
    while at < end:
        place = 0
        while place < offered_size and place + offered[place] < offered_size:
            if offered[place] == at[0] and memcmp(offered + place + 1, at + 1, at[0]) == 0:
                chosen[0] = at + 1
                size[0] = at[0]
                return 0
            place += 1 + offered[place]
        at += 1 + at[0]
    return 3  # as if nothing had been offered


cdef class OpensslContext:
    """
    What connections with one certificate have in common. It is alive as long as they are.

    A subclass makes it, and connections of it.
    """

    def __cinit__(self):
        self.context = NULL

    def __dealloc__(self):
        if self.context != NULL:
            self.lib.SSL_CTX_free(self.context)

    cdef int speak(self, bytes alpn) except -1:
        """
        Agree with clients upon one of these protocols.

        @param alpn: their names, the best one first, each behind a byte with its length.
        """
        self.alpn = alpn
        self.lib.SSL_CTX_set_alpn_select_cb(
            self.context, <void *>choose_protocol, <void *>self)
        return 0

    cdef int check(self, bint good) except -1:
        """
        Go on.

        @raise ValueError: the library did not like something; what it says.
        """
        if not good:
            raise ValueError(reason(self.lib))
        return 0

    cdef bytes peer_certificate(self, void *ssl):
        """The client's certificate, in DER; None if it has shown none."""
        raise NotImplementedError
