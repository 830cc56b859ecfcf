# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""The system's libssl, opened when it is asked for: no headers, and nothing linked to.

What is here for all connections: the functions, the contexts of certificates, the keys of tickets,
and a BIO that reads where the bytes lie and writes into one place. One thread calls all of it.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memset

from subproxy.frontend.tls._openssl cimport TLS1_3_VERSION, Feed, Libssl, OpensslContext, u8

from subproxy.frontend.tls import context_values as _values
from subproxy.frontend.tls._openssl import NAMES

cdef extern from "dlfcn.h" nogil:
    void *dlopen(const char *, int)
    void *dlsym(void *, const char *)
    char *dlerror()
    int RTLD_NOW, RTLD_LOCAL

cdef extern from "time.h" nogil:
    ctypedef long time_t
    struct timespec:
        time_t tv_sec
        long tv_nsec
    int clock_gettime(int, timespec *)
    int CLOCK_MONOTONIC

cdef extern from "../../reactor/gather.h":
    object take_only(list)
    int trim_last(list, Py_ssize_t) except -1

cdef enum:
    RECORD = 16384  # bytes of plain text in one
    OVERHEAD = 64  # bytes of a record at most beside its plain text
    WAITING = 1024  # bytes that the library may have to say besides
    TLS1_2_VERSION = 0x0303
    CTRL_MODE = 33
    CTRL_SET_SESS_CACHE_MODE = 44
    CTRL_CHAIN_CERT = 89
    CTRL_SET_MIN_PROTO_VERSION = 123
    BIO_CTRL_FLUSH = 11
    BIO_FLAGS_READ_RETRY = 0x01 | 0x08
    BIO_FLAGS_RETRY = 0x0F
    BIO_TYPE = 0x0400 | 128  # a source and sink, of a number for others than OpenSSL
    OCTETS = 5
    UTF8 = 4
    VERIFY_PEER = 0x01
    VERIFY_FAIL_IF_NO_PEER_CERT = 0x02
    KEY = 32
    NAME = 16
    IV = 16

cdef uint64_t OPTIONS = _values.OPTIONS
cdef bytes SUITES = _values.SUITES
cdef long MODES = _values.MODES
cdef unsigned long PARTIAL_CHAIN = _values.PARTIAL_CHAIN
cdef unsigned long CRL_CHECK_CHAIN = _values.CRL_CHECK_CHAIN

cdef struct TicketKey:
    u8 name[NAME]
    u8 cipher[KEY]
    u8 mac[KEY]
    long made  # monotonic seconds; 0 for none

cdef void *library = NULL
cdef void *crypto = NULL
cdef void *method = NULL  # of our BIOs
cdef void *cipher = NULL  # of tickets
cdef TicketKey keys[2]  # the one that is given out, and the one before
cdef long rotation = 0  # seconds
cdef bint shared = False  # somebody else makes the keys


cdef void *symbol(const char *name) except NULL:
    cdef void *found = dlsym(library, name)
    if found == NULL:
        found = dlsym(crypto, name)
    if found == NULL:
        raise OSError(f"it has no {name.decode()}")
    return found


def load(long seconds, bytes ssl=b"libssl.so.3", bytes libcrypto=b"libcrypto.so.3"):
    """
    Open the library; once.

    @param seconds: after which there is another key for tickets; the one before is good for as
        long again.
    @return: its version as a number, and as text.
    @raise OSError: it is not there, or lacks something.
    """
    global library, crypto, method, cipher, rotation
    rotation = seconds
    if method == NULL:
        crypto = dlopen(libcrypto, RTLD_NOW | RTLD_LOCAL)
        library = dlopen(ssl, RTLD_NOW | RTLD_LOCAL) if crypto != NULL else NULL
        if library == NULL:
            raise OSError(dlerror().decode("utf-8", "replace"))
        find()
        if rest.OpenSSL_version_num() < 0x30000000:
            raise OSError("it is older than 3.0")
        cipher = rest.EVP_CIPHER_fetch(NULL, b"AES-256-CBC", NULL)
        if cipher == NULL:
            raise OSError("it has no AES-256-CBC")
        method = rest.BIO_meth_new(BIO_TYPE, b"subproxy")
        rest.BIO_meth_set_read(method, <void *>read_feed)
        rest.BIO_meth_set_write(method, <void *>write_output)
        rest.BIO_meth_set_ctrl(method, <void *>control)
        rest.BIO_meth_set_create(method, <void *>create)
    return rest.OpenSSL_version_num(), rest.OpenSSL_version(0).decode()


