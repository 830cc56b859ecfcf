# What is the same for every libssl that is called by pointers. See _openssl.pyx.

ctypedef unsigned char u8

cdef enum:
    TLS1_3_VERSION = 0x0304
    WANT_READ = 2
    ZERO_RETURN = 6

cdef struct Feed:
    # What a BIO of ours reads: bytes that lie somewhere else, as long as that call lasts.
    const char *data
    Py_ssize_t size
    # How often it may still be read within a call of libssl's, and whether that held one up.
    int reads
    bint stopped

cdef struct Libssl:
    void *(*SSL_new)(void *) noexcept nogil
    void (*SSL_free)(void *) noexcept nogil
    void (*SSL_set_accept_state)(void *) noexcept nogil
    void (*SSL_set_bio)(void *, void *, void *) noexcept nogil
    int (*SSL_do_handshake)(void *) noexcept nogil
    int (*SSL_read)(void *, void *, int) noexcept nogil
    int (*SSL_write)(void *, const void *, int) noexcept nogil
    int (*SSL_shutdown)(void *) noexcept nogil
    int (*SSL_get_error)(void *, int) noexcept nogil
    int (*SSL_session_reused)(void *) noexcept nogil
    int (*SSL_version)(const void *) noexcept nogil
    void *(*SSL_get1_peer_certificate)(const void *) noexcept nogil
    void (*SSL_get0_alpn_selected)(void *, const u8 **, unsigned *) noexcept nogil
    void (*SSL_CTX_free)(void *) noexcept nogil
    void (*SSL_CTX_set_alpn_select_cb)(void *, void *, void *) noexcept nogil
    void (*X509_free)(void *) noexcept nogil
    void *(*BIO_new)(void *) noexcept nogil
    void (*ERR_clear_error)() noexcept nogil
    unsigned long (*ERR_peek_error)() noexcept nogil
    const char *(*ERR_reason_error_string)(unsigned long) noexcept nogil

cdef str reason(const Libssl *lib)

cdef class OpensslContext:
    cdef const Libssl *lib
    cdef void *context
    cdef bytes alpn
    cdef bint asks_clients  # for certificates

    cdef int speak(self, bytes alpn) except -1
    cdef int check(self, bint good) except -1
    cdef bytes peer_certificate(self, void *ssl)
