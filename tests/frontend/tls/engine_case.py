"""What a connection over TLS does, with whatever library."""

from __future__ import annotations

import ssl
import warnings
from typing import Any
from unittest import SkipTest

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, ISSLTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from subproxy.frontend.tls.connection import ODD_RECORDS
from subproxy.frontend.tls.interfaces import ITlsEngine
from tests.rigs.key_update_client import KeyUpdateClient
from tests.rigs.tls_line import AUTHORITY, Line, WholeProtocol


class EngineCase(SynchronousTestCase):
    """For a subclass that has an engine."""

    def engine(self) -> ITlsEngine:
        raise NotImplementedError

    def line(self, *args: Any, **options: Any) -> Line:
        return Line(self.engine(), *args, **options)

    def shaken(self, *args: Any, **options: Any) -> Line:
        line = self.line(*args, **options)
        line.shake()
        self.assertTrue(line.client.ready)
        return line


class ConnectionTestsMixin:
    """The tests, for every engine: see L{EngineCase}."""

    def test_interfaces(self: Any) -> None:
        line = self.shaken()
        verifyObject(ISSLTransport, line.server)
        verifyObject(IHalfCloseableProtocol, line.server)

    def test_both_ways(self: Any) -> None:
        line = self.shaken()
        self.assertEqual(line.client.tls.version(), "TLSv1.3")
        self.assertEqual(line.client.tls.selected_alpn_protocol(), "http/1.1")
        line.say(b"hello")
        self.assertEqual(line.inner.data, b"hello")
        line.inner.transport.write(b"good ")
        line.inner.transport.writeSequence([b"d", b"ay"])
        self.assertEqual(line.hear(), b"good day")
        line.inner.transport.write(b"")
        self.assertEqual(line.take(), b"")
        self.assertEqual(line.counts, {"full": 1})

    def test_tls_1_2(self: Any) -> None:
        context = AUTHORITY.client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        line = self.shaken(context=context)
        self.assertEqual(line.client.tls.version(), "TLSv1.2")
        self.assertIn("GCM", line.client.tls.cipher()[0])
        line.say(b"hello")
        self.assertEqual(line.inner.data, b"hello")

    def test_no_older_version(self: Any) -> None:
        context = AUTHORITY.client_context()
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        line = self.line(context=context)
        self.assertRaises(ssl.SSLError, line.shake)
        self.assertTrue(line.transport.disconnecting)
        self.assertEqual(line.counts, {"failed": 1})

    def test_no_common_protocol(self: Any) -> None:
        """Who offers only others gets none, and HTTP/1.1: it may not have meant it."""
        line = self.shaken(context=AUTHORITY.client_context(("spdy/1",)))
        self.assertIsNone(line.client.tls.selected_alpn_protocol())

    def test_no_alpn(self: Any) -> None:
        self.shaken(context=AUTHORITY.client_context(()))

    def test_every_byte_by_itself(self: Any) -> None:
        line = self.line()
        line.shake(1)
        line.say(b"hello" * 10, 1)
        self.assertEqual(line.inner.data, b"hello" * 10)

    def test_data_behind_the_handshake(self: Any) -> None:
        """In one read with its last message."""
        line = self.line()
        line.server.dataReceived(line.client.start())
        last = line.client.feed(line.take())
        line.server.dataReceived(last + line.client.send(b"hello") + line.client.close())
        self.assertEqual(line.inner.events, [b"hello", "read lost"])

    def test_much(self: Any) -> None:
        line = self.shaken()
        data = bytes(range(256)) * 4096
        line.say(data, 65536)
        self.assertEqual(line.inner.data, data)
        line.inner.transport.write(data)
        self.assertEqual(line.hear(), data)

    def test_resumed(self: Any) -> None:
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            context = AUTHORITY.client_context()
            context.maximum_version = version
            first = self.shaken(context=context)
            again = self.shaken(
                context=context, session=first.client.tls.session, contexts=first.contexts
            )
            self.assertTrue(again.client.tls.session_reused)
            self.assertEqual(again.counts, {"resumed": 1})

    def test_resumed_again_and_again(self: Any) -> None:
        """Each time with what the client was given last: it uses no ticket of 1.3 twice."""
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            context = AUTHORITY.client_context()
            context.maximum_version = version
            line = self.shaken(context=context)
            for _ in range(4):
                before = line.client.tls.session
                line = self.shaken(context=context, session=before, contexts=line.contexts)
                self.assertTrue(line.client.tls.session_reused)
                fresh = line.client.tls.session.id != before.id
                self.assertEqual(fresh, version is ssl.TLSVersion.TLSv1_3)

    def test_not_resumed_with_another_certificate(self: Any) -> None:
        for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            context = AUTHORITY.client_context()
            context.maximum_version = version
            first = self.shaken(context=context)
            other = self.shaken(
                "c.example",
                context=context,
                session=first.client.tls.session,
                contexts=first.contexts,
            )
            self.assertFalse(other.client.tls.session_reused)

    def test_close_notify_of_the_client(self: Any) -> None:
        """It sends no more, and still gets what is sent."""
        line = self.shaken()
        line.move(line.client.close())
        self.assertEqual(line.inner.events, ["read lost"])
        line.server.readConnectionLost()
        self.assertEqual(line.inner.events, ["read lost"])
        line.inner.transport.write(b"bye")
        line.inner.transport.loseConnection()
        self.assertEqual(line.hear(), b"bye")
        self.assertTrue(line.transport.disconnecting)

    def test_close_notify_to_who_knows_no_half(self: Any) -> None:
        line = self.shaken(inner=WholeProtocol)
        line.move(line.client.close())
        self.assertTrue(line.transport.disconnecting)

    def test_fin_without_close_notify(self: Any) -> None:
        """The client is gone: anybody could have sent that."""
        line = self.shaken()
        inner = line.inner
        line.server.readConnectionLost()
        self.assertEqual(inner.events, ["lost"])

    def test_our_close_notify(self: Any) -> None:
        line = self.shaken()
        line.inner.transport.write(b"bye")
        line.inner.transport.loseConnection()
        line.inner.transport.write(b"nobody hears that")
        line.inner.transport.loseConnection()
        self.assertEqual(line.hear(), b"bye")
        self.assertTrue(line.client.closed)
        self.assertTrue(line.transport.disconnecting)
        line.say(b"too late")
        self.assertEqual(line.inner.events, [])

    def test_none_if_it_breaks_off(self: Any) -> None:
        line = self.shaken()
        line.inner.transport.write(b"hal")
        line.inner.transport.abortConnection()
        self.assertEqual(line.hear(), b"hal")
        self.assertFalse(line.client.closed)
        self.assertTrue(line.transport.aborted)

    def test_half_close(self: Any) -> None:
        """Our half: what comes is dropped until the client closes, too."""
        line = self.shaken()
        line.inner.transport.loseWriteConnection()
        self.assertTrue(line.transport.halfClosed)
        line.say(b"dropped")
        line.server.readConnectionLost()
        self.assertEqual(line.inner.events, ["read lost"])
        line.inner.transport.loseConnection()
        self.assertTrue(line.transport.disconnecting)

    def test_half_close_behind_the_client_s(self: Any) -> None:
        line = self.shaken()
        line.move(line.client.close())
        line.inner.transport.loseWriteConnection()
        self.assertTrue(line.transport.disconnecting)
        self.assertTrue(line.hear() == b"" and line.client.closed)

    def test_lost(self: Any) -> None:
        line = self.shaken()
        inner = line.inner
        line.server.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(inner.events, ["lost"])

    def test_damaged_record(self: Any) -> None:
        line = self.shaken()
        data = bytearray(line.client.send(b"hello"))
        data[-1] ^= 1
        line.server.dataReceived(bytes(data))
        self.assertEqual(line.inner.events, [])
        self.assertTrue(line.transport.disconnecting)
        # An alert says why.
        self.assertRaises(ssl.SSLError, line.client.feed, line.take())
        line.server.dataReceived(b"more")
        self.assertEqual(line.inner.events, [])

    def test_damaged_behind_much(self: Any) -> None:
        """What came whole before it, in the same read, is given on; then an alert says so."""
        line = self.shaken()
        data = bytes(range(256)) * 160
        damaged = bytearray(line.client.send(data) + line.client.send(b"more"))
        damaged[-1] ^= 1
        line.server.dataReceived(bytes(damaged))
        self.assertEqual(line.inner.data, data)
        self.assertTrue(line.transport.disconnecting)
        with self.assertRaises(ssl.SSLError) as caught:
            line.hear()
        self.assertIn("BAD_RECORD_MAC", str(caught.exception))

    def test_the_end_behind_much(self: Any) -> None:
        line = self.shaken()
        data = bytes(range(256)) * 160
        line.server.dataReceived(line.client.send(data) + line.client.close())
        self.assertEqual(line.inner.data, data)
        self.assertEqual(line.inner.events[-1], "read lost")

    def test_an_answer_while_much_comes(self: Any) -> None:
        """Whoever is given data may write, much or little, and close."""
        for size in (5, 8192, 8193, 100_000):
            line = self.shaken()
            inner = line.inner
            answer = bytes(range(251)) * (size // 251 + 1)

            def received(data: bytes, inner: Any = inner, answer: bytes = answer) -> None:
                inner.events.append(data)
                inner.transport.write(answer)
                inner.transport.loseConnection()

            inner.dataReceived = received
            line.server.dataReceived(line.client.send(bytes(40_000)))
            self.assertEqual(line.hear(), answer)
            self.assertTrue(line.client.closed)

    def test_paused(self: Any) -> None:
        """What is here waits, and comes in a turn of its own."""
        line = self.shaken()
        inner = line.inner
        data = line.client.send(b"one") + line.client.send(b"two")
        inner.dataReceived = lambda data: (
            inner.events.append(data),
            inner.transport.pauseProducing(),
        )
        line.server.dataReceived(data)
        self.assertEqual(inner.events, [b"one"])
        self.assertEqual(line.transport.producerState, "paused")
        inner.transport.resumeProducing()
        inner.transport.resumeProducing()
        self.assertEqual(inner.events, [b"one"])
        line.clock.advance(0)
        self.assertEqual(inner.events, [b"one", b"two"])
        self.assertEqual(line.transport.producerState, "paused")
        inner.transport.resumeProducing()
        line.clock.advance(0)
        self.assertEqual(line.transport.producerState, "producing")

    def test_what_comes_before_that_turn(self: Any) -> None:
        """It waits behind what is here."""
        line = self.shaken()
        inner = line.inner
        inner.transport.pauseProducing()
        line.server.dataReceived(line.client.send(b"one"))
        inner.transport.resumeProducing()
        line.server.dataReceived(line.client.send(b"two"))
        self.assertEqual(inner.events, [])
        inner.transport.pauseProducing()
        line.clock.advance(0)
        self.assertEqual(inner.events, [])
        inner.transport.resumeProducing()
        line.clock.advance(0)
        self.assertEqual(inner.events, [b"one", b"two"])

    def test_paused_and_over(self: Any) -> None:
        line = self.shaken()
        inner = line.inner
        inner.transport.pauseProducing()
        line.server.dataReceived(line.client.send(b"one"))
        inner.transport.resumeProducing()
        inner.transport.abortConnection()
        line.clock.advance(0)
        self.assertEqual(inner.events, [])

    def test_paused_in_the_middle_of_a_record(self: Any) -> None:
        line = self.shaken()
        inner = line.inner
        inner.transport.pauseProducing()
        data = line.client.send(b"one")
        line.server.dataReceived(data[:9])
        inner.transport.resumeProducing()
        line.clock.advance(0)
        self.assertEqual(line.transport.producerState, "producing")
        line.server.dataReceived(data[9:])
        self.assertEqual(inner.events, [b"one"])

    def test_read_within_a_read(self: Any) -> None:
        """Who resumes while it is given data is given the rest in order."""
        line = self.shaken()
        inner = line.inner
        data = line.client.send(b"one") + line.client.send(b"two") + line.client.send(b"three")

        def received(data: bytes) -> None:
            inner.events.append(data)
            inner.transport.pauseProducing()
            inner.transport.resumeProducing()

        inner.dataReceived = received
        line.server.dataReceived(data)
        for _ in range(3):
            line.clock.advance(0)
        self.assertEqual(inner.events, [b"one", b"two", b"three"])

    def test_back_pressure(self: Any) -> None:
        """It is the socket's."""
        line = self.shaken()
        told: list[str] = []

        class Producer:
            def pauseProducing(self) -> None:
                told.append("pause")

            def resumeProducing(self) -> None:
                told.append("resume")

        line.transport.bufferSize = 1
        inner = line.inner
        inner.transport.bufferSize = 1000
        self.assertEqual(inner.transport.bufferSize, 1000)
        inner.transport.registerProducer(Producer(), True)
        line.transport.stalled = True
        inner.transport.write(bytes(2000))
        self.assertEqual(told, ["pause"])
        line.transport.drain()
        self.assertEqual(told, ["pause", "resume"])
        inner.transport.unregisterProducer()
        self.assertIsNone(line.transport.producer)

    def test_what_the_socket_knows(self: Any) -> None:
        line = self.shaken()
        transport = line.inner.transport
        self.assertEqual(transport.getPeer().host, "192.0.2.7")
        self.assertEqual(transport.getHost(), line.transport.getHost())
        self.assertEqual(transport.fileno(), -1)
        self.assertIsNone(transport.getPeerCertificate())
        self.assertTrue(transport.getTcpNoDelay())
        transport.setTcpNoDelay(False)
        transport.setTcpKeepAlive(True)
        self.assertFalse(transport.getTcpKeepAlive())

    def unusual(self: Any, **options: Any) -> tuple[Line, KeyUpdateClient]:
        """A line behind the handshake of a client that Python's ssl can't be."""
        try:
            client = KeyUpdateClient(**options)
        except OSError as error:
            raise SkipTest(str(error))
        self.addCleanup(client.close)
        line = self.line(host=None)
        while not client.shake():
            line.server.dataReceived(client.take())
            client.feed(line.take())
        line.server.dataReceived(client.take())
        client.feed(line.take())
        return line, client

    def test_key_updates(self: Any) -> None:
        """Some are answered; what asks for more is not read on, though all came at once."""
        line, client = self.unusual()
        asked = client.key_updates(20)
        line.server.dataReceived(asked + client.send(b"a"))
        self.assertEqual(line.inner.data, b"a")
        answered = len(line.take())
        answer = 27  # bytes of such a record
        self.assertGreaterEqual(answered, len(asked) - answer)
        line.server.dataReceived(client.key_updates(100) + client.send(b"b"))
        self.assertEqual(line.inner.data, b"a")
        self.assertTrue(line.transport.disconnecting)
        self.assertLessEqual(answered + len(line.take()), answer * ODD_RECORDS)

    def test_key_update_behind_much(self: Any) -> None:
        """What is written to who was given the data is behind the answer to it: it has new keys."""
        line, client = self.unusual()
        inner = line.inner
        inner.dataReceived = lambda data: inner.transport.write(data[-5:])
        came = client.key_updates(1) + b"".join(client.send(bytes(16384)) for _ in range(2))
        line.server.dataReceived(came + client.send(b"hello") + client.key_updates(3))
        inner.transport.write(b"bye")
        self.assertTrue(client.hear(line.take()).endswith(b"hellobye"))
        self.assertFalse(line.transport.disconnecting)

    def test_short_records(self: Any) -> None:
        """A client may want many, of which each has a head."""
        line, client = self.unusual(short=True)
        for size in (100, 8193, 40_000, 200_000):
            data = bytes(range(250)) * (size // 250) + bytes(size % 250)
            line.inner.transport.write(data)
            self.assertEqual(client.hear(line.take()), data)
        self.assertFalse(line.transport.disconnecting)

    def test_half_a_handshake(self: Any) -> None:
        """It is given up by the deadline of a head, and was counted until then."""
        for sent in (0, 1, 100, 10000):
            line = self.line()
            hello = line.client.start()[:sent]
            if hello:
                line.server.dataReceived(hello)
            self.assertEqual(len(line.http.connections), 1)
            line.clock.pump([0.5] * 19)
            self.assertFalse(line.transport.aborted)
            line.clock.pump([0.5] * 2)
            self.assertTrue(line.transport.aborted or line.transport.disconnecting)
            self.assertEqual(line.counts, {"failed": 1})
            line.server.connectionLost(Failure(ConnectionDone()))
            self.assertEqual(len(line.http.connections), 0)
            self.assertEqual(line.counts, {"failed": 1})

    def test_gone_in_the_handshake(self: Any) -> None:
        line = self.line()
        line.server.dataReceived(line.client.start())
        line.server.readConnectionLost()
        self.assertEqual(line.counts, {"failed": 1})
        self.assertEqual(len(line.http.connections), 0)

    def test_nonsense_in_the_handshake(self: Any) -> None:
        line = self.line()
        line.server.dataReceived(line.client.start())
        line.take()
        line.server.dataReceived(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00")
        self.assertTrue(line.take(), "an alert, encrypted")
        self.assertTrue(line.transport.disconnecting)
        self.assertEqual(line.counts, {"failed": 1})
        line.server.deadline_passed(0)
        self.assertTrue(line.transport.aborted)
        self.assertEqual(line.counts, {"failed": 1})

    def test_stops_in_a_handshake(self: Any) -> None:
        for stop in ("close_if_idle", "abort"):
            line = self.line()
            line.server.dataReceived(line.client.start())
            getattr(line.server, stop)()
            self.assertTrue(line.transport.disconnecting)
            line.server.connectionLost(Failure(ConnectionDone()))
            self.assertEqual(len(line.http.connections), 0)

    def test_http(self: Any) -> None:
        """With what speaks HTTP/1.1 behind it."""
        line = self.shaken(inner=None)
        line.say(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        self.assertTrue(line.hear().startswith(b"HTTP/1.1 200 OK\r\n"))
        line.say(b"GET / HTTP/1.1\r\nHost: b.example:443\r\n\r\n")
        self.assertTrue(line.hear().startswith(b"HTTP/1.1 200 OK\r\n"))
        line.say(b"GET / HTTP/1.1\r\nHost: c.example\r\n\r\n")
        self.assertTrue(line.hear().startswith(b"HTTP/1.1 421 Misdirected Request\r\n"))
        self.assertTrue(line.client.closed)

    def test_any_host_without_a_name(self: Any) -> None:
        """Who asked for no certificate was shown none that could be the wrong one."""
        line = self.shaken(None, inner=None)
        line.say(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
        self.assertTrue(line.hear().startswith(b"HTTP/1.1 200 OK\r\n"))

    def test_told(self: Any) -> None:
        """Behind a PROXY header: the client, and that it came over TLS."""
        line = self.line()
        line.server.tell("203.0.113.9", False)
        line.shake()
        host, secure, scope = line.inner.told
        self.assertEqual((host, secure), ("203.0.113.9", True))
        self.assertTrue(scope.serves(b"b.example"))
