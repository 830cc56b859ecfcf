# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""Where the bytes of an answer go on a plain connection of a client: a C{ByteSink}.

What is written goes to the kernel at once where nothing waits before it, and into the transport
otherwise. Its socket can be spliced into when all that was written has left.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.string cimport memset

from subproxy.reactor._iovec cimport iovec, msghdr
from subproxy.reactor._stream cimport Stream
from subproxy.relay._byte_sink cimport ByteSink, RoomWaiter
from subproxy.relay._flow cimport tcp_info, window_left

from subproxy.frontend.hangup import Hangup, hangup
from subproxy.relay.socket_lease import can_lend, is_flushed, notify_when_flushed

cdef extern from "sys/socket.h" nogil:
    int MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL
    Py_ssize_t send(int, const void *, size_t, int)
    Py_ssize_t sendmsg(int, const msghdr *, int)
    int getsockopt(int, int, int, void *, unsigned *)

cdef extern from "netinet/in.h" nogil:
    int IPPROTO_TCP

cdef extern from "linux/tcp.h" nogil:
    int TCP_INFO

cdef enum:
    INFO_SIZE = 152  # bytes that a kernel tells at least
    ESTABLISHED = 1

cdef object UNHARMED = Hangup.NONE


cdef class ClientSink(ByteSink):
    """The sending side of one connection: C{bind} says of which, C{left} and C{closed} what became of it."""

    cdef int bind(self, object transport, Stream stream) except -1:
        self.transport = transport
        self.stream = stream
        self.told_descriptor = -1
        if stream is None and can_lend(transport):
            self.told_descriptor = transport.fileno()
        return 0

    cdef bint flushed(self) except -1:
        """Whether nothing that was written is still here."""
        cdef Stream stream = self.stream
        if stream is not None:
            return not (stream.out or stream.sending or stream.silent)
        return is_flushed(self.transport)

    cdef bint untouched(self, long long *acknowledged) except -1:
        """Whether its peer has closed nothing; and how many bytes it has taken, -1 if that is unknown.

        C{subproxy.frontend.hangup} and C{subproxy.frontend.tcp_info}, in one system call for TCP.
        """
        cdef tcp_info info
        cdef unsigned size = sizeof(info)
        cdef int fd = self.descriptor()
        acknowledged[0] = self.window = -1
        if fd < 0:
            return False
        if getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0 or size < INFO_SIZE:
            return hangup(self.transport) is UNHARMED
        acknowledged[0] = <long long>info.tcpi_bytes_acked
        if size == sizeof(info):
            self.window = window_left(&info)
        return info.tcpi_state == ESTABLISHED

    cdef Py_ssize_t room(self) except? -1:
        cdef Stream stream = self.stream
        if self.transport is None:
            return -1
        if stream is not None:
            return max(0, stream.patience - stream.outlen)
        return 0 if self.transport.producerPaused else self.transport.bufferSize

    cdef int write(self, const char *data, Py_ssize_t size, bint more) except -1:
        cdef Py_ssize_t sent = 0
        cdef int fd
        if self.transport is None:
            return 0
        fd = self.descriptor()
        if fd >= 0:
            # An error is for the transport to find.
            sent = max(0, send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL | (MSG_MORE if more else 0)))
        if sent < size:
            rest = PyBytes_FromStringAndSize(data + sent, size - sent)
            if self.stream is not None:
                self.stream.cwrite(rest)
            else:
                self.transport.write(rest)
        return 0

    cdef int write_both(
        self, const char *head, Py_ssize_t head_size, const char *data, Py_ssize_t size,
    ) except -1:
        """C{write} C{head}, and C{data} behind it, which lies elsewhere, by one system call."""
        cdef iovec parts[2]
        cdef msghdr header
        cdef Py_ssize_t sent = 0
        cdef int fd = self.descriptor()
        if fd >= 0:
            memset(&header, 0, sizeof(header))
            parts[0].iov_base = <void *>head
            parts[0].iov_len = head_size
            parts[1].iov_base = <void *>data
            parts[1].iov_len = size
            header.msg_iov = parts
            header.msg_iovlen = 2
            sent = max(0, sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL))
        if sent < head_size:
            self.write(head + sent, head_size - sent, True)
            sent = head_size
        if sent < head_size + size:
            self.write(data + (sent - head_size), head_size + size - sent, False)
        return 0

    cdef int wait_for_room(self, RoomWaiter waiter) except -1:
        self.waiter = waiter
        if waiter is not None:
            notify_when_flushed(self.transport)
        return 0

    cdef int descriptor(self) except? -2:
        cdef Stream stream = self.stream
        if self.transport is None:
            return -1
        if stream is None:
            return self.told_descriptor if self.told_descriptor >= 0 and self.flushed() else -1
        if stream.lent or stream.out or stream.sending or stream.silent:
            return -1
        return self.plain()

    cdef int plain(self) except? -2:
        """The descriptor of the socket, whether something still has to leave there or not; or -1."""
        cdef Stream stream = self.stream
        if self.transport is None:
            return -1
        if stream is None:
            return self.told_descriptor
        if (
            stream.fd < 0 or stream.TLS or not stream.native_write or not stream.connected
            or stream.disconnecting or stream.aborting or stream.dying
        ):
            return -1
        return stream.fd

    cdef int left(self) except -1:
        """All that was written has left: the transport tells its producer."""
        cdef RoomWaiter waiter = self.waiter
        if waiter is not None and self.flushed():
            self.waiter = None
            waiter.sink_has_room()
        return 0

    cdef int closed(self) except -1:
        """The connection is gone, or about to be."""
        cdef RoomWaiter waiter = self.waiter
        self.waiter = None
        self.transport = None
        self.stream = None
        if waiter is not None:
            waiter.sink_closed()
        return 0
