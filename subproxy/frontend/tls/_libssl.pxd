# The system's libssl: what it writes. See _libssl.pyx.
from libc.stdint cimport uint64_t

from subproxy.frontend.tls._openssl cimport Feed, Libssl, OpensslContext, u8

cdef struct OsslParam:
    const char *key
    unsigned data_type
    void *data
    size_t data_size
    size_t return_size

cdef struct Rest:
    # What is not called for each record.
    void *(*TLS_method)() noexcept nogil
    void *(*TLS_server_method)() noexcept nogil
    void *(*SSL_CTX_new)(void *) noexcept nogil
    long (*SSL_CTX_ctrl)(void *, int, long, void *) noexcept nogil
    uint64_t (*SSL_CTX_set_options)(void *, uint64_t) noexcept nogil
    long (*SSL_CTX_set_timeout)(void *, long) noexcept nogil
    int (*SSL_CTX_set_cipher_list)(void *, const char *) noexcept nogil
    int (*SSL_CTX_set_ciphersuites)(void *, const char *) noexcept nogil
    int (*SSL_CTX_set_num_tickets)(void *, size_t) noexcept nogil
    int (*SSL_CTX_set_session_id_context)(void *, const u8 *, unsigned) noexcept nogil
    int (*SSL_CTX_use_certificate_ASN1)(void *, int, const u8 *) noexcept nogil
    int (*SSL_CTX_use_PrivateKey)(void *, void *) noexcept nogil
    int (*SSL_CTX_check_private_key)(void *) noexcept nogil
    int (*SSL_CTX_set_tlsext_ticket_key_evp_cb)(void *, void *) noexcept nogil
    void (*SSL_CTX_set_verify)(void *, int, void *) noexcept nogil
    void (*SSL_CTX_set_verify_depth)(void *, int) noexcept nogil
    void *(*SSL_CTX_get_cert_store)(void *) noexcept nogil
    int (*SSL_CTX_add_client_CA)(void *, void *) noexcept nogil
    void (*SSL_set_connect_state)(void *) noexcept nogil
    long (*SSL_ctrl)(void *, int, long, void *) noexcept nogil
    unsigned long (*ERR_peek_last_error)() noexcept nogil
    int (*X509_STORE_add_cert)(void *, void *) noexcept nogil
    int (*X509_STORE_set_flags)(void *, unsigned long) noexcept nogil
    int (*X509_STORE_add_crl)(void *, void *) noexcept nogil
    void *(*d2i_X509_CRL)(void *, const u8 **, long) noexcept nogil
    void (*X509_CRL_free)(void *) noexcept nogil
    int (*i2d_X509)(const void *, u8 **) noexcept nogil
    void *(*d2i_X509)(void *, const u8 **, long) noexcept nogil
    void *(*d2i_AutoPrivateKey)(void *, const u8 **, long) noexcept nogil
    void (*EVP_PKEY_free)(void *) noexcept nogil
    void *(*EVP_CIPHER_fetch)(void *, const char *, const char *) noexcept nogil
    int (*EVP_EncryptInit_ex)(void *, void *, void *, const u8 *, const u8 *) noexcept nogil
    int (*EVP_DecryptInit_ex)(void *, void *, void *, const u8 *, const u8 *) noexcept nogil
    int (*EVP_MAC_CTX_set_params)(void *, OsslParam *) noexcept nogil
    int (*RAND_bytes)(u8 *, int) noexcept nogil
    void *(*BIO_meth_new)(int, const char *) noexcept nogil
    int (*BIO_meth_set_read)(void *, void *) noexcept nogil
    int (*BIO_meth_set_write)(void *, void *) noexcept nogil
    int (*BIO_meth_set_ctrl)(void *, void *) noexcept nogil
    int (*BIO_meth_set_create)(void *, void *) noexcept nogil
    void (*BIO_set_data)(void *, void *) noexcept nogil
    void *(*BIO_get_data)(void *) noexcept nogil
    void (*BIO_set_init)(void *, int) noexcept nogil
    void (*BIO_set_flags)(void *, int) noexcept nogil
    void (*BIO_clear_flags)(void *, int) noexcept nogil
    unsigned long (*OpenSSL_version_num)() noexcept nogil
    const char *(*OpenSSL_version)(int) noexcept nogil

cdef struct Output:
    # What BIOs of ours have written within one call, which is for one connection.
    char *data
    Py_ssize_t size
    Py_ssize_t room
    bint lent  # data is somebody's for this call; where it is too small, it is replaced

cdef Libssl lib
cdef Rest rest
cdef Output output

cdef list lend_output(Py_ssize_t size, Output *before)
cdef bytes take_output(list made, Output before)

cdef class Context(OpensslContext):
    cdef int make(
        self, void *method, long oldest, long modes, uint64_t options, size_t tickets
    ) except -1
    cdef int use(self, tuple chain, bytes key) except -1
    cdef int ask_clients(self, tuple authorities, bint optional) except -1
    cdef int trust(self, tuple authorities, bint tell) except -1
    cdef int verify(self, bint optional) except -1
    cdef int revoke(self, tuple lists) except -1
    cdef void *connection(self, Feed *feed) except NULL