cdef int find() except -1:
    """Fill in both tables: each name stands once more, as a string."""
    cdef void **at = <void **>&lib
    for each in NAMES:
        at[0] = symbol(each.encode("ascii"))
        at += 1
    at = <void **>&rest
    for name in (
        b"TLS_method", b"TLS_server_method", b"SSL_CTX_new", b"SSL_CTX_ctrl",
        b"SSL_CTX_set_options", b"SSL_CTX_set_timeout", b"SSL_CTX_set_cipher_list",
        b"SSL_CTX_set_ciphersuites", b"SSL_CTX_set_num_tickets", b"SSL_CTX_set_session_id_context",
        b"SSL_CTX_use_certificate_ASN1", b"SSL_CTX_use_PrivateKey", b"SSL_CTX_check_private_key",
        b"SSL_CTX_set_tlsext_ticket_key_evp_cb",
        b"SSL_CTX_set_verify", b"SSL_CTX_set_verify_depth", b"SSL_CTX_get_cert_store",
        b"SSL_CTX_add_client_CA", b"SSL_set_connect_state", b"SSL_ctrl", b"ERR_peek_last_error",
        b"X509_STORE_add_cert", b"X509_STORE_set_flags",
        b"X509_STORE_add_crl", b"d2i_X509_CRL", b"X509_CRL_free", b"i2d_X509",
        b"d2i_X509", b"d2i_AutoPrivateKey",
        b"EVP_PKEY_free", b"EVP_CIPHER_fetch", b"EVP_EncryptInit_ex", b"EVP_DecryptInit_ex",
        b"EVP_MAC_CTX_set_params", b"RAND_bytes", b"BIO_meth_new",
        b"BIO_meth_set_read", b"BIO_meth_set_write", b"BIO_meth_set_ctrl", b"BIO_meth_set_create",
        b"BIO_set_data", b"BIO_get_data", b"BIO_set_init", b"BIO_set_flags", b"BIO_clear_flags",
        b"OpenSSL_version_num", b"OpenSSL_version",
    ):
        at[0] = symbol(name)
        at += 1
    if at != <void **>&rest + sizeof(rest) // sizeof(void *):
        raise AssertionError("as many names as functions")
    return 0


# A BIO of our own.

cdef int read_feed(void *bio, char *into, int size) noexcept:
    cdef Feed *feed = <Feed *>rest.BIO_get_data(bio)
    rest.BIO_clear_flags(bio, BIO_FLAGS_RETRY)
    if feed.size == 0 or feed.reads == 0:
        feed.stopped = feed.size != 0
        rest.BIO_set_flags(bio, BIO_FLAGS_READ_RETRY)
        return -1
    feed.reads -= 1
    if size > feed.size:
        size = <int>feed.size
    memcpy(into, feed.data, size)
    feed.data += size
    feed.size -= size
    return size


cdef int write_output(void *bio, const char *data, int size) noexcept:
    cdef Py_ssize_t room, wanted = output.size + size
    cdef char *larger
    rest.BIO_clear_flags(bio, BIO_FLAGS_RETRY)
    if wanted > output.room:
        room = wanted + wanted // 2 + 16384
        larger = <char *>realloc(NULL if output.lent else output.data, room)
        if larger == NULL:
            return -1
        if output.lent:
            memcpy(larger, output.data, output.size)
            output.lent = False
        output.data = larger
        output.room = room
    memcpy(output.data + output.size, data, size)
    output.size = wanted
    return size


