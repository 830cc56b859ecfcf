# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, binding=False
"""What a client's connection on the compiled path does with answers, and with bodies over data connections.

Of such a body here is how it begins and ends; in between it is a C{FastUpload} or C{FastDownload}.

The same in Python: C{subproxy.frontend.client_stream} (see C{subproxy.fastpath.twins}).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from twisted.internet.interfaces import ITCPTransport

from subproxy.fastpath._asking cimport answered_over
from subproxy.fastpath._bytes cimport u8
from subproxy.fastpath._channel cimport FastChannel
from subproxy.fastpath._client_sink cimport ClientSink
from subproxy.fastpath._context cimport FastContext
from subproxy.fastpath._download cimport FastDownload
from subproxy.fastpath._fallback cimport CLOSING, DOWNLOADING, IDLE, WAITING, ReplaceableConnection
from subproxy.fastpath._pending cimport PendingRequest
from subproxy.fastpath._response cimport Answer, bodiless_length, is_bodiless, write_head
from subproxy.fastpath._route_cache cimport RouteEntry
from subproxy.fastpath._upload cimport FastUpload
from subproxy.reactor._receive cimport MOST

from subproxy.fastpath import fallback as handover
from subproxy.relay.splice import LEAST
from subproxy.telemetry.close_reason import CloseReason

cdef enum:
    MOST_ANSWER = 65536  # bytes of an answer's body above which Python has it: what rides in a frame
    LEAST_APART = 16384  # bytes of an answer's body for which a system call costs less than to copy
    MOST_PARTIAL = 8192  # bytes that came behind a request above which likewise

cdef double NEVER = float("inf")
cdef long LEAST_SPLICED = LEAST


cdef class AnsweringConnection(ReplaceableConnection):
    """A connection of a client to which answers come, whose bodies may go over data connections."""

    cdef int take(self, const u8 *data, Py_ssize_t size) except -1:
        """Bytes came from the client."""
        raise NotImplementedError

    cdef int write(self, bytes data) except -1:
        """Write to the client."""
        if self.stream is not None:
            self.stream.cwrite(data)
        else:
            self.transport.write(data)
        return 0

    cdef int become(self, object slow) except -1:
        if self.stream is not None:
            # Of a body that was to be gathered a receive ended early.
            self.stream.most = MOST
        return ReplaceableConnection.become(self, slow)

    cdef int undelay(self) except -1:
        """Send what is written at once, whatever of it the client has not acknowledged."""
        self.undelayed = True
        if self.stream is not None or ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        return 0

    # Answers come.

    cdef int answered(self, Answer *answer) except -1:
        cdef FastContext path = self.path
        cdef FastChannel channel = self.channel
        cdef PendingRequest asked = self.asked
        cdef bint bodiless = asked.is_head or is_bodiless(answer.status)
        cdef bint stays
        cdef Py_ssize_t size = 0 if bodiless else answer.body_size
        cdef Py_ssize_t head_size
        cdef int64_t length
        cdef u8 id[256]
        cdef int id_size
        cdef u8 *begin
        cdef u8 *end
        cdef double now
        if size > MOST_ANSWER or self.stage != WAITING:
            return 0
        if asked.tunnel is not None:
            return self.begin_tunnel(answer)
        if answer.streamed:
            return 0
        if answer.bulk >= 0:
            return 0 if bodiless else self.begin_download(answer)
        if bodiless:
            length = bodiless_length(answer)
        else:
            length = size
            if answer.length >= 0 and answer.length != size:
                return 0
        stays = not asked.close and self.requests < path.most_requests and not path.draining
        date = path.date
        id_size = <int>(asked.put_id(id) - id)
        begin = path.room(answer.fields_size + 4 * answer.kept + answer.reason_size + 1024)
        end = write_head(
            begin, answer, length, <const u8 *>PyBytes_AS_STRING(date), PyBytes_GET_SIZE(date),
            id, id_size, not stays,
        )
        head_size = end - begin
        now = path.now()
        channel.drop(asked.number)
        answered_over(channel, False)
        self.unexpected()
        if size >= LEAST_APART and self.sinks().descriptor() >= 0:
            # Nothing waits before it: it goes at once, and is not copied.
            self.sink.write_both(
                <const char *>begin, head_size, <const char *>answer.body, size
            )
        else:
            data = PyBytes_FromStringAndSize(NULL, head_size + size)
            memcpy(PyBytes_AS_STRING(data), begin, head_size)
            memcpy(PyBytes_AS_STRING(data) + head_size, answer.body, size)
            self.write(data)
        if not self.writable:
            # It is logged when it has left, and until then the client is waited for.
            channel.tell()
            slow = handover.answered(self, answer.status, size, now, stays)
            self.become(slow)
            return self.forget() + 1
        if path.lines is not None:
            asked.log(
                path.lines, channel.name, answer.status, size, now - self.given,
                now - self.started, now - self.started,
            )
        if asked.way.tally is not None:
            asked.way.tally.count(
                answer.status, size, asked.received, now - self.started,
            )
        self.ended(stays, now, answer.status)
        return 1

    cdef int ended(self, bint stays, double now, int status) except -1:
        """The answer was written whole, and is logged: the next request, or the end."""
        cdef FastContext path = self.path
        cdef PendingRequest asked = self.asked
        path.answered += 1
        rest = self.rest
        member = self.channel.member
        asked.forget()
        self.channel = None
        self.rest = None
        if stays:
            self.stage = IDLE
            self.due = now + path.keepalive_timeout
            self.deadline = self.due - path.look_early
            if self.paused and rest is not None and PyBytes_GET_SIZE(rest) > MOST_PARTIAL:
                # To read on would add to it at each answer: Python serves what is here first.
                self.paused = False
                self.become(handover.idle(self))
                handover.held(self.slow, rest)
            else:
                if self.paused:
                    self.paused = False
                    self.transport.resumeProducing()
                if rest is not None and self.stage == IDLE:
                    self.take(<const u8 *>PyBytes_AS_STRING(rest), PyBytes_GET_SIZE(rest))
        elif rest is None and not self.paused:
            self.stage = CLOSING
            self.closed_for = CloseReason.LAST_ANSWER
            self.started = now
            self.deadline = 0.0
            self.transport.unregisterProducer()
            self.transport.loseConnection()
        else:
            self.stage = IDLE
            slow = handover.idle(self)
            handover.close(slow, rest, self.paused)
            self.paused = False
            self.become(slow)
        # Behind what the client asks next: that is as good for the guest as what others ask.
        return path.chooser.release(member, status)

    cdef int begin_tunnel(self, Answer *answer) except -1:
        """The answer to a request for a tunnel came; 0 if it is not one by which that begins here."""
        raise NotImplementedError

    # Bodies over data connections.

    cdef double patience(self) except? -1.0:
        """For how many seconds the answer to the request of the moment is waited for."""
        cdef RouteEntry way = self.asked.way
        return self.path.response_timeout if way.response_timeout < 0.0 else way.response_timeout

    cdef bytes promise(self, FastChannel channel, uint64_t number, int64_t length):
        cdef FastUpload upload = self.upload
        if self.sinks().plain() < 0:
            return None
        if upload is None:
            self.upload = upload = FastUpload.__new__(FastUpload)
            upload.front = self
            upload.sink = self.sinks()
        upload.begin(channel, number, length)
        return upload.token

    cdef bytes expect(self, FastChannel channel, uint64_t number):
        cdef FastDownload download = self.download
        if self.sinks().plain() < 0:
            return None
        if download is None:
            self.download = download = FastDownload.__new__(FastDownload)
            download.front = self
            download.sink = self.sinks()
        download.expect(channel, number)
        return download.token

    cdef int unexpected(self) except -1:
        if self.download is not None:
            (<FastDownload>self.download).unexpected()
        return 0

    cdef ClientSink sinks(self):
        if self.sink is None:
            self.sink = ClientSink.__new__(ClientSink)
            self.sink.bind(self.transport, self.stream)
        return self.sink

    cdef int upload_over(self) except -1:
        # Stopped it was for the body; the rest is the next request, or that its client leaves.
        self.stage = WAITING
        self.deadline = self.due = self.path.now() + self.patience()
        if self.stream is None:
            self.transport.resumeProducing()
        elif self.stream.connected and not self.stream.disconnecting:
            self.stream.startReading()
        return 0

    cdef int begin_download(self, Answer *answer) except -1:
        """Write the head of an answer whose body comes over a data connection; 0 if that is not
        for here."""
        cdef FastContext path = self.path
        cdef FastChannel channel = self.channel
        cdef PendingRequest asked = self.asked
        cdef FastDownload download
        cdef u8 id[256]
        cdef int id_size
        cdef long long acknowledged
        cdef u8 *begin
        cdef u8 *end
        if answer.ahead and not (
            self.download is not None and (<FastDownload>self.download).expected
        ):
            return 0
        if (
            answer.bulk < LEAST_SPLICED or not channel.bulk or not self.writable
            or (answer.length >= 0 and answer.length != answer.bulk)
        ):
            return 0
        if not self.sinks().untouched(&acknowledged):
            return 0
        download = self.download
        if download is None:
            self.download = download = FastDownload.__new__(FastDownload)
            download.front = self
            download.sink = self.sink
        answered_over(channel, True)
        download.channel = channel
        download.acknowledged = None if acknowledged < 0 else acknowledged
        download.stays = (
            not asked.close and self.requests < path.most_requests and not path.draining
        )
        download.head = PyBytes_FromStringAndSize(
            <const char *>answer.payload, answer.payload_size
        )
        if not self.undelayed:
            self.undelay()
        date = path.date
        id_size = <int>(asked.put_id(id) - id)
        begin = path.room(answer.fields_size + 4 * answer.kept + answer.reason_size + 1024)
        end = write_head(
            begin, answer, answer.bulk, <const u8 *>PyBytes_AS_STRING(date),
            PyBytes_GET_SIZE(date), id, id_size, not download.stays,
        )
        download.first_byte = path.now()
        self.stage = DOWNLOADING
        self.due = NEVER
        # Whether its client takes it, is looked at in each sweep.
        self.deadline = 0.0
        download.begin(answer, <const char *>begin, end - begin)
        return 1

    cdef bint end_came(self, int64_t length) except -1:
        if self.stage != DOWNLOADING:
            return False
        return (<FastDownload>self.download).end_came(length)

    cdef int download_over(self, object which) except -1:
        cdef FastDownload download = which
        cdef FastContext path = self.path
        cdef PendingRequest asked = self.asked
        cdef double now = path.now()
        self.channel.drop(asked.number)
        if path.lines is not None:
            asked.log(
                path.lines, self.channel.name, download.status, download.moved,
                download.first_byte - self.given, download.first_byte - self.started,
                now - self.started,
            )
        if asked.way.tally is not None:
            asked.way.tally.count_streamed(
                download.status, download.moved, asked.received,
                download.first_byte - self.started, now - self.started,
            )
        return self.ended(download.stays, now, download.status)
