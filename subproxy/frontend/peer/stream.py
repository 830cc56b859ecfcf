"""
One request that another process has passed on: what its guest answers goes back as frames, and a
large body over a data connection.

It is to an exchange what a client's stream is. What the request may be, the process that has the
client has checked; it also writes the access log.

Compiled a second time: L{subproxy.fastpath._peer} and L{subproxy.fastpath._peer_frames} (see
L{subproxy.fastpath.twins}).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from zope.interface import implementer

from subproxy.core.exchange import Exchange, Headers, RequestHead, ResponseHead
from subproxy.core.interfaces import IResponseSink
from subproxy.core.states import TransitionTable
from subproxy.errors import ClientGone, GuestRefused, ProxyError
from subproxy.frontend.error_pages import error_page
from subproxy.frontend.limits import READ_SIZE
from subproxy.frontend.peer.peer_data_pool import PeerDataPool
from subproxy.frontend.peer.peer_download import PeerDownload
from subproxy.frontend.peer.peer_socket import PeerSocket
from subproxy.frontend.peer.peer_tunnel import PeerTunnel
from subproxy.frontend.peer.peer_upload import PeerUpload
from subproxy.wire import messages as m
from subproxy.wire.connection import WireConnection
from subproxy.wire.errors import TooLarge
from subproxy.wire.fields import Info
from subproxy.wire.states import Side


class PeerAnswer(Enum):
    """Where an answer is in its life."""

    WAITING = auto()
    """Nothing of the final response has been said."""
    STREAMING = auto()
    """Its head has; its body follows."""
    ENDED = auto()
    """Of a tunnel: all of the guest's half has, and the client's goes on."""
    DONE = auto()
    """All of it has, or never will be."""


TRANSITIONS: TransitionTable[PeerAnswer] = TransitionTable(
    {
        PeerAnswer.WAITING: [PeerAnswer.STREAMING, PeerAnswer.DONE],
        PeerAnswer.STREAMING: [PeerAnswer.ENDED, PeerAnswer.DONE],
        PeerAnswer.ENDED: [PeerAnswer.DONE],
        PeerAnswer.DONE: [],
    }
)


class PeerShell(Protocol):
    """
    The connection, as a request on it sees it.

    @ivar wire: its state.
    @ivar writable: the other process reads what is written.
    @ivar data: what data connections are had from; None: there are none.
    @ivar bulk: bytes from which the other process wants a body over one; None: it wants none so.
    """

    wire: WireConnection
    writable: bool
    data: PeerDataPool | None
    bulk: int | None

    def flush(self) -> None:
        """Write what was said, unless a turn is under way."""

    def over(self, number: int) -> None:
        """That exchange needs nothing more."""


@implementer(IResponseSink)
class PeerStream:
    """
    See above.

    @param token: of the request's body, if that comes over a data connection.
    @ivar exchange: its exchange.
    @ivar answer: how far its answer is.
    """

    supports_interim = True
    read_size = READ_SIZE

    def __init__(
        self,
        shell: PeerShell,
        number: int,
        request: RequestHead,
        body: bytes | None,
        token: bytes | None = None,
    ):
        self._shell = shell
        self._wire = shell.wire
        self._number = number
        self._owed = 0
        self._takes = False
        self._due = 0  # bytes of a promised body that are still to come in frames
        self._held = bytearray()
        self._trailers: Headers | None = None
        self._download: PeerDownload | None = None
        self._upload: PeerUpload | None = None
        self._tunnel: PeerTunnel | None = None
        self.answer = PeerAnswer.WAITING
        self.exchange = Exchange(request, body, self)
        if token is not None:
            assert shell.data is not None
            assert request.length is not None
            self._upload = PeerUpload(self, shell.data, number, token, request.length)

    def _go(self, answer: PeerAnswer) -> None:
        self.answer = TRANSITIONS.move(self.answer, answer)

    # What the other process says.

    def body(self, data: bytes) -> None:
        """Some of the request's body came."""
        if self._upload is None and self._due:
            self._due -= len(data)
        if self._takes and not self._held:
            self._pass(data)
        else:
            self._held += data

    def end(self, message: m.End) -> None:
        """The request's body is complete."""
        if self._upload is not None:
            self._upload.ended(message)
        elif self._tunnel is not None and self._tunnel.receives:
            self._tunnel.ended(message)
        elif self._due:
            # It went over a data connection that has broken before anything came.
            self.data_lost("the end of a body that has not come")
        else:
            self.upload_complete(message.trailers)

    def connect(self, token: bytes) -> None:
        """The other process has made a token for the response's body, or for the tunnel."""
        data = self._shell.data
        if self._download is not None:
            self._download.connect(token)
        elif data is not None and self.exchange.tunnel is not None and self._tunnel is None:
            connection = data.another()
            if connection is not None:
                self._tunnel = PeerTunnel(self, connection, self._number, self._wire)
                self._tunnel.claim(token)

    def moved(self, length: int) -> None:
        """The client's half of a tunnel goes on over its data connection."""
        if self._tunnel is None:
            self.data_lost("the tunnel has no data connection any more")
        else:
            self._tunnel.moved(length)

    def credit(self) -> None:
        """More of the response may be said in frames."""
        if (
            self.answer is PeerAnswer.STREAMING
            and not self._leaves_frames
            and not self._wire.pending(self._number)
        ):
            self.drained()

    @property
    def _leaves_frames(self) -> bool:
        """Whether what the guest still sends goes over a data connection."""
        return self._download is not None or (self._tunnel is not None and self._tunnel.sends)

    def dispatched(self) -> None:
        """Somebody is to answer it: have the request's body come, if nobody is to be asked."""
        if self._upload is not None and not self.exchange.request.expect:
            self._upload.want()

    def drained(self) -> None:
        """The other process reads on: the guest may send as much again."""
        owed, self._owed = self._owed, 0
        if owed:
            self.exchange.response_consumed(owed)

    def cancel(self, error: ProxyError) -> None:
        """Nobody waits for the answer any more."""
        self._release()
        if self.answer is not PeerAnswer.DONE:
            self._go(PeerAnswer.DONE)
            self.exchange.cancel(error)

    def _pass(self, data: bytes) -> None:
        self.exchange.request_data(data)
        if self._upload is None:
            self._wire.consumed(self._number, len(data))

    def _release(self) -> None:
        """No data connection is of use any more."""
        for each in (self._upload, self._download):
            if each is not None:
                each.release()
        if self._tunnel is not None:
            self._tunnel.release(theirs_ended=self.exchange.ended)

    # PeerUpload's user.

    def upload_came(self, data: bytes) -> bool:
        """See L{UploadStream<subproxy.frontend.peer.peer_upload.UploadStream>}."""
        self.body(data)
        return self._takes and not self._held

    def upload_waits(self) -> bool:
        """See L{UploadStream<subproxy.frontend.peer.peer_upload.UploadStream>}."""
        return bool(self._held)

    def upload_complete(self, trailers: Headers) -> None:
        """See L{UploadStream<subproxy.frontend.peer.peer_upload.UploadStream>}."""
        if self._held:
            self._trailers = trailers
        else:
            self._end_request(trailers)

    def _end_request(self, trailers: Headers) -> None:
        self.exchange.request_end(trailers)
        if self.answer is PeerAnswer.ENDED:
            self._done()

    def upload_in_frames(self) -> None:
        """See L{UploadStream<subproxy.frontend.peer.peer_upload.UploadStream>}."""
        self._upload = None
        self._due = self.exchange.request.length or 0
        if self._takes:
            self._ask_for_body()

    # PeerDownload's user.

    def download_sent(self, trailers: Headers, length: int) -> None:
        """See L{DownloadStream<subproxy.frontend.peer.peer_download.DownloadStream>}."""
        if self._speaks:
            self._wire.end_body(self._number, trailers, {b"length": length})
        self._done()
        self._shell.flush()

    def download_in_frames(self, held: bytes, trailers: Headers | None) -> None:
        """See L{DownloadStream<subproxy.frontend.peer.peer_download.DownloadStream>}."""
        self._download = None
        if self._speaks:
            if held and not self._wire.write_body(self._number, held) and self._shell.writable:
                self.drained()
            if trailers is not None:
                self.responseEnded(trailers)
            self._shell.flush()

    # PeerTunnel's user.

    def tunnel_moves(self) -> None:
        """See L{MovedTunnelStream<subproxy.frontend.peer.peer_tunnel.MovedTunnelStream>}."""
        self._shell.flush()

    def tunnel_request_ended(self) -> None:
        """See L{MovedTunnelStream<subproxy.frontend.peer.peer_tunnel.MovedTunnelStream>}."""
        self.upload_complete([])

    def tunnel_in_frames(self) -> None:
        """See L{MovedTunnelStream<subproxy.frontend.peer.peer_tunnel.MovedTunnelStream>}."""
        self._tunnel = None

    # Of all three.

    def data_lost(self, reason: str) -> None:
        """The other process gets no whole answer, and the guest nobody who waits for it."""
        self._abort(b"error", reason.encode())
        self.exchange.cancel(ClientGone())

    # IResponseSink.

    def interimReceived(self, status: int, headers: Headers) -> int:
        """Pass an interim response on; what asks for the body is the credit for it."""
        if status == 100:
            self.requestResumed()
        elif self._speaks and self.answer is PeerAnswer.WAITING:
            self._wire.send(m.Response(self._number, status, headers, {}, b""))
            self._shell.flush()
        return 0

    def responseStarted(self, head: ResponseHead, body: bytes | None) -> None:
        """Say the head, and the body if it is here."""
        if self.answer is not PeerAnswer.WAITING:
            return
        headers = head.headers
        if head.length is not None and (body is None or head.bodiless):
            headers = [*headers, (b"Content-Length", b"%d" % head.length)]
        info = {b"reason": head.reason} if head.reason else {}
        self._go(PeerAnswer.STREAMING)
        if not self._speaks:
            return
        inline = body is not None and len(body) <= self._wire.peer_limits.inline
        response = m.Response(self._number, head.status, headers, info, body if inline else None)
        if body is None:
            response.body = self._announced(head)
        try:
            self._wire.send(response)
        except TooLarge:
            inline, response.body, self._download = False, None, None
            try:
                self._wire.send(response)
            except TooLarge:
                self._abort(b"error", b"its head is too large")
                return
        if body is not None:
            if not inline:
                self._wire.write_body(self._number, body)
                self._wire.end_body(self._number)
            self._done()
        self._shell.flush()

    def _announced(self, head: ResponseHead) -> Info | None:
        """What the head says of a body that is not in it."""
        data, least, length = self._shell.data, self._shell.bulk, head.length
        if data is None or least is None:
            return None
        if not head.large if length is None else not 0 < least <= length:
            return None
        self._download = PeerDownload(self, data, self._number, length)
        return {} if length is None else {b"length": length}

    def tunnelStarted(self, head: ResponseHead, protocol: bytes) -> None:
        """The guest changes to a protocol of which nobody here knows anything."""
        if self.answer is not PeerAnswer.WAITING:
            return
        self._go(PeerAnswer.STREAMING)
        if self._speaks:
            self._wire.send(m.Response(self._number, head.status, head.headers, {}, None))
        self.requestResumed()

    def bodyReceived(self, data: bytes) -> None:
        """Say some of the body, as far as there is credit."""
        if self.answer is not PeerAnswer.STREAMING or not self._speaks:
            return
        self._owed += len(data)
        if self._download is not None:
            more = self._download.write(data)
        elif self._tunnel is not None and self._tunnel.sends:
            more = self._tunnel.write(data)
        else:
            more = not self._wire.write_body(self._number, data) and self._shell.writable
            self._shell.flush()
        if more:
            self.drained()

    def responseEnded(self, trailers: Headers) -> None:
        """Say the end of the body."""
        if self.answer is not PeerAnswer.STREAMING:
            return
        if self._download is not None:
            self._download.end(trailers)
            return
        if self._tunnel is not None and self._tunnel.sends:
            self._tunnel.end()
        elif self._speaks:
            self._wire.end_body(self._number, trailers, self._wire.framed_end(self._number))
        if self.exchange.tunnel is None or self.exchange.ended:
            self._done()
        else:
            self._go(PeerAnswer.ENDED)
        self._shell.flush()

    def responseFailed(self, error: ProxyError) -> None:
        """Say what went wrong: as the page that a client gets, or by breaking off."""
        if self.answer is PeerAnswer.WAITING and not isinstance(error, GuestRefused):
            request = self.exchange.request
            self.responseStarted(*error_page(error, request.method, request.request_id))
        elif self.answer is not PeerAnswer.DONE:
            code = b"refused" if self.answer is PeerAnswer.WAITING else b"error"
            self._abort(code, str(error).encode("utf-8", "replace")[:1024])

    def requestPaused(self) -> None:
        """Take no more of the request's body."""
        self._takes = False

    def requestResumed(self) -> None:
        """Take the request's body."""
        self._takes = True
        held, self._held = bytes(self._held), bytearray()
        if held:
            self._pass(held)
        trailers = self._trailers
        if trailers is not None and not self._held:
            self._trailers = None
            self._end_request(trailers)
        if self._tunnel is not None:
            self._tunnel.want()
        if self._upload is None:
            self._ask_for_body()
        elif self._takes and not self._held:
            self._upload.want()

    def _ask_for_body(self) -> None:
        if self._speaks:
            # Where the other process waits to be asked, that is the credit for all.
            self._wire.consumed(self._number, 0)
            self._shell.flush()

    def clientSocket(self) -> PeerSocket | None:
        """That of a data connection, if it is a plain one."""
        data = self._shell.data
        if data is None or not data.plain or (self._download is None and self._upload is None):
            return None
        return PeerSocket(self._download, self._upload)

    @property
    def _speaks(self) -> bool:
        """Whether the exchange is known on the wire, which the other process may have ended."""
        return (
            self._number in self._wire.exchanges
            and self._wire.ours in (Side.OPEN, Side.DRAINING)
            and self.answer is not PeerAnswer.DONE
        )

    def _abort(self, code: bytes, reason: bytes) -> None:
        if self._speaks:
            self._wire.send(m.Abort(self._number, code, reason))
            self._shell.flush()
        self._done()

    def _done(self) -> None:
        self._release()
        if self.answer is not PeerAnswer.DONE:
            self._go(PeerAnswer.DONE)
        self._shell.over(self._number)
