# One connection over TLS. See _connection.pyx.
from subproxy.frontend.tls._above_socket cimport AboveSocket
from subproxy.frontend.tls._openssl cimport Libssl, OpensslContext
from subproxy.reactor._receive cimport Receiver

cdef enum:
    ROOM = 16384  # bytes of plain text in a record

# Whoever is given plain text may write a zero behind it.
cdef char scratch[ROOM + 64]


cdef class CompiledTlsConnection(AboveSocket):
    cdef const Libssl *lib
    cdef void *ssl
    cdef OpensslContext context
    cdef object listener
    cdef object told
    cdef readonly object inner
    cdef Receiver receiver  # inner, if it is compiled
    cdef public object tls  # a ClientTls
    cdef public double deadline
    cdef long odd

    cdef int open(self) except -1
    cdef int handshake(self) noexcept
    cdef int decrypt(self, char *into, Py_ssize_t room) noexcept
    cdef Py_ssize_t written(self) noexcept
    cdef bytes take_written(self)
    cdef bint read_record(self) except -1
    cdef bint read_records(self) except -1
    cdef int next_data(self, char *into, Py_ssize_t room) except? -2
    cdef bint no_data(self, int error, bint answered) except -1
    cdef int write_little(self, const char *at, Py_ssize_t left) except -1
    cdef int write_much(self, const char *at, Py_ssize_t left) except -1
    cdef int flush_odd(self, bint odd) except -1
    cdef int inner_reads_no_more(self) except -1
    cdef int broke(self) except -1
    cdef int flush(self) except -1
    cdef int close_notify(self) except -1
