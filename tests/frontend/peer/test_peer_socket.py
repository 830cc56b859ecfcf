"""The data connection of a body to another worker, lent to who moves the rest, in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.peer.peer_data_pool import PeerDataPool
from subproxy.frontend.peer.peer_download import PeerDownload
from subproxy.frontend.peer.peer_socket import PeerSocket
from subproxy.frontend.peer.peer_upload import PeerUpload
from subproxy.wire import messages as m

TOKEN = b"t" * 16
LENGTH = 100_000
DESCRIPTOR = 77


class _Stream:
    """Whose bodies they are: what it hears."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.waits = False

    def upload_came(self, data: bytes) -> bool:
        self.heard.append(data)
        return not self.waits

    def upload_waits(self) -> bool:
        return self.waits

    def upload_complete(self, trailers: Any) -> None:
        self.heard.append("complete")

    def drained(self) -> None:
        self.heard.append("drained")

    def download_sent(self, trailers: Any, length: int) -> None:
        self.heard.append(length)

    def download_in_frames(self, held: bytes, trailers: Any) -> None:
        self.heard.append(held)


class _Transport(StringTransport):
    """That of a plain socket, all of whose bytes leave at once."""

    flushed = True

    def fileno(self) -> int:
        return DESCRIPTOR


class PeerSocketTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.made: list[Any] = []
        self.dialled: list[Deferred[Any]] = []
        self.pool = PeerDataPool(Clock(), self.dial, plain=True)
        self.stream: Any = _Stream()
        self.lent: list[Any] = []

    def dial(self, connection: Any) -> Deferred[Any]:
        self.made.append(connection)
        return Deferred()

    def answer(self) -> Any:
        """The other process is there, and takes the claim."""
        connection = self.made[-1]
        connection.makeConnection(_Transport())
        connection.dataReceived(m.Connect(1, TOKEN).encode())
        return connection

    def upload(self) -> tuple[PeerUpload, PeerSocket, Any]:
        upload = PeerUpload(self.stream, self.pool, 1, TOKEN, LENGTH)
        upload.want()
        return upload, PeerSocket(None, upload), self.answer()

    def lend(self, socket: PeerSocket, least: int = 1000) -> bool:
        return socket.lendReceiving(least, lambda *found: self.lent.append(found))

    def test_a_request(self) -> None:
        """All but what has come is lent, once; what was moved counts, and completes it."""
        upload, socket, connection = self.upload()
        connection.dataReceived(b"x" * 40_000)
        self.assertTrue(self.lend(socket))
        self.assertFalse(self.lend(socket))
        self.assertEqual([(DESCRIPTOR, 60_000)], self.lent)
        self.assertEqual("paused", connection.transport.producerState)
        upload.want()
        self.assertEqual("paused", connection.transport.producerState)
        socket.received(60_000)
        upload.ended(m.End(1, [], {b"length": LENGTH}))
        socket.returned()
        self.assertEqual("complete", self.stream.heard[-1])
        self.assertEqual("producing", connection.transport.producerState)
        socket.returned()
        self.assertFalse(self.lend(socket))

    def test_what_waits_goes_first(self) -> None:
        """While some of it is here that the guest does not take, nothing is lent."""
        upload, socket, connection = self.upload()
        self.stream.waits = True
        connection.dataReceived(b"x" * 40_000)
        self.assertTrue(self.lend(socket))
        self.assertEqual([], self.lent)
        self.assertEqual("paused", connection.transport.producerState)
        self.stream.waits = False
        upload.want()
        self.assertEqual("producing", connection.transport.producerState)
        self.assertTrue(self.lend(socket))
        self.assertEqual([(DESCRIPTOR, 60_000)], self.lent)

    def test_too_little(self) -> None:
        """It is not worth while."""
        _, socket, connection = self.upload()
        connection.dataReceived(b"x" * 99_500)
        self.assertFalse(self.lend(socket))
        self.assertFalse(PeerSocket(None, None).lendReceiving(1, self.fail))
        self.assertFalse(PeerSocket(None, None).lendSending(self.fail))

    def test_given_back_unused(self) -> None:
        """Then what comes is read again."""
        _, socket, connection = self.upload()
        self.lend(socket)
        socket.received(10_000)
        socket.returned()
        self.assertEqual("producing", connection.transport.producerState)
        connection.dataReceived(b"x" * 90_000)
        self.assertEqual([b"x" * 90_000], self.stream.heard)

    def test_an_answer(self) -> None:
        """It is lent when its connection has claimed, and what was moved counts."""
        download = PeerDownload(self.stream, self.pool, 1, LENGTH)
        socket = PeerSocket(download, None)
        self.assertTrue(socket.lendSending(self.lent.append))
        download.write(b"x" * 1000)
        download.connect(TOKEN)
        self.assertEqual([], self.lent)
        connection = self.answer()
        self.assertEqual([DESCRIPTOR], self.lent)
        self.assertEqual(b"x" * 1000, connection.transport.value()[-1000:])
        socket.sent(LENGTH - 1000)
        download.end([])
        self.assertEqual(LENGTH, self.stream.heard[-1])
        self.assertFalse(socket.lendSending(self.lent.append))

    def test_an_answer_in_frames(self) -> None:
        """Who waits for the descriptor hears that there is none."""
        download = PeerDownload(self.stream, self.pool, 1, LENGTH)
        PeerSocket(download, None).lendSending(self.lent.append)
        download.connect(TOKEN)
        self.made[-1].refused("it is gone")
        self.assertEqual(([b""], [-1]), (self.stream.heard, self.lent))

    def test_it_breaks(self) -> None:
        """Whoever moves it finds that first."""
        self.stream.data_lost = self.stream.heard.append
        download = PeerDownload(self.stream, self.pool, 1, LENGTH)
        download.connect(TOKEN)
        self.answer()
        PeerSocket(download, None).broke()
        self.assertIn("gone", self.stream.heard[-1])
