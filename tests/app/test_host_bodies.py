"""Bodies that go from host to host over data connections, in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.app import host_links
from subproxy.errors import ClientGone, GuestFailure
from subproxy.frontend.peer import peer_data_pool
from subproxy.frontend.peer.peer_data_connection import IDLE_TIME
from subproxy.wire import messages as m
from tests.rigs.data_line import Line
from tests.rigs.memory_hosts import MemoryHost, MemoryHosts, RecordedUser

BODY = bytes(range(250)) * 1200
LENGTH = [(b"Content-Length", b"%d" % len(BODY))]


class HostBodiesCase(SynchronousTestCase):
    """C{two} asks C{one}, which has the guest."""

    offered = True

    def setUp(self) -> None:
        self.rig = MemoryHosts(self.mktemp(), "kvm-1", "kvm-2")
        self.one, self.two = self.rig.hosts.values()
        if not self.offered:
            factory = self.two.host_factory
            factory.set_settings(replace(factory.context.settings, bulk=None))
        self.rig.introduce(self.one, self.two)
        self.guest = self.rig.serving(self.one)

    def ask(self, at: MemoryHost | None = None, **more: Any) -> Any:
        """A client asks; exchange, sink, and the number that the guest was given."""
        exchange, sink = (at or self.two).ask(**more)
        self.rig.pump()
        (request,) = self.guest.take(m.Request)
        return exchange, sink, request.exchange

    def begin(self, number: int) -> None:
        """The guest answers with a head."""
        self.guest.wire.send(m.Response(number, 200, LENGTH, {}, None))
        self.rig.pump()

    def say(self, number: int, data: bytes = BODY, ends: bool = True) -> None:
        """The guest sends some of its answer's body, or the rest."""
        self.guest.wire.write_body(number, data)
        if ends:
            self.guest.wire.end_body(number)
        self.rig.pump()

    def take(self, exchange: Any, sink: Any) -> None:
        """The client takes all that comes."""
        taken = 0
        while len(sink.body) > taken:
            came, taken = len(sink.body) - taken, len(sink.body)
            exchange.response_consumed(came)
            self.rig.pump()

    def came(self, number: int) -> bytes:
        """What comes of a request's body, which the guest takes."""
        found = b""
        while pieces := self.guest.take(m.Body):
            for each in pieces:
                found += each.data
                self.guest.wire.consumed(number, len(each.data))
            self.rig.pump()
        return found

    def pool(self, host: MemoryHost | None = None) -> peer_data_pool.PeerDataPool:
        """Those of who serves."""
        (peer,) = (host or self.one).links._asking
        assert peer.data is not None
        return peer.data


