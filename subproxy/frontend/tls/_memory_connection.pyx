# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""One connection over TLS by the libssl of a wheel: what it is given, and gives, it has in memory.

It is given one record at a time, as C{subproxy.frontend.tls.connection} says why. What is given has
been read when libssl returns, and what it has written is taken, so that both memories are empty
between two calls; but they stay as large as they were, so that large ones are replaced.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from subproxy.frontend.tls._connection cimport ROOM, CompiledTlsConnection
from subproxy.frontend.tls._openssl cimport WANT_READ, u8
from subproxy.frontend.tls._wheel_libssl cimport WheelContext, memory, memory_bio

from subproxy.frontend.tls import connection as _reference

cdef enum:
    HEAD = 5  # bytes before a record's content
    FIRST_TYPE = 20  # of a record
    LAST_TYPE = 23
    MAX_RECORD = ROOM + 2048  # bytes of encrypted content
    SPARE = 1024  # bytes that an idle connection may keep for each direction

if (_reference.HEAD, _reference.MAX_RECORD) != (HEAD, MAX_RECORD):
    raise ImportError("the reference has other records")
if _reference.TYPES != set(range(FIRST_TYPE, LAST_TYPE + 1)):
    raise ImportError("the reference has other types of record")


cdef class MemoryTlsConnection(CompiledTlsConnection):
    """See L{TlsConnection<subproxy.frontend.tls.connection.TlsConnection>}."""

    cdef void *source  # what libssl reads; it owns both
    cdef void *sink
    cdef u8 head[HEAD]  # of the record that has begun to come
    cdef int head_size
    cdef int left  # bytes of its content that have not come
    cdef bint garbled  # it can be none, so all is libssl's to refuse
    cdef Py_ssize_t largest  # that was given at once since source was made

    cdef int open(self) except -1:
        self.ssl = (<WheelContext?>self.context).connection(&self.source, &self.sink)
        return 0

    cdef void give_record(self) noexcept:
        """Give libssl what the feed has of one record, or all that cannot be one."""
        cdef const char *data = self.feed.data
        cdef Py_ssize_t size = self.feed.size
        cdef Py_ssize_t given = 0
        while self.head_size < HEAD and given < size and not self.garbled:
            self.head[self.head_size] = <u8>data[given]
            self.head_size += 1
            given += 1
            if self.head_size == 1:
                self.garbled = not FIRST_TYPE <= self.head[0] <= LAST_TYPE
            elif self.head_size == HEAD:
                self.left = self.head[3] << 8 | self.head[4]
                self.garbled = self.left > MAX_RECORD
        if self.garbled:
            given = size
        elif self.head_size == HEAD:
            size = min(<Py_ssize_t>self.left, size - given)
            given += size
            self.left -= <int>size
            if self.left == 0:
                self.head_size = 0
        if given:
            # If there is no memory for it, libssl lacks it, and refuses what comes behind it.
            memory.BIO_write(self.source, data, <int>given)
            self.feed.data += given
            self.feed.size -= given
            self.largest = max(self.largest, given)

    cdef int handshake(self) noexcept:
        cdef int n
        while True:
            self.give_record()
            n = self.lib.SSL_do_handshake(self.ssl)
            if n == 1 or self.feed.size == 0 or self.lib.SSL_get_error(self.ssl, n) != WANT_READ:
                break
        if n == 1:
            self.shrink()
        return n

    cdef int decrypt(self, char *into, Py_ssize_t room) noexcept:
        cdef int n
        self.give_record()
        n = self.lib.SSL_read(self.ssl, into, <int>room)
        self.feed.stopped = self.feed.size != 0
        if n > 0:
            self.shrink()
        return n

    cdef void shrink(self) noexcept:
        """Keep no large source. (Before libssl is content it must stay: it is asked what it lacks.)"""
        if self.largest > SPARE:
            self.replace(&self.source)
            self.largest = 0

    cdef Py_ssize_t written(self) noexcept:
        cdef char *at = NULL
        return 0 if self.ssl == NULL else memory.BIO_get_mem_data(self.sink, &at)

    cdef bytes take_written(self):
        cdef Py_ssize_t size = self.written()
        data = PyBytes_FromStringAndSize(NULL, size)
        if size:
            memory.BIO_read(self.sink, PyBytes_AS_STRING(data), <int>size)
        if size > SPARE:
            self.replace(&self.sink)
        return data

    cdef int write_much(self, const char *at, Py_ssize_t left) except -1:
        """Its own memory is written to, whatever the size."""
        return self.write_little(at, left)

    cdef void replace(self, void **bio) noexcept:
        """Another in the place of one that is empty."""
        cdef char *at = NULL
        cdef void *fresh
        if memory.BIO_get_mem_data(bio[0], &at) == 0:
            fresh = self.lib.BIO_new(memory.BIO_s_mem())
            if fresh != NULL:
                bio[0] = fresh
                # It frees the one that is not there any more, and keeps the other.
                self.lib.SSL_set_bio(self.ssl, self.source, self.sink)