cdef list lend_output(Py_ssize_t size, Output *before):
    """Have what becomes of C{size} bytes written where it is to be sent from, without a copy. What was
    written before is sent already; C{take_output} ends it."""
    cdef Py_ssize_t room = size + (size // RECORD + 1) * OVERHEAD + WAITING
    cdef list made = [PyBytes_FromStringAndSize(NULL, room)]
    before[0] = output
    output.data = PyBytes_AS_STRING(made[0])
    output.room = room
    output.lent = True
    return made


cdef bytes take_output(list made, Output before):
    """What was written since C{lend_output}."""
    cdef Output after = output
    output.data, output.room, output.size, output.lent = before.data, before.room, 0, False
    if not after.lent:
        # Records are shorter, or longer, than others: a client may want that (RFC 6066 section 4).
        try:
            made[0] = PyBytes_FromStringAndSize(after.data, after.size)
        finally:
            free(after.data)
    trim_last(made, after.size)
    return take_only(made)


cdef long control(void *bio, int command, long number, void *pointer) noexcept:
    return 1 if command == BIO_CTRL_FLUSH else 0


cdef int create(void *bio) noexcept:
    rest.BIO_set_init(bio, 1)
    return 1


# Tickets (RFC 5077 section 4, RFC 8446 section 4.6.1): whoever has a key can read what was said in
# a resumed session of TLS 1.2, so they go. They are made here, or by the parent of who shares them.

cdef bint make_key(TicketKey *key, long now) noexcept:
    key.made = 0
    if (
        rest.RAND_bytes(key.name, NAME) != 1 or rest.RAND_bytes(key.cipher, KEY) != 1
        or rest.RAND_bytes(key.mac, KEY) != 1
    ):
        return False
    key.made = now
    return True


cdef bint rotate(long now) noexcept:
    """Let both keys be such as may be used at C{now}; whether there is one to give out."""
    if shared:
        return True
    if keys[0].made and now - keys[0].made >= rotation:
        keys[1] = keys[0]
        keys[0].made = 0
    if keys[1].made and now - keys[1].made >= 2 * rotation:
        memset(&keys[1], 0, sizeof(TicketKey))
    return keys[0].made != 0 or make_key(&keys[0], now)


cdef const char *DIGEST = b"SHA256"


cdef int ticket_key(
    void *ssl, u8 *name, u8 *iv, void *cipher_context, void *mac_context, int encrypt
) noexcept:
    cdef timespec clock
    cdef TicketKey *key
    cdef OsslParam parameters[3]
    clock_gettime(CLOCK_MONOTONIC, &clock)
    if not rotate(clock.tv_sec + 1):  # (0 is none)
        return -1
    key = &keys[0]
    if encrypt:
        memcpy(name, key.name, NAME)
        if rest.RAND_bytes(iv, IV) != 1:
            return -1
    elif memcmp(name, key.name, NAME) != 0:
        key = &keys[1]
        if not key.made or memcmp(name, key.name, NAME) != 0:
            return 0
    memset(parameters, 0, sizeof(parameters))
    parameters[0].key = b"key"
    parameters[0].data_type = OCTETS
    parameters[0].data = key.mac
    parameters[0].data_size = KEY
    parameters[1].key = b"digest"
    parameters[1].data_type = UTF8
    parameters[1].data = <void *>DIGEST
    parameters[1].data_size = 6
    if rest.EVP_MAC_CTX_set_params(mac_context, parameters) != 1:
        return -1
    if encrypt:
        return rest.EVP_EncryptInit_ex(cipher_context, cipher, NULL, key.cipher, iv)
    if rest.EVP_DecryptInit_ex(cipher_context, cipher, NULL, key.cipher, iv) != 1:
        return -1
    # 2: it is good, and the client is given a new one, as a ticket of 1.3 is used once
    # (RFC 8446 appendix C.4).
    return 1 if key == &keys[0] and lib.SSL_version(ssl) < TLS1_3_VERSION else 2


def share_ticket_keys(bytes given):
    """
    Use these keys from now on, and make none here.

    @param given: the one that is given out, and the one before, if there is one; of each its name,
        that of AES-256 and that of HMAC-SHA256. Empty: make them here again.
    @raise ValueError: they are none.
    """
    global shared
    cdef Py_ssize_t size = PyBytes_GET_SIZE(given)
    cdef const u8 *at = <const u8 *>PyBytes_AS_STRING(given)
    cdef int i
    if size != 0 and size != NAME + 2 * KEY and size != 2 * (NAME + 2 * KEY):
        raise ValueError("no keys of tickets")
    memset(keys, 0, sizeof(keys))
    for i in range(<int>(size // (NAME + 2 * KEY))):
        memcpy(keys[i].name, at, NAME)
        memcpy(keys[i].cipher, at + NAME, KEY)
        memcpy(keys[i].mac, at + NAME + KEY, KEY)
        keys[i].made = 1
        at += NAME + 2 * KEY
    shared = size != 0


def age_ticket_keys(long seconds):
    """Let the keys of tickets be older by so much: for tests."""
    cdef int i
    for i in range(2):
        if keys[i].made:
            keys[i].made -= seconds


cdef class Context(OpensslContext):
    """
    What connections with one certificate have in common, see C{OpensslContext}.

    @raise ValueError: the library does not take the certificate; what it says.
    """

    def __init__(self, tuple chain, bytes key, bytes alpn, bytes ciphers, bytes scope, int tickets,
                 long lifetime, tuple authorities=(), bint optional=False, tuple revoked=()):
        self.make(rest.TLS_server_method(), TLS1_2_VERSION, MODES, OPTIONS, tickets)
        rest.SSL_CTX_set_timeout(self.context, lifetime)
        self.check(rest.SSL_CTX_set_cipher_list(self.context, ciphers))
        # A session is resumed with the same certificate alone.
        self.check(rest.SSL_CTX_set_session_id_context(
            self.context, <const u8 *>PyBytes_AS_STRING(scope), <unsigned>PyBytes_GET_SIZE(scope)))
        self.check(rest.SSL_CTX_set_tlsext_ticket_key_evp_cb(self.context, <void *>ticket_key))
        self.speak(alpn)
        self.use(chain, key)
        if authorities:
            self.ask_clients(authorities, optional)
            if revoked:
                self.revoke(revoked)

    cdef int make(
        self, void *method, long oldest, long modes, uint64_t options, size_t tickets
    ) except -1:
        """Make it, of nothing.

        @param oldest: the version of TLS below which nothing is spoken.
        @param tickets: how many are given out behind a handshake.
        """
        lib.ERR_clear_error()
        self.lib = &lib
        self.context = rest.SSL_CTX_new(method)
        if self.context == NULL:
            raise MemoryError
        self.check(rest.SSL_CTX_ctrl(
            self.context, CTRL_SET_MIN_PROTO_VERSION, oldest, NULL) == 1)
        rest.SSL_CTX_ctrl(self.context, CTRL_MODE, modes, NULL)
        # Sessions are in their tickets, and nowhere else.
        rest.SSL_CTX_ctrl(self.context, CTRL_SET_SESS_CACHE_MODE, 0, NULL)
        rest.SSL_CTX_set_options(self.context, options)
        self.check(rest.SSL_CTX_set_ciphersuites(self.context, SUITES))
        self.check(rest.SSL_CTX_set_num_tickets(self.context, tickets) == 1)
        return 0

    cdef int ask_clients(self, tuple authorities, bint optional) except -1:
        """Ask clients for a certificate that one of C{authorities} vouches for, and say of whom."""
        self.trust(authorities, True)
        self.check(rest.X509_STORE_set_flags(
            rest.SSL_CTX_get_cert_store(self.context), PARTIAL_CHAIN))
        self.verify(optional)
        return 0

    cdef int trust(self, tuple authorities, bint tell) except -1:
        """Believe these; C{tell} clients whom."""
        cdef const u8 *at
        cdef void *found
        cdef bint good
        cdef void *store = rest.SSL_CTX_get_cert_store(self.context)
        for der in authorities:
            at = <const u8 *>PyBytes_AS_STRING(der)
            found = rest.d2i_X509(NULL, &at, PyBytes_GET_SIZE(der))
            self.check(found != NULL)
            good = rest.X509_STORE_add_cert(store, found) == 1 and (
                not tell or rest.SSL_CTX_add_client_CA(self.context, found) == 1
            )
            lib.X509_free(found)
            self.check(good)
        return 0

    cdef int verify(self, bint optional) except -1:
        """Let the other end show a certificate, and look at it."""
        rest.SSL_CTX_set_verify(
            self.context, VERIFY_PEER | (0 if optional else VERIFY_FAIL_IF_NO_PEER_CERT), NULL)
        self.asks_clients = True
        return 0

    cdef int revoke(self, tuple lists) except -1:
        """Refuse what these lists have; each authority needs one."""
        cdef const u8 *at
        cdef void *found
        cdef void *store = rest.SSL_CTX_get_cert_store(self.context)
        for der in lists:
            at = <const u8 *>PyBytes_AS_STRING(der)
            found = rest.d2i_X509_CRL(NULL, &at, PyBytes_GET_SIZE(der))
            self.check(found != NULL)
            good = rest.X509_STORE_add_crl(store, found)
            rest.X509_CRL_free(found)
            self.check(good)
        self.check(rest.X509_STORE_set_flags(store, CRL_CHECK_CHAIN))
        return 0

    cdef int use(self, tuple chain, bytes key) except -1:
        cdef const u8 *at
        cdef void *found
        cdef bytes der = chain[0]
        self.check(rest.SSL_CTX_use_certificate_ASN1(
            self.context, <int>PyBytes_GET_SIZE(der), <const u8 *>PyBytes_AS_STRING(der)))
        for each in chain[1:]:
            der = each
            at = <const u8 *>PyBytes_AS_STRING(der)
            found = rest.d2i_X509(NULL, &at, PyBytes_GET_SIZE(der))
            self.check(found != NULL)
            if rest.SSL_CTX_ctrl(self.context, CTRL_CHAIN_CERT, 0, found) != 1:
                lib.X509_free(found)
                self.check(False)
        at = <const u8 *>PyBytes_AS_STRING(key)
        found = rest.d2i_AutoPrivateKey(NULL, &at, PyBytes_GET_SIZE(key))
        self.check(found != NULL)
        taken = rest.SSL_CTX_use_PrivateKey(self.context, found)
        rest.EVP_PKEY_free(found)
        self.check(taken)
        self.check(rest.SSL_CTX_check_private_key(self.context))
        return 0

    cdef bytes peer_certificate(self, void *ssl):
        cdef void *found = lib.SSL_get1_peer_certificate(ssl)
        cdef u8 *at
        cdef int size
        if found == NULL:
            return None
        try:
            size = rest.i2d_X509(found, NULL)
            der = PyBytes_FromStringAndSize(NULL, max(size, 0))
            at = <u8 *>PyBytes_AS_STRING(der)
            if size <= 0 or rest.i2d_X509(found, &at) != size:
                raise MemoryError
            return der
        finally:
            lib.X509_free(found)

    cdef void *connection(self, Feed *feed) except NULL:
        """A new connection of a server, which reads what C{feed} has."""
        cdef void *bio
        cdef void *ssl = lib.SSL_new(self.context)
        if ssl == NULL:
            raise MemoryError
        bio = lib.BIO_new(method)
        if bio == NULL:
            lib.SSL_free(ssl)
            raise MemoryError
        rest.BIO_set_data(bio, feed)
        lib.SSL_set_bio(ssl, bio, bio)
        lib.SSL_set_accept_state(ssl)
        return ssl