class HostDownloadTests(HostBodiesCase):
    def test_one(self) -> None:
        """It goes over a connection of its own, with its trailers behind it."""
        exchange, sink, number = self.ask()
        self.begin(number)
        self.assertEqual({"issued": 1, "claimed": 1}, self.two.counts)
        self.say(number)
        self.take(exchange, sink)
        self.assertEqual((BODY, True), (sink.body, sink.complete))
        self.assertEqual([1], [each.count for each in self.two.carriers])
        self.assertEqual(0, self.pool().unfinished)

    def test_one_after_the_other(self) -> None:
        """The next one goes over the same connection, which is closed when it was idle."""
        for _ in range(3):
            exchange, sink, number = self.ask()
            self.begin(number)
            self.say(number)
            self.take(exchange, sink)
            self.assertEqual((BODY, True), (sink.body, sink.complete))
        self.assertEqual([3], [each.count for each in self.two.carriers])
        self.rig.let_pass(IDLE_TIME + 1)
        self.assertEqual([], self.two.carriers)

    def test_a_small_one(self) -> None:
        """Of fewer bytes it goes in frames."""
        exchange, sink, number = self.ask()
        fields = [(b"Content-Length", b"60000")]
        self.guest.wire.send(m.Response(number, 200, fields, {}, None))
        self.say(number, BODY[:60_000])
        self.take(exchange, sink)
        self.assertEqual((BODY[:60_000], True), (sink.body, sink.complete))
        self.assertEqual({}, self.two.counts)

    def test_too_many_of_one_host(self) -> None:
        """Beyond so many connections of a host bodies go in frames: some are left, to ask it by."""
        self.patch(host_links, "MAX_BODIES_FROM_A_HOST", 2)
        asked = [self.ask() for _ in range(4)]
        for _, _, number in asked:
            self.begin(number)
        self.assertEqual(2, len(self.two.carriers))
        for exchange, sink, number in asked:
            self.say(number)
            self.take(exchange, sink)
            self.assertEqual((BODY, True), (sink.body, sink.complete))
        self.assertEqual(2, self.two.counts["claimed"])

    def test_of_unknown_length(self) -> None:
        """That its guest sends it over a data connection says that it is large."""
        guest = self.rig.serving(self.one, "2", b"b\\.example", bulk=True)
        exchange, sink = self.two.ask(host=b"b.example")
        self.rig.pump()
        (request,) = guest.take(m.Request)
        guest.say(m.Response(request.exchange, 200, [], {}, {}))
        (connect,) = guest.take(m.Connect)
        line = Line(self.one, "2")
        line.connect(request.exchange, connect.token, BODY)
        guest.wire.end_body(request.exchange, [], {b"length": len(BODY)})
        guest.pump()
        self.rig.pump()
        self.assertEqual({"issued": 1, "claimed": 1}, self.two.counts)
        self.take(exchange, sink)
        self.assertEqual((BODY, True), (sink.body, sink.complete))
        # Nothing can follow on it.
        self.assertEqual([], self.two.carriers)
        self.assertEqual(0, self.one.links._asking[0].under_way)

    def test_others_pass(self) -> None:
        """Whose client takes nothing stands in nobody's way, and its guest waits."""
        exchange, sink, number = self.ask()
        self.begin(number)
        self.say(number)
        _, other_sink, second = self.ask()
        self.guest.wire.send(m.Response(second, 200, [], {}, b"small"))
        self.rig.pump()
        self.assertEqual((b"small", True), (other_sink.body, other_sink.complete))
        self.take(exchange, sink)
        self.assertEqual((BODY, True), (sink.body, sink.complete))

    def test_nobody_is_reached(self) -> None:
        """Then it goes in frames, the bytes that waited first."""
        self.two.port += 100
        exchange, sink, number = self.ask()
        self.begin(number)
        self.say(number, BODY[:1000], ends=False)
        self.assertEqual(b"", sink.body)
        self.rig.let_pass(2.5)
        self.assertEqual(BODY[:1000], sink.body)
        self.say(number, BODY[1000:])
        self.take(exchange, sink)
        self.assertEqual((BODY, True), (sink.body, sink.complete))

    def test_ended_before_nobody_is_reached(self) -> None:
        """Likewise where all was here by then."""
        self.two.port += 100
        exchange, sink, number = self.ask()
        self.guest.wire.send(m.Response(number, 200, LENGTH, {}, None))
        self.guest.wire.write_body(number, BODY)
        self.guest.wire.end_body(number)
        self.rig.pump()
        self.rig.let_pass(2.5)
        self.take(exchange, sink)
        self.assertEqual((BODY, True), (sink.body, sink.complete))

    def test_an_empty_one_for_which_nobody_is_reached(self) -> None:
        """No frame says that it goes another way: its length does, and the client has all of it."""
        self.two.port += 100
        guest = self.rig.serving(self.one, "2", b"b\\.example", bulk=True)
        _, sink = self.two.ask(host=b"b.example")
        self.rig.pump()
        (request,) = guest.take(m.Request)
        guest.say(m.Response(request.exchange, 200, [], {}, {}))
        (connect,) = guest.take(m.Connect)
        Line(self.one, "2").connect(request.exchange, connect.token)
        guest.wire.end_body(request.exchange, [], {b"length": 0})
        guest.pump()
        self.rig.pump()
        self.rig.let_pass(2.5)
        self.assertEqual((b"", True, None), (sink.body, sink.complete, sink.error))

    def test_too_many(self) -> None:
        """Bodies for which there is no connection go in frames."""
        self.patch(peer_data_pool, "OPEN_MOST", 1)
        begun = [self.ask() for _ in range(3)]
        for _, _, number in begun:
            self.begin(number)
        self.assertEqual(1, self.two.counts["claimed"])
        for exchange, sink, number in begun:
            self.say(number)
            self.take(exchange, sink)
            self.assertEqual((BODY, True), (sink.body, sink.complete))

    def test_the_host_dies(self) -> None:
        """Amid a body: the client sees that it is not whole."""
        _, sink, number = self.ask()
        self.begin(number)
        self.say(number, BODY[:100_000], ends=False)
        self.assertTrue(sink.body)
        self.rig.cut()
        self.assertFalse(sink.complete)
        self.assertIsInstance(sink.error, GuestFailure)
        self.assertEqual(1, len(self.guest.take(m.Abort)))

    def test_its_connection_breaks(self) -> None:
        """That alone: likewise, and what else is asked goes on."""
        exchange, sink, number = self.ask()
        self.begin(number)
        self.say(number, BODY[:100_000], ends=False)
        (carrier,) = self.two.carriers
        carrier.transport.abortConnection()
        self.rig.pump()
        self.assertFalse(sink.complete)
        self.assertIsInstance(sink.error, GuestFailure)
        self.assertEqual(1, len(self.guest.take(m.Abort)))
        exchange, sink, number = self.ask()
        self.begin(number)
        self.say(number)
        self.take(exchange, sink)
        self.assertTrue(sink.complete)

    def test_the_client_leaves(self) -> None:
        """The guest hears of it, and the connection is closed."""
        exchange, _, number = self.ask()
        self.begin(number)
        self.say(number, BODY[:1000], ends=False)
        exchange.cancel(ClientGone())
        self.rig.pump()
        self.assertEqual(1, len(self.guest.take(m.Abort)))
        self.assertEqual([], self.two.carriers)

    def test_the_guest_breaks_off(self) -> None:
        """The client sees that it is not whole."""
        _, sink, number = self.ask()
        self.begin(number)
        self.say(number, BODY[:1000], ends=False)
        self.guest.lose()
        self.rig.pump()
        self.assertFalse(sink.complete)
        self.assertIsInstance(sink.error, GuestFailure)
        self.assertEqual([], self.two.carriers)

    def test_what_was_sent_comes(self) -> None:
        """A process is not idle before the other host has said that a body came."""
        exchange, sink, number = self.ask()
        self.begin(number)
        self.guest.wire.write_body(number, BODY[:50_000])
        self.rig.pump()
        self.say(number, BODY[50_000:250_000], ends=False)
        self.take(exchange, sink)
        self.guest.wire.write_body(number, BODY[250_000:])
        self.guest.wire.end_body(number)
        self.guest.pump()
        self.assertEqual(1, self.pool().unfinished)
        idle = self.one.links._asking[0].when_idle()
        self.assertNoResult(idle)
        self.rig.pump()
        self.take(exchange, sink)
        self.assertEqual((BODY, True), (sink.body, sink.complete))
        self.successResultOf(idle)


class StrangersTests(HostBodiesCase):
    def test_another_host(self) -> None:
        """The token of one host is no good for another, though its certificate is."""
        three = self.rig.add("kvm-3")
        self.rig.introduce(three, self.two)
        exchange, sink, number = self.ask()
        self.two.port += 100
        self.begin(number)
        self.two.port -= 100
        tokens = self.two.host_factory.context.tokens
        (token,) = tokens.promises
        user = RecordedUser()
        stranger = self.pool(three).connection()
        assert stranger is not None
        stranger.claim(tokens.promises[token].exchange, token, user)
        self.rig.pump()
        self.assertEqual(["unclaimed"], user.heard)
        self.assertEqual(1, self.two.counts["foreign"])
        self.rig.let_pass(2.5)
        self.say(number)
        self.take(exchange, sink)
        self.assertEqual((BODY, True), (sink.body, sink.complete))

    def test_no_token(self) -> None:
        """Nor is one that was never made."""
        user = RecordedUser()
        connection = self.pool().connection()
        assert connection is not None
        connection.claim(1, b"x" * 16, user)
        self.rig.pump()
        self.assertEqual((["unclaimed"], 1), (user.heard, self.two.counts["unknown"]))


class HostUploadTests(HostBodiesCase):
    def put(self, **more: Any) -> Any:
        return self.ask(method=b"PUT", body=None, length=len(BODY), **more)

    def finish(self, exchange: Any, sink: Any, number: int, body: bytes = BODY) -> None:
        """The client sends the rest, and is answered."""
        for at in range(0, len(body), 50_000):
            exchange.request_data(body[at : at + 50_000])
        exchange.request_end([(b"t", b"1")])
        self.rig.pump()
        self.assertEqual(body, self.came(number))
        (end,) = self.guest.take(m.End)
        self.assertEqual([(b"t", b"1")], end.trailers)
        self.guest.wire.send(m.Response(number, 200, [], {}, b"thanks"))
        self.rig.pump()
        self.assertEqual((b"thanks", True), (sink.body, sink.complete))

    def test_one(self) -> None:
        """It comes over a connection of its own, as fast as the guest takes it."""
        exchange, sink, number = self.put()
        self.assertFalse(sink.paused)
        self.assertEqual({"issued": 1, "claimed": 1}, self.two.counts)
        self.finish(exchange, sink, number)
        self.assertEqual([1], [each.count for each in self.two.carriers])

    def test_one_after_the_other(self) -> None:
        """The next one comes over the same connection; and an answer goes over it."""
        for _ in range(2):
            self.finish(*self.put())
        exchange, sink, number = self.ask()
        self.begin(number)
        self.say(number)
        self.take(exchange, sink)
        self.assertEqual((BODY, True), (sink.body, sink.complete))
        self.assertEqual([3], [each.count for each in self.two.carriers])

    def test_expect(self) -> None:
        """The client is asked for it when the guest wants it, not before."""
        exchange, sink, number = self.put(expect=True)
        self.assertTrue(sink.paused)
        self.assertEqual([], self.two.carriers)
        self.guest.wire.consumed(number, 0)
        self.rig.pump()
        self.assertFalse(sink.paused)
        self.finish(exchange, sink, number)
        self.assertEqual(1, self.two.counts["claimed"])

    def test_asked_for_late(self) -> None:
        """When the token is no good any more, it comes in frames."""
        exchange, sink, number = self.put(expect=True)
        self.rig.let_pass(4)
        self.assertTrue(sink.paused)
        self.guest.wire.consumed(number, 0)
        self.rig.pump()
        self.assertFalse(sink.paused)
        self.finish(exchange, sink, number)
        self.assertEqual(1, self.two.counts["late"])

    def test_nobody_is_reached(self) -> None:
        """Then it is asked for in frames."""
        self.two.port += 100
        exchange, sink, number = self.put()
        self.assertTrue(sink.paused)
        self.rig.let_pass(2.5)
        self.assertFalse(sink.paused)
        self.finish(exchange, sink, number)

    def test_an_early_answer(self) -> None:
        """A guest that does not read to the end answers all the same; the rest goes nowhere."""
        exchange, sink, number = self.put()
        exchange.request_data(BODY[:200_000])
        self.rig.pump()
        self.guest.wire.send(m.Response(number, 413, [], {}, b"too much"))
        self.rig.pump()
        self.assertEqual((413, b"too much"), (sink.head.status, sink.body))
        self.assertEqual([], self.two.carriers)
        self.assertEqual(0, self.one.links._asking[0].under_way)

    def test_the_client_leaves(self) -> None:
        """The guest never takes half of it for all."""
        exchange, _, number = self.put()
        exchange.request_data(BODY[:1000])
        self.rig.pump()
        exchange.cancel(ClientGone())
        self.rig.pump()
        self.assertEqual(BODY[:1000], self.came(number))
        self.assertEqual([], self.guest.take(m.End))
        self.assertEqual(1, len(self.guest.take(m.Abort)))
        self.assertEqual([], self.two.carriers)

    def test_its_connection_breaks(self) -> None:
        """Likewise, and the client gets an error."""
        exchange, sink, _ = self.put()
        exchange.request_data(BODY[:1000])
        self.rig.pump()
        (carrier,) = self.two.carriers
        carrier.transport.abortConnection()
        self.rig.pump()
        self.assertEqual([], self.guest.take(m.End))
        self.assertEqual(1, len(self.guest.take(m.Abort)))
        self.assertIsInstance(sink.error, GuestFailure)

    def test_its_connection_breaks_at_once(self) -> None:
        """Likewise, where nothing has come, and the end of all was told: that is no empty body."""
        for ends in (True, False):
            exchange, sink, _ = self.put()
            exchange.request_data(BODY)
            if ends:
                exchange.request_end([])
            line = self.rig.pumps.pop()
            for each in (line.serverIO, line.clientIO):
                each.disconnected = True
                each.protocol.connectionLost(Failure(ConnectionLost()))
            self.rig.pump()
            self.assertEqual([], self.guest.take(m.End))
            self.assertEqual(1, len(self.guest.take(m.Abort)))
            self.assertIsInstance(sink.error, GuestFailure)
            self.assertEqual(0, self.one.links._asking[0].under_way)

    def test_the_host_dies(self) -> None:
        """Likewise."""
        exchange, sink, _ = self.put()
        exchange.request_data(BODY[:1000])
        self.rig.pump()
        self.rig.cut()
        self.assertIsInstance(sink.error, GuestFailure)
        self.assertEqual([], self.guest.take(m.End))
        self.assertEqual(1, len(self.guest.take(m.Abort)))


class NotOfferedTests(HostBodiesCase):
    """Who asks knows nothing of data connections, or is to have none."""

    offered = False

    def test_bodies(self) -> None:
        """They go in frames, both ways."""
        exchange, sink, number = self.ask(method=b"PUT", body=None, length=len(BODY))
        exchange.request_data(BODY)
        exchange.request_end([])
        self.rig.pump()
        self.assertEqual(BODY, self.came(number))
        self.begin(number)
        self.say(number)
        self.take(exchange, sink)
        self.assertEqual((BODY, True, {}), (sink.body, sink.complete, self.two.counts))
